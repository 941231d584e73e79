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
