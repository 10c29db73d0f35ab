// The state of the page: the chosen codebook, token, clip and class, and what is drawn when they change.

function setUp(data) {
  const at = (id) => document.getElementById(id);
  const state = { book: 0, token: commonest(data, 0), clip: 0, class: 0, version: "sound", scale: "difference", plots: false };
  state.nNeighbours = data.neighbours.length / (data.n_codebooks * data.n_clusters);

  function describe() {
    document.title = `${data.name}: audiotok explore`;
    const splits = Object.entries(data.splits ?? {}).map(([name, n]) => `${n.toLocaleString("en-US")} ${name}`).join(", ");
    caption("summary", `${data.name}: ${counted(data.n_codebooks, "codebook")} of ${data.n_clusters} tokens, one of each every ` +
      `${(1000 * data.token_seconds).toFixed(0)} ms. ` +
      (data.clips ? `${counted(data.n_clips, "clip")} (${splits}), ${data.clips.length} of them with sound.` : "No clips were given; add data=OPTION data.root=PATH to see and hear some."));
    const has = { clips: Boolean(data.clips?.length), classes: Boolean(data.classes?.some((one) => one.n)) };
    document.querySelectorAll("[data-needs]").forEach((part) => { part.hidden = !has[part.dataset.needs]; });
    at("play-moments").hidden = !has.clips;
    at("book").append(...data.order.map((_, book) => element("option", { value: book }, String(book + 1))));
    const kinds = [["measured", "mean of the moments with the token"], ["decoded", "decoded from the token"]].filter(([kind]) => data[kind]);
    at("kind").append(...kinds.map(([kind, text]) => element("option", { value: kind }, text)));
    at("kind").closest("label").hidden = at("scale").closest("label").hidden = !kinds.length;
    state.kind = kinds.length ? kinds[0][0] : null;
    return has;
  }

  function tokenChanged() {
    at("book").value = String(state.book);
    drawVocabulary(data, state);
    showToken(data, state);
    if (!state.plots) return;
    plotMap(data, state);
    plotSpectrum(data, state);
  }

  state.pickToken = (book, token) => {
    const bookChanged = book !== state.book;
    [state.book, state.token] = [book, token];
    tokenChanged();
    if (bookChanged && state.plots && data.clips) plotUse(data, state);
  };

  const has = describe();
  if (has.clips) {
    setUpClip(data, state);
    state.pickClip(0, 0, false);
    showLonely(data, state);
  }
  if (has.classes) {
    setUpClasses(data, state);
    showClass(data, state);
  }
  tokenChanged();

  at("book").addEventListener("change", (event) => state.pickToken(Number(event.target.value), commonest(data, Number(event.target.value))));
  for (const id of ["kind", "scale"]) at(id).addEventListener("change", (event) => {
    state[id] = event.target.value;
    tokenChanged();
  });
  const picture = at("vocabulary-picture");
  const pickRank = (rank) => state.pickToken(state.book, data.order[state.book][Math.max(0, Math.min(data.n_clusters - 1, rank))]);
  picture.addEventListener("click", (event) => {
    const box = picture.getBoundingClientRect();
    pickRank(Math.floor((event.clientX - box.left) / box.width * data.n_clusters));
  });
  picture.addEventListener("keydown", (event) => {
    const rank = data.ranks[state.book * data.n_clusters + state.token];
    const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10, Home: -Infinity, End: Infinity };
    if (!(event.key in steps)) return;
    pickRank(rank + steps[event.key]);
    event.preventDefault();
  });
  const play = (version) => {
    state.audio?.pause();
    const moments = state.moments.map(({ clip, from, to }) => ({ sound: data.clips[clip][version], from, to }));
    playMoments(moments, (number) => caption("moment", number === null ? "" : `${number + 1} of ${moments.length}: ${data.clips[state.moments[number]?.clip]?.id ?? ""}`));
  };
  at("play-moments").addEventListener("click", () => play("sound"));
  at("play-decoded").addEventListener("click", () => play("decoded"));
  at("play-spectrum").addEventListener("click", () => {
    state.audio?.pause();
    playNoise(spectrumOf(spectraOf(data, state.kind), state.book * data.n_clusters + state.token), hertzOf(data, state.kind));
  });

  function redraw() {
    tokenChanged();
    if (has.clips) drawClip(data, state);
    if (has.clips && state.plots) plotUse(data, state);
  }
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const switchTheme = () => {
    const now = document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light");
    document.documentElement.dataset.theme = now === "dark" ? "light" : "dark";
    redraw();
  };
  at("theme").addEventListener("click", switchTheme);
  dark.addEventListener("change", redraw);
  let timer = 0, width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth === width) return;  // phones resize the height while they scroll
    width = innerWidth;
    clearTimeout(timer);
    timer = setTimeout(redraw, 150);
  });
  addEventListener("keydown", (event) => {
    const isControl = event.target.closest("select, input, a, button") !== null;
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("select")) return;
    const keys = { t: switchTheme };
    if (has.clips) Object.assign(keys, { n: () => state.step(1), p: () => state.step(-1) });
    if (has.clips && !isControl) keys[" "] = state.toggle;
    if (has.clips && data.clips[0].decoded !== undefined) keys.d = () => state.switchVersion(state.version === "sound" ? "decoded" : "sound");
    if (!(event.key in keys)) return;
    keys[event.key]();
    event.preventDefault();
  });
  return () => {
    state.plots = true;
    redraw();
  };
}

async function main() {
  if (!("DecompressionStream" in window)) {
    return caption("summary", "This browser is too old for this page; use one of 2023 or later.");
  }
  const plotAll = setUp(unpackAll(JSON.parse(await unpacked("packed-data"))));
  document.body.dataset.shown = "";
  await new Promise((done) => { setTimeout(done); });  // let the browser paint before plotly is unpacked
  await loadPlotly();
  plotAll();
  document.body.dataset.ready = "";
}

main();
