// Pictures on canvases: levels, likeness, waveforms, axes.

function interpolated(palette, share) {
  return palette[Math.max(0, Math.min(palette.length - 1, Math.round(share * (palette.length - 1))))];
}

function likenessOf(data, book, token) {
  const share = data.ranks[book * data.n_clusters + token] / Math.max(1, data.n_clusters - 1);
  return interpolated(data.likeness, share);
}

function css([red, green, blue]) {
  return `rgb(${red},${green},${blue})`;
}

// Blue for less, red for more, the paper's colour for no difference.
function diverging(share) {
  const dark = color("paper") !== "#ffffff";
  const [zero, low, high] = [dark ? [20, 23, 27] : [255, 255, 255], [33, 102, 210], [214, 60, 40]];
  const end = share < 0 ? low : high, weight = Math.min(1, Math.abs(share));
  return zero.map((value, place) => Math.round(value + weight * (end[place] - value)));
}

// Draw an image of width x height pixels over a whole canvas, each pixel a rectangle.
function drawPixels(canvas, width, height, pixelAt) {
  const context = fitted(canvas);
  const image = new ImageData(width, height);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) image.data.set([...pixelAt(x, y), 255], 4 * (y * width + x));
  }
  const small = document.createElement("canvas");
  [small.width, small.height] = [width, height];
  small.getContext("2d").putImageData(image, 0, 0);
  context.imageSmoothingEnabled = false;
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
  return context;
}

// Give a canvas as many pixels as the screen has for it.
function fitted(canvas) {
  const ratio = window.devicePixelRatio || 1, box = canvas.getBoundingClientRect();
  [canvas.width, canvas.height] = [Math.max(1, Math.round(box.width * ratio)), Math.max(1, Math.round(box.height * ratio))];
  return canvas.getContext("2d");
}

function drawWave(canvas, peaks) {
  const context = fitted(canvas), middle = canvas.height / 2, step = canvas.width / peaks.length;
  context.fillStyle = color("rest");
  const highest = Math.max(1, ...peaks);
  peaks.forEach((peak, place) => {
    const height = Math.max(1, peak / highest * canvas.height * 0.95);
    context.fillRect(place * step, middle - height / 2, Math.max(1, step), height);
  });
}

function drawSeconds(canvas, seconds) {
  const context = fitted(canvas), ratio = window.devicePixelRatio || 1;
  const most = Math.max(2, canvas.width / ratio / 60);
  const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300].find((width) => seconds / width <= most) ?? seconds;
  [context.fillStyle, context.font, context.textBaseline] = [color("faint"), `${12 * ratio}px system-ui, sans-serif`, "top"];
  for (let number = 0; number * step <= seconds + 1e-6; number += 1) {
    const x = number * step / seconds * canvas.width, text = `${Number((number * step).toFixed(1))} s`;
    context.fillRect(Math.min(x, canvas.width - ratio), 0, ratio, 4 * ratio);
    context.fillText(text, Math.min(x + 2 * ratio, canvas.width - context.measureText(text).width), 6 * ratio);
  }
}

// Write frequencies at the left edge of a picture of spectra; `hertz` has the centre of each bin.
function drawHertz(canvas, hertz) {
  if (!hertz) return;
  const context = canvas.getContext("2d"), ratio = window.devicePixelRatio || 1;
  [context.font, context.textBaseline] = [`${11 * ratio}px system-ui, sans-serif`, "middle"];
  let last = Infinity;
  for (const tick of [100, 200, 500, 1000, 2000, 4000, 8000, 16000]) {
    const text = tick < 1000 ? `${tick} Hz` : `${tick / 1000} kHz`, above = hertz.findIndex((value) => value >= tick);
    if (above < 1) continue;
    const place = above - (hertz[above] - tick) / (hertz[above] - hertz[above - 1]);
    const y = canvas.height * (1 - (place + 0.5) / hertz.length);
    if (last - y < 15 * ratio || y < 8 * ratio) continue;
    last = y;
    context.fillStyle = "rgba(0,0,0,0.55)";
    context.fillRect(0, y - 7 * ratio, context.measureText(text).width + 6 * ratio, 14 * ratio);
    context.fillStyle = "#ffffff";
    context.fillText(text, 3 * ratio, y);
  }
}
