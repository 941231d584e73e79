// Each network: its vote beside the sheet, which also switches it off and on, its card, and on request what it looks at.

import { post } from "./ask.js";
import { $, decimal, element, has, inHistory, nameOf, percent, shortOf, t } from "./words.js";

const TABS = ["answer", "covered", "inside"];
const off = new Set(); // names of the networks that take no part
let names = [];
let votes = null; // what /predict answered
let subject = null; // {blob, digit, said}: what can be looked into
let tab = TABS[0];
let drawing; // inside.js, once it is needed

/** Make votes and cards from what /models says and the recorded milliseconds of each. `changed` is called after a switch. */
export function introduce(models, medians, changed) {
  const ordered = inHistory(models, ({ name }) => name);
  names = ordered.map(({ name }) => name);
  $("votes").replaceChildren(...names.map((name) => vote(name, changed)));
  $("networks").replaceChildren(...ordered.map((model) => card(model, medians[model.name])));
  for (const id of ["votes", "tabs"]) $(id).hidden = false;
  showVotes(votes);
}

/** The parameter of an address that leaves out what is switched off. */
export const chosen = () => (off.size ? `models=${names.filter((name) => !off.has(name))}` : "");

function vote(name, changed) {
  const button = element("button", { type: "button", title: nameOf(name) }, element("span", { textContent: shortOf(name) }), element("b"), element("small"));
  button.dataset.name = name;
  button.setAttribute("aria-pressed", "true");
  button.addEventListener("click", () => {
    if (off.has(name)) off.delete(name);
    else if (off.size < names.length - 1) off.add(name);
    button.setAttribute("aria-pressed", !off.has(name));
    changed();
  });
  return element("li", {}, button);
}

function card({ name, metadata }, median) {
  const facts = [];
  if (metadata.parameters) facts.push(t("parameters", { m: decimal(metadata.parameters / 1e6, 2) }));
  if (metadata.test_accuracy) facts.push(t("on-mnist", { percent: `${decimal(100 * metadata.test_accuracy, 2)}\u00a0%` }));
  if (median) facts.push(t("median", { ms: decimal(median, 1) }));
  const bars = element("div", { className: "bars", role: "img" });
  for (let digit = 0; digit < 10; digit++) bars.append(element("span", {}, element("i"), `${digit}`));
  const family = metadata.family ?? "";
  const [paper] = family.match(/https?:[^\s)]+/) ?? [];
  const about = element("details", {}, element("summary", { textContent: t("how") }));
  about.append(element("p", { textContent: `${has(`about.${name}`) ? t(`about.${name}`) : family} ` }));
  if (paper) about.lastChild.append(element("a", { href: paper, rel: "noreferrer", textContent: t("paper") }));
  const canvas = element("canvas", { width: 224, height: 224, hidden: true });
  const made = element("li", {}, element("h3", { textContent: nameOf(name) }), element("b"), element("p", { className: "facts", textContent: facts.join(" · ") }), canvas, bars, about);
  made.dataset.name = name;
  return made;
}

/** Show what /predict answered; null for nothing. */
export function showVotes(answer) {
  votes = answer;
  const find = ({ dataset }) => answer?.models.find((model) => model.name === dataset.name);
  for (const button of $("votes").querySelectorAll("button")) fillVote(button, find(button));
  for (const made of $("networks").children) fill(made, find(made));
}

function mark(made, model) {
  made.classList.toggle("silent", !model);
  made.classList.toggle("differs", Boolean(model && model.digit !== votes.digit));
  made.querySelector("b").textContent = model ? model.digit : "–";
}

function fillVote(button, model) {
  mark(button, model);
  button.querySelector("small").textContent = model ? percent(model.confidence) : off.has(button.dataset.name) ? t("off") : "\u00a0";
}

function fill(made, model) {
  mark(made, model);
  const bars = made.querySelector(".bars");
  const ranked = [...(model?.probabilities ?? []).entries()].sort((one, other) => other[1] - one[1]).slice(0, 2);
  const words = ranked.map(([digit, probability]) => `${digit}: ${percent(probability)}`).join(", ");
  bars.setAttribute("aria-label", words || t("nothing-yet"));
  [...bars.children].forEach((column, digit) => {
    const probability = model?.probabilities[digit] ?? 0;
    column.title = model ? `${digit}: ${percent(probability)}` : "";
    column.className = model?.digit === digit ? "most" : "";
    column.firstElementChild.style.height = `${100 * probability}%`;
  });
}

// The tabs. What a network looks at is asked for when it is shown, once for each image.

/** From now on `blob` can be looked into, of which /predict said `answer`. */
export function explain(blob, answer) {
  subject = { blob, digit: answer.digit, said: new Map() };
  look();
}

/** The sheet changed: what was seen inside an older image goes. */
export function forget() {
  subject = null;
  look();
}

async function look() {
  for (const button of $("tabs").children) {
    button.setAttribute("aria-selected", button.value === tab);
    button.tabIndex = button.value === tab ? 0 : -1;
  }
  $("panel").setAttribute("aria-labelledby", `tab-${tab}`);
  $("networks").hidden = tab === "inside";
  $("inside").hidden = tab !== "inside";
  $("legend").hidden = tab === "answer";
  $("legend").textContent = tab === "answer" ? "" : t(`legend.${tab}`);
  const canvases = $("networks").querySelectorAll("canvas");
  for (const canvas of canvases) canvas.hidden = true;
  $("inside").replaceChildren();
  if (tab === "answer") return;
  drawing ??= await import("./inside.js");
  if (tab === "inside") return drawing.showInside(names, subject && said);
  const now = subject;
  if (!now) return;
  for (const canvas of canvases) {
    const { name } = canvas.parentElement.dataset;
    said(name).then((inside) => {
      if (now !== subject || tab !== "covered" || inside.error) return;
      canvas.hidden = false;
      drawing.paintCovered(canvas, inside);
    });
  }
}

/** What the service says of the inside of one network, asked once. */
function said(name) {
  const { blob, digit, said: known } = subject;
  if (!known.has(name)) known.set(name, post(`models/${name}/inside?digit=${digit}`, blob));
  return known.get(name);
}

function choose(next) {
  tab = next;
  look();
}

const beside = (step) => TABS[(TABS.indexOf(tab) + step + TABS.length) % TABS.length];

$("tabs").addEventListener("click", ({ target }) => target.value && choose(target.value));
$("tabs").addEventListener("keydown", ({ key }) => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[key];
  if (!step) return;
  choose(beside(step));
  $(`tab-${tab}`).focus();
});
document.addEventListener("keydown", (event) => {
  const typing = event.target.matches("input:not([type=checkbox]), select");
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const key = event.key.toLowerCase();
  if (key === "l") choose(beside(1));
  if (key === "t") document.documentElement.classList.toggle("large");
});

// "Fool them": the digit that is meant is said first, and each network that reads another one has fallen.

let best = 0;

/** Count who fell for the drawing of `answer`; null: there is none. */
export function count(answer) {
  const meant = $("meant").value;
  if (!meant || !answer) return void ($("score").textContent = "");
  const fallen = answer.models.filter((model) => model.digit !== Number(meant)).length;
  best = Math.max(best, fallen);
  $("score").textContent = t("score", { k: fallen, n: answer.models.length, best });
}

$("meant").addEventListener("change", () => {
  best = 0;
  count(votes);
});
