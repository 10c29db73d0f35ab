// The plots. Each function draws with Plotly from the data and the state of the page; none has a state of its own.

const MAX_INTERVALS = 40, MAX_AXES = 9, MAX_LEGEND = 8, N_CHANGED = 10;
const PALETTE = ["#3f78d8", "#e2672f", "#1fa8a0", "#b04fc4", "#93a030", "#d94f70", "#7a6ff0", "#a87543"];
const SCALE = ["#5a4fcf", "#3f78d8", "#2796c9", "#1fa8a0", "#4bb06a", "#93b03a", "#d39a2b", "#e2672f"];

function quantile(values, share) {
  const ranked = [...values].sort((x, y) => x - y);
  const place = share * (ranked.length - 1), below = Math.floor(place);
  return ranked[below] + (place - below) * ((ranked[below + 1] ?? ranked[below]) - ranked[below]);
}

// Resamples contain clips repeatedly, which raises their mAP a little; this bias is removed.
function centred(resamples, observed) {
  const shift = observed - mean(resamples);
  return resamples.map((value) => value + shift);
}

function interval(values) {
  return [quantile(values, 0.025), quantile(values, 0.975)];
}

function resamplesOf(run, data) {
  return run.resampled.map((value) => (value === null ? null : value * data.unit));
}

function plotIntervals(data, runs, state) {
  const tested = runs.filter((run) => run.test_set !== null);
  const some = tested.slice(0, MAX_INTERVALS);
  if (!some.length) {
    clear("intervals");
    return caption("intervals-caption", "None of these runs has predictions.");
  }
  const sets = new Set(some.map((run) => run.test_set)).size;
  caption("intervals-caption",
    `${data.n_resamples} bootstrap resamples of the test clips. ` +
    (tested.length > some.length ? `The first ${some.length} of ${tested.length} runs in the order of the table. ` : "") +
    (sets > 1 ? "These runs were tested on different clips or classes: compare only runs of the same test set (hover)." : ""));
  const bounds = some.map((run) => interval(centred(resamplesOf(run, data).filter((value) => value !== null), run.mAP)));
  const places = some.map((_, place) => place);
  draw("intervals", [{
    type: "scatter", mode: "markers", x: some.map((run) => run.mAP), y: places,
    marker: { size: 8, color: some.map((run) => color(run === state.a ? "a" : run === state.b ? "b" : "rest")) },
    error_x: {
      type: "data", symmetric: false, color: color("rest"), thickness: 1.5, width: 3,
      array: bounds.map(([, high], place) => high - some[place].mAP),
      arrayminus: bounds.map(([low], place) => some[place].mAP - low),
    },
    text: some.map((run, place) => `${run.name}<br>${run.mAP.toFixed(4)} (${bounds[place].map((x) => x.toFixed(4)).join(" … ")})` +
      `<br>test set ${run.test_set + 1}: ${run.n_clips} clips`),
    hovertemplate: "%{text}<extra></extra>",
  }], {
    height: 80 + 22 * some.length,
    xaxis: { title: { text: "test mAP" } },
    yaxis: { tickvals: places, ticktext: some.map((run) => shortened(run.name)), range: [some.length - 0.5, -0.5], zeroline: false },
  });
}

// One trace of many lines, with gaps between them: two hundred traces would take seconds to draw.
function lines(runs, pointsOf, more) {
  const trace = { type: "scatter", mode: "lines", x: [], y: [], text: [], connectgaps: false, ...more };
  for (const run of runs) {
    const [xs, ys] = pointsOf(run);
    trace.x.push(...xs, null);
    trace.y.push(...ys, null);
    trace.text.push(...xs.map(() => run.name), "");
  }
  return trace;
}

