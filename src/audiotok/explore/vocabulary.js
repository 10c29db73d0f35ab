// The vocabulary: the tokens of a codebook as spectra, a map of them, and one token with what it sounds like.

const spectraOf = (data, kind) => (kind === "decoded" ? data.decoded : data.measured);
const hertzOf = (data, kind) => (kind === "decoded" ? data.decoded_hertz : data.hertz);

function meanSpectrum(data, kind, book) {
  const spectra = spectraOf(data, kind), sums = new Array(spectra.n_bins).fill(0);
  let n = 0;
  for (let token = 0; token < data.n_clusters; token += 1) {
    const spectrum = spectrumOf(spectra, book * data.n_clusters + token);
    if (!spectrum) continue;
    n += 1;
    spectrum.forEach((value, bin) => { sums[bin] += value; });
  }
  return sums.map((sum) => sum / Math.max(1, n));
}

function drawVocabulary(data, state) {
  const canvas = document.getElementById("vocabulary-picture"), kind = state.kind, { book } = state;
  const order = data.order[book], spectra = kind && spectraOf(data, kind);
  const bins = spectra ? spectra.n_bins : 0, bar = Math.max(1, Math.round(bins / 8)), average = spectra && meanSpectrum(data, kind, book);
  const columns = Array.from(order, (token) => spectra && spectrumOf(spectra, book * data.n_clusters + token));
  const all = columns.flatMap((column) => column ?? []);
  const differences = columns.flatMap((column) => column?.map((value, bin) => Math.abs(value - average[bin])) ?? []);
  const [low, high] = [all.reduce((a, b) => Math.min(a, b), Infinity), all.reduce((a, b) => Math.max(a, b), -Infinity)];
  const most = differences.sort((a, b) => a - b)[Math.floor(0.99 * differences.length)] || 1;
  const empty = color("panel") === "#f6f7f9" ? [236, 238, 241] : [40, 44, 50];
  const context = drawPixels(canvas, order.length, bins + bar, (x, y) => {
    if (y >= bins) return likenessOf(data, book, order[x]);
    const column = columns[x], bin = bins - 1 - y;
    if (!column) return empty;
    return state.scale === "level" ? interpolated(data.levels, (column[bin] - low) / (high - low || 1))
      : diverging((column[bin] - average[bin]) / most);
  });
  if (spectra) drawHertzAbove(canvas, hertzOf(data, kind), bins / (bins + bar));
  const ratio = window.devicePixelRatio || 1, width = canvas.width / order.length;
  const x = data.ranks[book * data.n_clusters + state.token] * width;
  [context.strokeStyle, context.lineWidth] = [color("ink"), 2 * ratio];
  context.strokeRect(x - ratio, ratio, width + 2 * ratio, canvas.height - 2 * ratio);
  canvas.setAttribute("aria-valuemin", "1");
  canvas.setAttribute("aria-valuemax", String(order.length));
  canvas.setAttribute("aria-valuenow", String(data.ranks[book * data.n_clusters + state.token] + 1));
  canvas.setAttribute("aria-valuetext", tokenText(data, book, state.token));
  caption("vocabulary-caption", spectra
    ? `The ${order.length} tokens of codebook ${book + 1} side by side, similar ones next to each other, low frequencies at the bottom` +
      (state.scale === "level" ? "" : `; red is ${most.toFixed(0)} dB or more above the mean of the codebook, blue below`) +
      ". The bottom row has the colours that tokens have everywhere in this page. Click, or use the arrow keys."
    : "The colours show which tokens are similar. Spectra need features that can be inverted, or clips to measure them on.");
}

// The lowest row of the picture is the likeness bar: frequencies are written above it.
function drawHertzAbove(canvas, hertz, share) {
  if (!hertz) return;
  const whole = canvas.height, context = canvas.getContext("2d");
  const part = { height: whole * share, getContext: () => context };
  drawHertz(part, hertz);
}

function tokenText(data, book, token) {
  const index = book * data.n_clusters + token, classes = classesOf(data, index);
  const times = data.counts ? `, ${counted(data.counts[index], "time")}` : "";
  return `token ${token} of codebook ${book + 1}${times}${classes.length ? `, speaks for ${classes.join(", ")}` : ""}`;
}

function classesOf(data, index) {
  if (!data.speaks_for) return [];
  return Array.from(data.speaks_for.subarray(3 * index, 3 * index + 3)).filter((place) => place >= 0).map((place) => data.classes[place].name);
}

function chip(data, book, token, state, text = `${book + 1}: ${token}`) {
  const swatch = element("span", { class: "swatch", "aria-hidden": "true" });
  swatch.style.background = css(likenessOf(data, book, token));
  const made = element("button", { type: "button", class: "chip", title: tokenText(data, book, token) }, swatch, text);
  made.addEventListener("click", () => state.pickToken(book, token));
  return made;
}

