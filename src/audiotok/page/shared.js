"use strict";
// What all pages share: elements, captions, plots by plotly, and what is packed in the page.

async function unpacked(id) {
  const bytes = Uint8Array.from(atob(document.getElementById(id).textContent), (letter) => letter.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
}

async function loadPlotly() {
  const plotly = document.createElement("script");
  plotly.textContent = await unpacked("packed-plotly");
  document.head.append(plotly);
}

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

// Keep the end of a name, which distinguishes runs: the folders above them are often the same.
function shortened(name, length = 34) {
  return name.length > length ? `…${name.slice(1 - length)}` : name;
}

function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function draw(id, traces, layout) {
  const grid = { gridcolor: color("line"), zerolinecolor: color("faint"), automargin: true };
  const font = { family: "system-ui, sans-serif", size: 13, color: color("ink") };
  const common = {
    paper_bgcolor: color("paper"), plot_bgcolor: color("paper"), font, hovermode: "closest",
    margin: { l: 55, r: 15, t: 10, b: 45 }, hoverlabel: { font: { size: 12 }, namelength: -1 },
  };
  const axes = { xaxis: { ...grid, ...layout.xaxis }, yaxis: { ...grid, ...layout.yaxis } };
  const { height, ...rest } = layout;
  document.getElementById(id).style.height = `${height}px`;  // set on the element, so that it stays when the window gets narrower
  return Plotly.react(id, traces, { ...common, ...rest, ...axes }, { displayModeBar: false, responsive: true });
}

function clear(id) {
  Plotly.purge(id);
  document.getElementById(id).style.height = "";
}

function caption(id, text) {
  document.getElementById(id).textContent = text;
}