function plotCurves(data, runs, state, metric) {
  const having = runs.filter((run) => run.curves[metric]);
  const pointsOf = (run) => run.curves[metric];
  const hovertemplate = "%{text}<br>epoch %{x}: %{y:.4f}<extra></extra>";
  const mode = having.some((run) => run.curves[metric][0].length > 1) ? "lines" : "markers";
  if (!having.length) return clear("curves");
  const chosen = ["a", "b"].filter((letter) => having.includes(state[letter]));
  const rest = having.filter((run) => run !== state.a && run !== state.b);
  const apart = having.length <= MAX_LEGEND;
  const traces = [
    ...(apart ? rest.map((run, place) => lines([run], pointsOf, {
      name: shortened(run.name), line: { color: PALETTE[(place + 2) % PALETTE.length], width: 1.5 }, mode, hovertemplate,
    })) : [lines(rest, pointsOf, { name: `${rest.length} others`, line: { color: color("rest"), width: 1 }, opacity: 0.45, mode, hovertemplate })]),
    ...chosen.map((letter) => lines([state[letter]], pointsOf, {
      name: `${letter.toUpperCase()}: ${shortened(state[letter].name, 28)}`, line: { color: color(letter), width: 3 }, mode, hovertemplate,
    })),
  ];
  draw("curves", traces, {
    height: 400, showlegend: true, legend: { orientation: "h", y: -0.18, yanchor: "top" },
    xaxis: { title: { text: "epoch" } }, yaxis: { title: { text: metric } },
  });
}

// The position of a value on its axis, from 0 to 1, and the ticks of that axis.
function axisOf(values, isScore) {
  const distinct = [...new Set(values)].filter((value) => value !== null);
  const numeric = distinct.every((value) => typeof value === "number");
  if (!isScore && (!numeric || distinct.length <= 8)) {
    const ranked = distinct.sort((x, y) => (numeric ? x - y : String(x).localeCompare(String(y), "en", { numeric: true })));
    const all = values.includes(null) ? [null, ...ranked] : ranked;
    const place = (value) => (all.length > 1 ? all.indexOf(value) / (all.length - 1) : 0.5);
    const step = Math.ceil(all.length / 12);
    return { place, ticks: all.filter((_, number) => number % step === 0).map((value) => [place(value), written(value, false)]) };
  }
  const [low, high] = [Math.min(...distinct), Math.max(...distinct)];
  const scale = low > 0 && high / low > 50 ? Math.log : (value) => value;
  const place = (value) => (value === null ? null : high > low ? (scale(value) - scale(low)) / (scale(high) - scale(low)) : 0.5);
  return { place, ticks: [...new Set([low, high])].map((value) => [place(value), String(Number(value.toPrecision(3)))]) };
}

function plotParallel(data, runs) {
  const target = data.n_settings;
  const scored = runs.filter((run) => run.cells[target] !== null);
  const losses = new Map((data.importance.losses ?? []).flatMap(([labels, loss]) => labels.split(" = ").map((label) => [label, loss])));
  const weight = (place) => losses.get(data.columns[place].label) ?? 0;
  const settings = [...Array(target).keys()];
  const kept = new Set([...settings].sort((x, y) => weight(y) - weight(x)).slice(0, MAX_AXES));
  const places = [...settings.filter((place) => kept.has(place)), target];
  if (!scored.length) {
    clear("parallel");
    return caption("parallel-caption", `None of these runs has ${data.metric}.`);
  }
  caption("parallel-caption", "Each line is a run, coloured by its score; – marks a key that the run lacks." +
    (target > MAX_AXES ? ` The ${MAX_AXES} most important of ${target} settings are shown.` : ""));
  const axes = places.map((place) => axisOf(scored.map((run) => run.cells[place]), place === target));
  const scores = scored.map((run) => run.cells[target]);
  const [low, high] = [Math.min(...scores), Math.max(...scores)];
  const step = (run) => (high > low ? Math.min(SCALE.length - 1, Math.floor(SCALE.length * (run.cells[target] - low) / (high - low))) : 0);
  const xs = places.map((_, number) => number);
  const traces = SCALE.map((shade, number) => lines(
    scored.filter((run) => step(run) === number),
    (run) => [xs, places.map((place, axis) => axes[axis].place(run.cells[place]))],
    { line: { color: shade, width: 1.5 }, opacity: scored.length > 50 ? 0.55 : 0.9, hovertemplate: "%{text}<extra></extra>", showlegend: false },
  ));
  for (const trace of traces) {
    const byName = new Map(scored.map((run) => [run.name, run]));
    trace.text = trace.text.map((name) => (byName.has(name) ? `${name}<br>${data.metric} ${written(byName.get(name).cells[target], true)}` : ""));
  }
  const font = { size: 11, color: color("ink") };
  const annotations = places.flatMap((place, number) => [
    { x: number, y: 1.06, text: `<b>${shortened(data.columns[place].label, 22)}</b>`, showarrow: false, textangle: -20, xanchor: "left", yanchor: "bottom", font },
    ...axes[number].ticks.map(([y, text]) => ({
      x: number, y, text: shortened(text, 16), showarrow: false, xanchor: "left", xshift: 4, yanchor: "middle", font, bgcolor: color("paper"), opacity: 0.85, borderpad: 1,
    })),
  ]);
  draw("parallel", traces, {
    height: 460, annotations, margin: { l: 20, r: 70, t: 95, b: 20 },
    shapes: xs.map((x) => ({ type: "line", x0: x, x1: x, y0: 0, y1: 1, line: { color: color("faint"), width: 1 } })),
    xaxis: { visible: false, range: [-0.1, places.length - 1 + 0.35], fixedrange: true },
    yaxis: { visible: false, range: [-0.04, 1.06], fixedrange: true },
  });
}