function plotMap(data, state) {
  const { book } = state, tokens = [...Array(data.n_clusters).keys()];
  const at = (token, axis) => data.places[2 * (book * data.n_clusters + token) + axis] / 127;
  const counts = data.counts ? bookCounts(data, book) : tokens.map(() => 1);
  const most = Math.max(...counts, 1);
  draw("map", [{
    type: "scatter", mode: "markers", x: tokens.map((token) => at(token, 0)), y: tokens.map((token) => at(token, 1)),
    marker: {
      size: tokens.map((token) => 5 + 15 * Math.sqrt(counts[token] / most)), color: tokens.map((token) => css(likenessOf(data, book, token))),
      line: { width: tokens.map((token) => (token === state.token ? 3 : 0.5)), color: color("ink") },
    },
    text: tokens.map((token) => tokenText(data, book, token)), hovertemplate: "%{text}<extra></extra>",
  }], { height: 300, margin: { l: 10, r: 10, t: 10, b: 10 }, xaxis: { visible: false }, yaxis: { visible: false } });
  const plot = document.getElementById("map");
  plot.removeAllListeners?.("plotly_click");
  plot.on("plotly_click", ({ points }) => state.pickToken(book, points[0].pointNumber));
}

function plotSpectrum(data, state) {
  if (!state.kind) return clear("spectrum");
  const spectra = spectraOf(data, state.kind), hertz = hertzOf(data, state.kind);
  const spectrum = spectrumOf(spectra, state.book * data.n_clusters + state.token);
  const x = hertz ?? [...Array(spectra.n_bins).keys()];
  const line = (name, y, shade, width) => ({ type: "scatter", mode: "lines", name, x, y, line: { color: color(shade), width } });
  draw("spectrum", [
    line("mean of the codebook", meanSpectrum(data, state.kind, state.book), "rest", 1.5),
    ...(spectrum ? [line(`token ${state.token}`, spectrum, "a", 3)] : []),
  ], {
    height: 260, showlegend: true, legend: { orientation: "h", y: 1.15 },
    xaxis: hertz ? { type: "log", title: { text: "Hz" } } : { title: { text: "dimension" } }, yaxis: { title: { text: hertz ? "dB" : "" } },
  });
}

// Where a token sounds in the clips of the page: at most one moment of each clip first, then more of them.
function momentsOf(data, book, token) {
  const rounds = [];
  (data.clips ?? []).forEach((clip, number) => {
    let found = 0;
    for (let time = 0; time < clip.n_tokens; time += 1) {
      if (clip.tokens[time * data.n_codebooks + book] !== token) continue;
      if (time && clip.tokens[(time - 1) * data.n_codebooks + book] === token) continue;
      let end = time + 1;
      while (end < clip.n_tokens && clip.tokens[end * data.n_codebooks + book] === token) end += 1;
      (rounds[found] ??= []).push({ clip: number, ...stretch(data, clip, time, end) });
      found += 1;
    }
  });
  return rounds.flat().slice(0, MOST_MOMENTS);
}

// A token is centred on its time; a moment lasts at least a tenth of a second, so that it can be heard, and 2 s at most.
function stretch(data, clip, time, end) {
  const step = data.token_seconds, from = Math.max(0, (time - 0.5) * step), to = Math.min(clip.seconds, (end - 0.5) * step);
  return { from, to: Math.min(Math.max(to, from + 0.1), from + 2) };
}

function showToken(data, state) {
  const { book, token } = state, index = book * data.n_clusters + token;
  const named = classesOf(data, index), total = data.counts && bookCounts(data, book).reduce((sum, count) => sum + count, 0);
  caption("token-title", `Token ${token} of codebook ${book + 1}`);
  caption("token-facts", data.counts
    ? `${counted(data.counts[index], "time")} (${percent(data.counts[index] / Math.max(1, total))} of the codebook), in ` +
      `${counted(data.n_with[index], "clip")} of ${counted(data.n_recordings[index], "recording")}.`
    : "No clips were given, so that nothing is known of its use.");
  caption("token-classes", data.counts ? `Speaks for: ${named.length ? named.join(", ") : "no class in particular"}.` : "");
  document.getElementById("neighbours").replaceChildren(...Array.from(
    data.neighbours.subarray(index * state.nNeighbours, (index + 1) * state.nNeighbours), (near) => chip(data, book, near, state)));
  state.moments = momentsOf(data, book, token);
  document.getElementById("moments").replaceChildren(...state.moments.map((moment, number) => {
    const clip = data.clips[moment.clip];
    const made = element("button", { type: "button", class: "chip", title: clip.id }, `${number + 1}: ${moment.from.toFixed(1)} s in ${shortened(clip.id, 18)}`);
    made.addEventListener("click", () => state.pickClip(moment.clip, moment.from));
    return made;
  }));
  for (const id of ["play-moments", "play-decoded"]) document.getElementById(id).disabled = !state.moments.length;
  caption("moment", data.clips && !state.moments.length ? "It is in none of the clips that this page contains with sound." : "");
  const hertz = state.kind && hertzOf(data, state.kind);
  document.getElementById("play-spectrum").disabled = !hertz || !spectrumOf(spectraOf(data, state.kind), index);
  caption("spectrum-caption", state.kind === "decoded" ? "What the token stands for, other codebooks at their mean" : "Mean spectrum of the moments at which it occurs");
}
