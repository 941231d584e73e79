// Single test images: the confusion matrices with the images behind their cells, and the hardest ones.

import { element } from "./element.js";
import { inHistory, titleOf } from "./families.js";
import { percent, t } from "./language.js";

const SIDE = 56; // pixels of the screen of one image
const TEN = Array.from({ length: 10 }, (_, digit) => digit);

/** Buttons to choose a network, its matrix, and a place for the images of a chosen cell. */
export function showConfusion(names, browse) {
  const matrix = element("div", { className: "wide", tabIndex: 0 });
  const behind = element("div", { className: "behind", role: "status" });
  const choices = names.map((name) => {
    const button = element("button", { type: "button", textContent: titleOf(name) });
    button.addEventListener("click", () => {
      for (const choice of choices) choice.setAttribute("aria-pressed", choice === button);
      behind.replaceChildren();
      matrix.replaceChildren(matrixOf(name, browse, behind));
    });
    return button;
  });
  choices.at(-1).click();
  return [element("div", { className: "choices" }, ...choices), matrix, behind];
}

function matrixOf(name, browse, behind) {
  const head = element("tr", {}, element("td"), ...TEN.map((digit) => element("th", { scope: "col", textContent: digit })));
  const rows = browse.models[name].confusion.map((row, label) => {
    const cells = row.map((n, digit) => cell(n, label, digit, () => open(name, browse, behind, label, digit)));
    return element("tr", {}, element("th", { scope: "row", textContent: label }), ...cells);
  });
  return element("table", { className: "matrix" }, element("thead", {}, head), element("tbody", {}, ...rows));
}

function cell(n, label, digit, choose) {
  if (label === digit) return element("td", { className: "right", textContent: n });
  if (!n) return element("td");
  const button = element("button", { type: "button", textContent: n });
  button.setAttribute("aria-label", t("results.cell", { label, digit, n }));
  button.addEventListener("click", choose);
  return element("td", {}, button);
}

function open(name, browse, behind, label, digit) {
  const found = browse.images.entries().filter(([, image]) => image.label === label && image.says[name][0] === digit);
  const title = t("results.behind", { name: titleOf(name), label, digit });
  behind.replaceChildren(element("h3", { textContent: title }), list([...found].map(([place]) => place), browse));
}

export const showHardest = (browse) => list(browse.hardest, browse);

/** Images at their places in the picture of all that are shown, each with what every network said. */
function list(places, browse) {
  const items = places.map((place) => {
    const { index, label, says } = browse.images[place];
    const tile = element("span", { className: "tile" });
    tile.style.backgroundImage = "url(page/results/misread.png)";
    tile.style.backgroundSize = `${browse.columns * SIDE}px auto`;
    tile.style.backgroundPosition = `${-(place % browse.columns) * SIDE}px ${-Math.floor(place / browse.columns) * SIDE}px`;
    const words = inHistory(Object.entries(says), ([name]) => name).map(([name, [digit, confidence]]) => {
      const wrong = digit === label ? "" : "wrong";
      return element("span", { className: wrong, textContent: `${titleOf(name)} ${digit}, ${percent(confidence, 0)}` });
    });
    const lines = words.flatMap((word) => [word, element("br")]);
    return element("li", { title: `#${index}` }, tile, element("div", {}, element("b", { textContent: t("results.is", { label }) }), element("br"), ...lines));
  });
  return element("ul", { className: "digits" }, ...items);
}