function plotImportance(data) {
  const { losses, explained, n_runs: nRuns, n_missing: nMissing } = data.importance;
  if (!losses) {
    return caption("importance-caption", nMissing
      ? `This needs ${nMissing + nRuns} runs with ${data.metric}; there are ${nRuns}.`
      : "All runs have the same score, or the same settings.");
  }
  caption("importance-caption",
    `A random forest on ${nRuns} runs predicts ${data.metric} of runs that it has not seen with R² = ${explained.toFixed(2)}` +
    (explained < 0.2 ? ", which is too low to trust the bars. " : ". ") +
    "Each bar is the loss of R² when the values of a setting are shuffled; it says nothing about values that were not tried.");
  const some = losses.slice(0, 15).reverse();
  draw("importance", [{
    type: "bar", orientation: "h", x: some.map(([, loss]) => loss), y: some.map((_, place) => place),
    marker: { color: color("a") }, text: some.map(([label]) => label), textposition: "none", hovertemplate: "%{text}<br>%{x:.3f}<extra></extra>",
  }], {
    height: 80 + 26 * some.length, xaxis: { title: { text: "loss of R²" } },
    yaxis: { tickvals: some.map((_, place) => place), ticktext: some.map(([label]) => shortened(label)) },
  });
}

// Whether the difference of A and B is significant, in a sentence and a histogram of paired differences.
function showVerdict(data, { a, b }) {
  const names = `A is ${a.name}, B is ${b.name}. `;
  clear("difference");
  caption("difference-caption", "");
  if (a.test_set === null || b.test_set === null) {
    return caption("verdict", `${names}${a.test_set === null ? "A" : "B"} has no predictions, so they cannot be compared clip by clip.`);
  }
  if (a.test_set !== b.test_set) {
    return caption("verdict", `${names}They were tested on different clips or classes, so their difference means little.`);
  }
  const [first, second] = [a, b].map((run) => resamplesOf(run, data));
  const raw = second.map((value, place) => (value === null || first[place] === null ? null : value - first[place]));
  const differences = centred(raw.filter((value) => value !== null), b.mAP - a.mAP);
  const [low, high] = interval(differences);
  const ahead = b.mAP >= a.mAP ? "B" : "A";
  const share = mean(differences.map((value) => Number(ahead === "B" ? value > 0 : value < 0)));
  const judgement = a === b ? "They are the same run."
    : low > 0 || high < 0 ? "The difference is significant for these test clips; another seed may still reverse it."
    : "The difference may be due to the choice of test clips.";
  const signed = (value) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(4)}`;
  caption("verdict", `${names}Test mAP ${a.mAP.toFixed(4)} and ${b.mAP.toFixed(4)}: B − A is ${signed(b.mAP - a.mAP)}, ` +
    `95 % interval ${signed(low)} … ${signed(high)}; ${ahead} is ahead in ${Math.round(100 * share)} % of resamples. ${judgement}`);
  caption("difference-caption", `mAP of B − A in ${differences.length} resamples of the same ${a.n_clips} test clips`);
  draw("difference", [{ type: "histogram", x: differences, nbinsx: 40, marker: { color: color("rest") }, hovertemplate: "%{x}: %{y}<extra></extra>" }], {
    height: 320, bargap: 0.05, xaxis: { title: { text: "mAP of B − A" } }, yaxis: { title: { text: "resamples" } },
    shapes: [0, low, high].map((x, place) => ({ type: "line", x0: x, x1: x, yref: "paper", y0: 0, y1: 1, line: { color: color(place ? "b" : "ink"), width: 2, dash: place ? "dot" : "solid" } })),
  });
}

function plotClasses(data, { a, b }) {
  const scoresOf = (run) => new Map(data.class_sets[run.classes].map(([id, name, positives], place) =>
    [id, { name, positives, precision: run.precision[place] }]));
  const others = scoresOf(b);
  const both = [...scoresOf(a)].flatMap(([id, one]) => {
    const other = others.get(id);
    if (!other || one.precision === null || other.precision === null) return [];
    return [{ name: one.name, positives: one.positives, a: one.precision, b: other.precision, change: other.precision - one.precision }];
  });
  if (!both.length) {
    ["scatter", "classes"].forEach(clear);
    caption("scatter-caption", "No class was scored in both runs.");
    return caption("classes-caption", "");
  }
  const about = (row) => `${row.name} (${row.positives} clips)<br>A ${row.a.toFixed(3)}, B ${row.b.toFixed(3)}`;
  const shade = (row) => color(row.change > 0 ? "b" : row.change < 0 ? "a" : "rest");
  caption("scatter-caption", `Average precision of ${both.length} classes: B is better above the line`);
  draw("scatter", [{
    type: "scatter", mode: "markers", x: both.map((row) => row.a), y: both.map((row) => row.b),
    marker: { color: both.map(shade), opacity: 0.75, size: both.map((row) => 5 + Math.min(12, Math.sqrt(row.positives))) },
    text: both.map(about), hovertemplate: "%{text}<extra></extra>",
  }], {
    height: 320, xaxis: { title: { text: "A" }, range: [-0.03, 1.03] }, yaxis: { title: { text: "B" }, range: [-0.03, 1.03] },
    shapes: [{ type: "line", x0: 0, x1: 1, y0: 0, y1: 1, line: { color: color("faint"), width: 1 } }],
  });
  const ranked = both.filter((row) => row.change !== 0).sort((one, other) => one.change - other.change);
  const lost = ranked.filter((row) => row.change < 0).slice(0, N_CHANGED);
  const gained = ranked.filter((row) => row.change > 0).slice(-N_CHANGED);
  const shown = [...lost, ...gained];
  if (!shown.length) {
    clear("classes");
    return caption("classes-caption", "No class gained or lost.");
  }
  caption("classes-caption", `Average precision of B − A: the ${gained.length} classes that gained most and the ${lost.length} that lost most (number of test clips with the class)`);
  draw("classes", [{
    type: "bar", orientation: "h", x: shown.map((row) => row.change), y: shown.map((_, place) => place),
    marker: { color: shown.map(shade) }, text: shown.map(about), textposition: "none", hovertemplate: "%{text}<extra></extra>",
  }], {
    height: 80 + 22 * shown.length, xaxis: { title: { text: "average precision of B − A" } },
    yaxis: { tickvals: shown.map((_, place) => place), ticktext: shown.map((row) => `${shortened(row.name, 30)} (${row.positives})`), zeroline: false },
  });
}
