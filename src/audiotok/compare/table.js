// The table of runs: the text of its cells, the filter of its rows, and their order.
// A row has name, members (runs), cells (one a column), sds (of scores, where several runs are averaged).

const ABSENT = "–";

function written(value, isScore) {
  if (value === null) return ABSENT;
  if (typeof value !== "number" || !isScore) return String(value);
  if (Number.isInteger(value) && Math.abs(value) > 1) return value.toLocaleString("en-US");
  return value.toFixed(Math.abs(value) < 10 ? 4 : 1);
}

function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function deviation(values) {
  const middle = mean(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (values.length - 1));
}

function singleRows(data) {
  return data.runs.map((run) => ({ name: run.name, members: [run], cells: run.cells, sds: [] }));
}

// Runs that differ only in seed or test fold become one row of means, as in the table of a sweep.
function groupedRows(data) {
  const isReplicated = (place) => data.columns[place].replicated;
  const groups = new Map();
  for (const run of data.runs) {
    const settings = run.cells.slice(0, data.n_settings).map((cell, place) => (isReplicated(place) ? null : cell));
    const key = JSON.stringify(settings);
    if (!groups.has(key)) groups.set(key, { settings, members: [] });
    groups.get(key).members.push(run);
  }
  return [...groups.values()].map(({ settings, members }) => {
    const scores = data.columns.slice(data.n_settings).map((_, place) =>
      members.map((run) => run.cells[data.n_settings + place]).filter((value) => value !== null));
    return {
      name: members.length > 1 ? `${members[0].name} + ${members.length - 1}` : members[0].name,
      members,
      cells: [...settings, ...scores.map((values) => (values.length ? mean(values) : null))],
      sds: [...settings.map(() => null), ...scores.map((values) => (values.length > 1 ? deviation(values) : null))],
    };
  });
}

function columnNamed(name, columns) {
  const exact = columns.findIndex((column) => column.key === name || column.label === name);
  if (exact >= 0) return exact;
  return columns.findIndex((column) => column.key.endsWith(`.${name}`) || column.key.endsWith(`/${name}`));
}

// The condition on a row that one word of the filter states; throws if it names a column that does not exist.
function condition(word, data) {
  const parts = /^([^<>=!]+)(<=|>=|!=|=|<|>)(.+)$/.exec(word);
  if (!parts) {
    return (row) => [row.name, ...row.members.map((run) => run.name), ...row.cells.map(String)]
      .some((text) => text.toLowerCase().includes(word.toLowerCase()));
  }
  const [, name, operator, wanted] = parts;
  const place = columnNamed(name, data.columns);
  if (place < 0) throw new Error(`No column is called ${name}`);
  const number = Number(wanted);
  const equal = (value) => value !== null && (value === number ||
    [String(value), written(value, place >= data.n_settings)].some((text) => text.toLowerCase() === wanted.toLowerCase()));
  const tests = {
    "=": equal,
    "!=": (value) => !equal(value),
    "<": (value) => typeof value === "number" && value < number,
    ">": (value) => typeof value === "number" && value > number,
    "<=": (value) => typeof value === "number" && value <= number,
    ">=": (value) => typeof value === "number" && value >= number,
  };
  return (row) => tests[operator](row.cells[place]);
}

function filtered(rows, text, data) {
  const conditions = text.split(/\s+/).filter(Boolean).map((word) => condition(word, data));
  return rows.filter((row) => conditions.every((holds) => holds(row)));
}

// Numbers by value, before texts; absent values last, in both directions.
function sorted(rows, place, descending) {
  const valueOf = (row) => (place < 0 ? row.name : row.cells[place]);
  return [...rows].sort((one, other) => {
    const [x, y] = [valueOf(one), valueOf(other)];
    if (x === null || y === null) return (x === null) - (y === null);
    const order = typeof x === "number" && typeof y === "number" ? x - y
      : typeof x === typeof y ? x.localeCompare(y, "en", { numeric: true })
      : typeof x === "number" ? -1 : 1;
    return descending ? -order : order;
  });
}

function picker(letter, run, state) {
  const made = element("input", {
    type: "radio", name: letter, "aria-label": `${letter.toUpperCase()}: ${run.name}`, checked: state[letter] === run,
  });
  made.addEventListener("change", () => state.pick(letter, run));
  return element("td", { class: "pick" }, made);
}

// The columns that are shown, by their places in the data; the metric comes first and needs no scrolling.
function shownPlaces(data, state) {
  const metric = data.n_settings;
  const all = [metric, ...data.columns.keys()].filter((place, number) => number === 0 || place !== metric);
  return all.filter((place) => !(state.grouped && data.columns[place].replicated));
}

function headings(data, state) {
  const heading = (place, label, title, kind) => {
    const button = element("button", { type: "button", title }, label);
    button.addEventListener("click", () => state.sortBy(place));
    const order = state.descending ? "descending" : "ascending";
    return element("th", { scope: "col", class: kind, "aria-sort": state.place === place ? order : undefined }, button);
  };
  const letters = state.grouped ? [] : ["a", "b"].map((letter) =>
    element("th", { scope: "col", class: `pick is-${letter}` }, letter.toUpperCase()));
  const columns = shownPlaces(data, state).map((place) => {
    const column = data.columns[place];
    const implied = column.implied?.length ? `; ${column.implied.join(", ")} change with it` : "";
    const isNumber = data.runs.some((run) => typeof run.cells[place] === "number");
    const kinds = [isNumber ? "number" : "", place < data.n_settings ? "" : "score"];
    return heading(place, column.label, column.key + implied, kinds.join(" "));
  });
  return element("tr", {}, ...letters, heading(-1, "run", "its folder", "name"), ...columns);
}

function tableRow(row, data, state) {
  const [run] = row.members;
  const letters = state.grouped ? [] : [picker("a", run, state), picker("b", run, state)];
  const notes = row.members.flatMap((member) => member.notes.map((note) => `${member.name}: ${note}`));
  const name = element("th", { scope: "row", class: "name", title: row.members.map((member) => member.name).join("\n") }, shortened(row.name, 28));
  if (notes.length) name.prepend(element("span", { class: "note", role: "img", "aria-label": notes.join("; "), title: notes.join("\n") }, "⚠ "));
  const cells = shownPlaces(data, state).map((place) => {
    const value = row.cells[place];
    const isScore = place >= data.n_settings;
    const sd = row.sds[place] ?? null;
    const text = written(value, isScore) + (sd === null ? "" : ` ± ${written(sd, true)}`);
    return element("td", { class: value === null ? "absent" : typeof value === "number" ? "number" : "" }, text);
  });
  const letter = state.grouped ? "" : run === state.a ? "a" : run === state.b ? "b" : "";
  return element("tr", { class: letter }, ...letters, name, ...cells);
}

function showTable(table, rows, data, state) {
  table.replaceChildren(
    element("thead", {}, headings(data, state)),
    element("tbody", {}, ...rows.map((row) => tableRow(row, data, state))),
  );
}
