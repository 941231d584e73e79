// What is said and how it is put on the page: elements, the page's languages, the names of the networks.

export const $ = (id) => document.getElementById(id);

/** element("li", {className: "line", textContent: "1"}, child, ...) */
export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

/** Let the browser save content under a name. */
export function download(name, content, type) {
  const link = element("a", { href: URL.createObjectURL(new Blob([content], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // ms: the browser has begun to save by then
}

// The page in the language of the browser: one JSON file a language in languages/, of which English always exists.

let words = {};
let code = "en";

/** Load the first language of the browser that has a file, and put its words into the page. */
export async function speak() {
  for (code of [...navigator.languages.map((language) => language.split("-")[0]), "en"]) {
    const response = await fetch(`page/languages/${code}.json`);
    if (!response.ok) continue;
    words = await response.json();
    document.documentElement.lang = code;
    break;
  }
  for (const [attribute, name] of [["t", null], ["tLabel", "aria-label"], ["tAlt", "alt"], ["tPlaceholder", "placeholder"]]) {
    const selector = `[data-${attribute.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}]`;
    for (const element of document.querySelectorAll(selector)) {
      const text = t(element.dataset[attribute]);
      if (name) element.setAttribute(name, text);
      else element.textContent = text;
    }
  }
}

/** The words of a key, with {name} replaced by values.name; the key itself where there are none. */
export function t(key, values = {}) {
  return (words[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

export const has = (key) => key in words;

/** The same for a number of things: `key.one`, `key.other`, as the language has it. */
export function count(key, n) {
  const form = `${key}.${new Intl.PluralRules(code).select(n)}`;
  return t(has(form) ? form : `${key}.other`, { n });
}

/** "an 8" */
export const named = (digit) => words.named[digit];

export const capital = (text) => text[0].toUpperCase() + text.slice(1);

/** Rounded down, and never 100 %: nothing is certain. */
export function percent(share, places = 1) {
  const unit = 10 ** places;
  const parts = Math.min(100 * unit - 1, Math.floor(100 * unit * share + 1e-6)); // 1e-6: 0.29 * 100 is a little less than 29
  return `${decimal(parts / unit, places)}\u00a0%`;
}

export const decimal = (value, places) =>
  value.toLocaleString(code, { minimumFractionDigits: places, maximumFractionDigits: places });

// The networks: their names, the short ones where there is little room, and their places in the field's history.

export const CONSENSUS = "consensus";
const FAMILIES = {
  cnn: ["CNN", "CNN", 1998],
  alexnet: ["AlexNet", "AlexNet", 2012],
  vgg16: ["VGG16", "VGG16", 2014],
  faster_rcnn: ["Faster R-CNN", "R-CNN", 2015],
  vit: ["Vision Transformer", "ViT", 2020],
};

export const nameOf = (name) => FAMILIES[name]?.[0] ?? name;

/** The name of a network, or of all together. */
export const titleOf = (name) => (name === CONSENSUS ? t("results.consensus") : nameOf(name));

export const shortOf = (name) => FAMILIES[name]?.[1] ?? name;

/** Things in the order of the field's history; a network that has no place in it comes last. */
export function inHistory(things, name = (thing) => thing) {
  const year = (thing) => FAMILIES[name(thing)]?.[2] ?? Infinity;
  return things.toSorted((one, other) => (year(one) < year(other) ? -1 : year(one) > year(other) ? 1 : 0));
}
