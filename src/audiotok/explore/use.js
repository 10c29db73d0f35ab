// How the tokens are used: perplexity, Zipf, runs, transitions, tokens of one recording.

const MOST_LONELY = 40;

function plotUse(data, state) {
  const books = [...Array(data.n_codebooks).keys()];
  const perplexities = books.map((book) => perplexityOf(bookCounts(data, book)));
  const used = books.map((book) => bookCounts(data, book).filter((count) => count > 0).length);
  draw("perplexity", [
    { type: "bar", name: "tokens in use", x: books.map((book) => book + 1), y: used, marker: { color: color("line") } },
    { type: "bar", name: "perplexity", x: books.map((book) => book + 1), y: perplexities, marker: { color: books.map((book) => color(book === state.book ? "b" : "a")) } },
  ], { height: 280, barmode: "overlay", showlegend: true, legend: { orientation: "h", y: 1.15 }, xaxis: { title: { text: "codebook" } }, yaxis: { title: { text: "tokens" } } });
  const curve = (counts, name, shade, width) => {
    const ranked = Array.from(counts).filter((count) => count > 0).sort((x, y) => y - x);
    const total = ranked.reduce((sum, count) => sum + count, 0);
    return { type: "scatter", mode: "lines", name, x: ranked.map((_, rank) => rank + 1), y: ranked.map((count) => count / total), line: { color: color(shade), width } };
  };
  draw("zipf", [curve(data.counts, "all codebooks", "rest", 1.5), curve(bookCounts(data, state.book), `codebook ${state.book + 1}`, "b", 3)], {
    height: 280, showlegend: true, legend: { orientation: "h", y: 1.15 },
    xaxis: { type: "log", title: { text: "rank" } }, yaxis: { type: "log", title: { text: "share" } },
  });
  plotRuns(data, state);
  plotTransitions(data, state);
}

function plotRuns(data, state) {
  const counts = data.run_lengths[state.book], total = counts.reduce((sum, count) => sum + count, 0);
  const length = bookCounts(data, state.book).reduce((sum, count) => sum + count, 0) / Math.max(1, total);
  caption("runs-caption", `How many times in a row a token occurs: ${length.toFixed(2)} in the mean, which is ${(1000 * length * data.token_seconds).toFixed(0)} ms`);
  draw("runs", [{
    type: "bar", x: counts.map((_, place) => (place + 1 < counts.length ? String(place + 1) : `${place + 1}+`)), y: counts.map((count) => count / Math.max(1, total)),
    marker: { color: color("a") }, hovertemplate: "%{x}: %{y:.3f}<extra></extra>",
  }], { height: 280, xaxis: { type: "category", title: { text: "tokens" } }, yaxis: { title: { text: "share of runs" } } });
}

function plotTransitions(data, state) {
  const counts = data.transitions[state.book];
  const rows = counts.map((row) => row.map((count) => count / Math.max(1, row.reduce((sum, other) => sum + other, 0))));
  const stops = [color("paper"), color("a")];
  draw("transitions", [{
    type: "heatmap", z: rows, colorscale: [[0, stops[0]], [1, stops[1]]], hovertemplate: "from %{y} to %{x}: %{z:.2f}<extra></extra>", colorbar: { thickness: 12 },
  }], { height: 320, xaxis: { title: { text: "next token" }, showticklabels: false }, yaxis: { title: { text: "token" }, showticklabels: false, autorange: "reversed" } });
}

function showLonely(data, state) {
  const found = [];
  data.n_recordings.forEach((recordings, index) => {
    if (recordings === 1) found.push(index);
  });
  found.sort((x, y) => data.counts[y] - data.counts[x]);
  caption("lonely-caption", `${counted(found.length, "token")} of ${data.n_recordings.length.toLocaleString("en-US")} occur in one recording alone` +
    (found.length > MOST_LONELY ? `; the ${MOST_LONELY} most frequent of them:` : found.length ? ":" : "."));
  document.getElementById("lonely").replaceChildren(...found.slice(0, MOST_LONELY).map((index) => {
    const book = Math.floor(index / data.n_clusters), token = index % data.n_clusters;
    return chip(data, book, token, state, `${book + 1}: ${token} (${data.counts[index]} times)`);
  }));
}
