// A clip: waveform, spectrogram and tokens over one axis of time, its sound, and what it is taken for.

function showClip(data, state) {
  const clip = data.clips[state.clip], names = (places) => places.map((place) => data.classes[place].name).join(", ");
  document.getElementById("clip-choice").value = String(state.clip);
  const facts = document.getElementById("clip-facts");
  facts.replaceChildren(`${clip.id} (${clip.split}, ${clip.seconds.toFixed(1)} s). `);
  if (data.classes.length) facts.append(element("span", { class: "true" }, `Labels: ${names(clip.labels) || "none"}.`));
  if (clip.tags.length) {
    facts.append(" The model hears: ");
    clip.tags.forEach(([place, probability], number) => facts.append(
      element("span", { class: clip.labels.includes(place) ? "true" : "" }, `${number ? ", " : ""}${data.classes[place].name} ${percent(probability)}`)));
    facts.append(".");
  }
  drawClip(data, state);
}

function drawClip(data, state) {
  const clip = data.clips[state.clip], at = (id) => document.getElementById(id);
  const decoded = state.version === "decoded" && clip.decoded_spectrogram;
  const levels = decoded ? clip.decoded_spectrogram : clip.spectrogram;
  const slices = decoded ? clip.decoded_spectrogram_slices : clip.spectrogram_slices, bins = levels.length / slices;
  drawWave(at("wave"), clip.peaks);
  drawPixels(at("spectrogram"), slices, bins, (x, y) => interpolated(data.levels, levels[x * bins + bins - 1 - y] / 255));
  drawHertz(at("spectrogram"), data.hertz);
  drawPixels(at("strip"), clip.n_tokens, data.n_codebooks, (x, y) => likenessOf(data, y, clip.tokens[x * data.n_codebooks + y]));
  drawSeconds(at("axis"), clip.seconds);
  at("timeline").setAttribute("aria-valuemax", clip.seconds.toFixed(2));
  showTime(data, state);
}

function tokenTime(data, clip, seconds) {
  return Math.max(0, Math.min(clip.n_tokens - 1, Math.floor(seconds / clip.seconds * clip.n_tokens)));
}

function showTime(data, state) {
  const clip = data.clips[state.clip], seconds = Math.min(state.audio ? state.audio.currentTime : 0, clip.seconds);
  const playhead = document.getElementById("playhead"), timeline = document.getElementById("timeline");
  playhead.hidden = false;
  playhead.style.left = `${100 * seconds / clip.seconds}%`;
  caption("time", `${seconds.toFixed(2)} of ${clip.seconds.toFixed(2)} s`);
  timeline.setAttribute("aria-valuenow", seconds.toFixed(2));
  timeline.setAttribute("aria-valuetext", `${seconds.toFixed(2)} s`);
  const time = tokenTime(data, clip, seconds);
  if (state.shownTime === `${state.clip} ${time}`) return;
  state.shownTime = `${state.clip} ${time}`;
  document.getElementById("now").replaceChildren(...Array.from(
    clip.tokens.subarray(time * data.n_codebooks, (time + 1) * data.n_codebooks), (token, book) => chip(data, book, token, state)));
}

function loadSound(data, state) {
  const clip = data.clips[state.clip], at = state.audio ? state.audio.currentTime : 0, wasPlaying = state.audio && !state.audio.paused;
  state.audio?.pause();
  if (state.audio) URL.revokeObjectURL(state.audio.src);
  const number = state.version === "decoded" && clip.decoded !== undefined ? clip.decoded : clip.sound;
  state.audio = new Audio(urlOf(number));
  for (const event of ["play", "pause", "ended"]) state.audio.addEventListener(event, () => caption("play", state.audio.paused ? "Play" : "Pause"));
  state.audio.addEventListener("timeupdate", () => showTime(data, state));
  return { at, wasPlaying };
}

function setUpClip(data, state) {
  const at = (id) => document.getElementById(id);
  const options = data.clips.map((clip, number) => {
    const labels = clip.labels.map((place) => data.classes[place].name).join(", ");
    return element("option", { value: number }, `${labels ? `${labels}: ` : ""}${clip.id}`);
  });
  at("clip-choice").append(...options);
  at("versions").hidden = at("play-decoded").hidden = data.clips[0].decoded === undefined;
  const seek = (seconds) => {
    state.audio.currentTime = Math.max(0, Math.min(data.clips[state.clip].seconds, seconds));
    showTime(data, state);
  };
  state.pickClip = (number, seconds = 0, scroll = true) => {
    state.clip = number;
    caption("play", "Play");
    loadSound(data, state);
    seek(seconds);
    showClip(data, state);
    if (scroll) at("clip").scrollIntoView({ block: "start" });
  };
  state.step = (by) => state.pickClip((state.clip + by + data.clips.length) % data.clips.length, 0, false);
  state.toggle = () => {
    hush();
    if (state.audio.paused) state.audio.play();
    else state.audio.pause();
  };
  state.switchVersion = (version) => {
    if (version === state.version) return;
    state.version = version;
    document.querySelector(`input[name=version][value=${version}]`).checked = true;
    const { at: seconds, wasPlaying } = loadSound(data, state);
    seek(seconds);
    if (wasPlaying) state.audio.play();
    drawClip(data, state);
  };
  at("clip-choice").addEventListener("change", (event) => state.pickClip(Number(event.target.value), 0, false));
  at("previous").addEventListener("click", () => state.step(-1));
  at("next").addEventListener("click", () => state.step(1));
  at("play").addEventListener("click", state.toggle);
  document.querySelectorAll("input[name=version]").forEach((input) => input.addEventListener("change", () => state.switchVersion(input.value)));
  at("timeline").addEventListener("click", (event) => {
    const clip = data.clips[state.clip], box = at("timeline").getBoundingClientRect(), strip = at("strip").getBoundingClientRect();
    const share = (event.clientX - box.left) / box.width;
    seek(share * clip.seconds);
    if (event.clientY < strip.top || event.clientY > strip.bottom) return;
    const book = Math.min(data.n_codebooks - 1, Math.floor((event.clientY - strip.top) / strip.height * data.n_codebooks));
    state.pickToken(book, clip.tokens[tokenTime(data, clip, share * clip.seconds) * data.n_codebooks + book]);
  });
  at("timeline").addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: -1, ArrowRight: 1, PageDown: -5, PageUp: 5 };
    if (event.key in steps) seek(state.audio.currentTime + steps[event.key] * data.token_seconds);
    else if (event.key === "Home") seek(0);
    else if (event.key === "End") seek(data.clips[state.clip].seconds);
    else return;
    event.preventDefault();
  });
  const follow = () => {
    if (state.audio && !state.audio.paused) showTime(data, state);
    requestAnimationFrame(follow);
  };
  requestAnimationFrame(follow);
}
