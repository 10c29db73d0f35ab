// Sound: clips, moments of them one after another, and spectra as noise.

const GAP = 0.12, FADE = 0.01, MOST_MOMENTS = 12;
const heard = { context: null, buffers: new Map(), sources: [], timers: [] };

function bytesOf(number) {
  return Uint8Array.from(atob(document.getElementById(`sound-${number}`).textContent), (letter) => letter.charCodeAt(0));
}

function urlOf(number) {
  return URL.createObjectURL(new Blob([bytesOf(number)], { type: "audio/mpeg" }));
}

function audioContext() {
  heard.context ??= new AudioContext();
  heard.context.resume();
  return heard.context;
}

async function bufferOf(number) {
  if (!heard.buffers.has(number)) heard.buffers.set(number, await audioContext().decodeAudioData(bytesOf(number).buffer));
  return heard.buffers.get(number);
}

function hush() {
  for (const source of heard.sources) source.stop();
  heard.timers.forEach(clearTimeout);
  [heard.sources, heard.timers] = [[], []];
}

// Play [{ sound, from, to }] one after another; `watch` is called with the number of each as it begins, and null at the end.
async function playMoments(moments, watch) {
  hush();
  const context = audioContext();
  const buffers = await Promise.all(moments.map((moment) => bufferOf(moment.sound)));
  let at = context.currentTime + 0.05;
  moments.forEach(({ from, to }, number) => {
    schedule(context, buffers[number], at, Math.max(0, from), to - from);
    heard.timers.push(setTimeout(() => watch(number), 1000 * (at - context.currentTime)));
    at += to - from + GAP;
  });
  heard.timers.push(setTimeout(() => watch(null), 1000 * (at - context.currentTime)));
}

function schedule(context, buffer, at, from, seconds) {
  const source = new AudioBufferSourceNode(context, { buffer }), gain = new GainNode(context, { gain: 0 });
  source.connect(gain).connect(context.destination);
  gain.gain.setValueAtTime(0, at);
  gain.gain.linearRampToValueAtTime(1, at + FADE);
  gain.gain.setValueAtTime(1, Math.max(at + FADE, at + seconds - FADE));
  gain.gain.linearRampToValueAtTime(0, at + seconds);
  source.start(at, from, seconds);
  heard.sources.push(source);
}

// A second of noise with a spectrum in dB over `hertz`: random sines around the centre of every bin.
function playNoise(decibels, hertz) {
  hush();
  const context = audioContext(), rate = context.sampleRate, perBin = 6;
  const buffer = context.createBuffer(1, rate, rate), samples = buffer.getChannelData(0);
  const loudest = Math.max(...decibels);
  decibels.forEach((level, bin) => {
    if (level < loudest - 60) return;
    const width = ((hertz[bin + 1] ?? hertz[bin]) - (hertz[bin - 1] ?? hertz[bin])) / 2;
    for (let sine = 0; sine < perBin; sine += 1) {
      const step = 2 * Math.PI * (hertz[bin] + (Math.random() - 0.5) * width) / rate;
      const amplitude = 10 ** ((level - loudest) / 20), phase = 2 * Math.PI * Math.random();
      if (step < Math.PI) for (let i = 0; i < rate; i += 1) samples[i] += amplitude * Math.sin(phase + step * i);
    }
  });
  const highest = samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 1e-9);
  for (let i = 0; i < rate; i += 1) samples[i] *= 0.4 / highest;
  schedule(context, buffer, context.currentTime + 0.05, 0, 1);
}
