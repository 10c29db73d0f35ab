// The state of the page: which runs are shown and compared, and the plots that depend on it.

function setUp(data) {
  const at = (id) => document.getElementById(id);
  const counted = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;
  const state = { place: data.n_settings, descending: !data.lower, grouped: false, a: null, b: null, plots: false };
  let timer = 0;

  function chooseRows() {
    try {
      const rows = filtered(state.grouped ? groupedRows(data) : singleRows(data), at("filter").value, data);
      at("count").className = "";
      caption("count", state.grouped ? counted(rows.length, "setting") : `${rows.length} of ${counted(data.runs.length, "run")}`);
      state.rows = sorted(rows, state.place, state.descending);
    } catch (error) {  // an incomplete condition, while it is being typed: the rows stay as they are
      at("count").className = "wrong";
      caption("count", error.message);
    }
  }

  function showRows() {
    chooseRows();
    showTable(at("table").querySelector("table"), state.rows, data, state);
    clearTimeout(timer);
    timer = setTimeout(plotRuns, 150);
  }

  function plotRuns() {
    if (!state.plots) return;
    const runs = state.rows.flatMap((row) => row.members);
    plotIntervals(data, runs, state);
    plotCurves(data, runs, state, at("curve").value);
    plotParallel(data, runs);
  }

  function plotPair() {
    if (!state.plots) return;
    if (!state.a || !state.b) return caption("verdict", "Select A and B in the table to compare two runs.");
    showVerdict(data, state);
    plotClasses(data, state);
  }

  state.sortBy = (place) => {
    state.descending = state.place === place ? !state.descending : place >= data.n_settings && !data.lower;
    state.place = place;
    showRows();
    at("table").querySelector("th[aria-sort] button").focus();
  };
  state.pick = (letter, run) => {
    state[letter] = run;
    showRows();
    at("table").querySelector(`input[name=${letter}]:checked`)?.focus();
    plotPair();
  };

  function describe() {
    const failed = data.runs.filter((run) => run.notes.length);
    caption("summary", `${counted(data.runs.length, "run")} by ${data.metric}${data.lower ? " (lower is better)" : ""}, ` +
      `which differ in ${counted(data.n_settings, "setting")}.`);
    at("notes").hidden = !failed.length;
    at("notes").querySelector("summary").textContent = `${counted(failed.length, "run")} with missing or damaged files`;
    at("notes").querySelector("ul").append(...failed.map((run) => element("li", {}, `${run.name}: ${run.notes.join("; ")}`)));
    at("grouped-label").hidden = !data.columns.some((column) => column.replicated);
    const metrics = [...new Set(data.runs.flatMap((run) => Object.keys(run.curves)))].sort();
    const preferred = [data.metric, "val/mAP", "val/loss", "train/loss"].find((name) => metrics.includes(name));
    at("curve").append(...metrics.map((name) => element("option", { selected: name === preferred }, name)));
    at("curve").closest("section").hidden = !metrics.length;
  }

  function pickBest() {
    const tested = sorted(singleRows(data), state.place, state.descending).flatMap((row) => row.members)
      .filter((run) => run.test_set !== null);
    [state.b = null] = tested;
    state.a = tested.slice(1).find((run) => run.test_set === state.b.test_set) ?? tested[1] ?? null;
  }

  describe();
  pickBest();
  showRows();
  at("filter").addEventListener("input", showRows);
  at("controls").addEventListener("submit", (event) => event.preventDefault());
  at("grouped").addEventListener("change", (event) => {
    state.grouped = event.target.checked;
    showRows();
  });
  at("curve").addEventListener("change", plotRuns);
  return function plotAll() {
    state.plots = true;
    plotPair();
    plotRuns();
    plotImportance(data);
  };
}

async function main() {
  if (!("DecompressionStream" in window)) {
    return caption("summary", "This browser is too old for this page; use one of 2023 or later.");
  }
  const plotAll = setUp(JSON.parse(await unpacked("packed-data")));
  await loadPlotly();
  plotAll();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", plotAll);
  document.body.dataset.ready = "";
}

main();
