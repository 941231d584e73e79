// A card for each network, in the order of the field's history: its vote, what it is, and what it looks at.

import { $, element } from "./element.js";
import { inHistory, nameOf, paperOf } from "./families.js";
import { decimal, has, percent, t } from "./language.js";
import { paint } from "./look.js";

const LOOKS = ["off", "occlusion", "own"];
let look = LOOKS[0];
let votes = null; // what /predict answered, with or without `explain`

/** Make the cards from what /models says. */
export function introduce(models) {
  $("networks").replaceChildren(...inHistory(models, ({ name }) => name).map(card));
  showVotes(votes);
}

function card({ name, metadata }) {
  const facts = [];
  if (metadata.parameters) facts.push(t("parameters", { m: decimal(metadata.parameters / 1e6, 2) }));
  if (metadata.test_accuracy) facts.push(t("on-mnist", { percent: percent(metadata.test_accuracy, 2) }));
  const bars = element("div", { className: "bars", role: "img" });
  for (let digit = 0; digit < 10; digit++) bars.append(element("span", {}, element("i"), `${digit}`));
  const [year, paper] = paperOf(name);
  const about = element("details", {}, element("summary", { textContent: t("how") }));
  const words = has(`about.${name}`) ? t(`about.${name}`) : (metadata.family ?? "");
  about.append(element("p", { textContent: `${words} ` }));
  if (paper) about.lastChild.append(element("a", { href: paper, rel: "noreferrer", textContent: `${t("paper")} (${year})` }));
  const made = element(
    "li",
    {},
    element("h3", { textContent: nameOf(name) }),
    element("b"),
    element("p", { className: "facts", textContent: facts.join(" · ") }),
    element("p", { className: "time" }),
    element("canvas", { width: 224, height: 224, hidden: true }),
    bars,
    about,
  );
  made.dataset.name = name;
  return made;
}

/** Show what /predict answered; null for nothing. */
export function showVotes(answer) {
  votes = answer;
  for (const made of $("networks").children) fill(made, answer?.models.find((model) => model.name === made.dataset.name));
  showLook();
}

function fill(made, model) {
  made.classList.toggle("silent", !model);
  made.classList.toggle("differs", Boolean(model && model.digit !== votes.digit));
  made.querySelector("b").textContent = model ? model.digit : "–";
  made.querySelector(".time").textContent = model ? `${decimal(model.latency_ms, 1)}\u00a0ms` : "\u00a0";
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

/** Go on to the next way to look: none, covering, or what a network has of its own. */
export function nextLook() {
  look = LOOKS[(LOOKS.indexOf(look) + 1) % LOOKS.length];
  showLook();
}

export const isLooking = () => look !== LOOKS[0];

function showLook() {
  $("look").textContent = t(`look.${look}`);
  $("look").setAttribute("aria-pressed", isLooking());
  $("legend").hidden = !isLooking();
  if (isLooking()) $("legend").textContent = t(`legend.${look}`);
  for (const made of $("networks").children) {
    const looked = votes?.explain?.models?.[made.dataset.name];
    const canvas = made.querySelector("canvas");
    canvas.hidden = !isLooking() || !looked;
    if (!canvas.hidden) paint(canvas, votes.explain.image, looked, look);
  }
}
