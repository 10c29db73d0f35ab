// A class: the tokens and pairs of tokens that tell it from the others, and its best and worst clips.

function row(cells) {
  return element("tr", {}, ...cells.map((cell, place) => element("td", { class: place ? "number" : "" }, cell)));
}

function heading(...names) {
  return element("thead", {}, element("tr", {}, ...names.map((name, place) => element("th", { scope: "col", class: place ? "number" : "" }, name))));
}

function shares(data, chosen, inside, all) {
  const others = data.n_clips - chosen.n;
  return [percent(inside / Math.max(1, chosen.n)), percent((all - inside) / Math.max(1, others))];
}

function clipItem(data, state, [place, id, probability]) {
  const number = data.clips.findIndex((clip) => clip.place === place), text = `${id}: ${percent(probability)}`;
  if (number < 0) return element("li", {}, text);
  const open = element("button", { type: "button", class: "chip" }, text);
  open.addEventListener("click", () => state.pickClip(number));
  return element("li", {}, open);
}

function showClass(data, state) {
  const chosen = data.classes[state.class], at = (id) => document.getElementById(id);
  caption("class-facts", `${counted(chosen.n, "clip")} of ${counted(data.n_clips, "clip")}. Tokens and pairs are ranked by how surely ` +
    "the share of clips that have them differs between the class and the others (test of two proportions).");
  at("class-tokens").replaceChildren(heading("token", "clips of the class", "other clips"), element("tbody", {}, ...chosen.tokens.map(
    ([book, token, inside, all]) => row([chip(data, book, token, state), ...shares(data, chosen, inside, all)]))));
  at("class-pairs").replaceChildren(heading("one after the other", "clips of the class", "other clips"), element("tbody", {}, ...chosen.pairs.map(
    ([book, first, second, inside, all]) => row([element("span", { class: "chips" }, chip(data, book, first, state), chip(data, book, second, state)), ...shares(data, chosen, inside, all)]))));
  at("extremes").hidden = !chosen.best.length;
  at("worst-part").hidden = !chosen.worst.length;
  for (const id of ["best", "worst"]) at(id).replaceChildren(...chosen[id].map((item) => clipItem(data, state, item)));
}

function setUpClasses(data, state) {
  const choice = document.getElementById("class-choice");
  const named = data.classes.map((one, place) => [one, place]).filter(([one]) => one.n);
  choice.append(...named.map(([one, place]) => element("option", { value: place }, `${one.name} (${one.n})`)));
  state.class = named.length ? named[0][1] : 0;
  choice.addEventListener("change", () => {
    state.class = Number(choice.value);
    showClass(data, state);
  });
}
