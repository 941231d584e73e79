// A card for each network, in the order of the field's history: its vote, what it is, and what it looks at.

import { post } from "./ask.js";
import { $, decimal, element, has, inHistory, nameOf, paperOf, percent, t } from "./words.js";

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
  if (metadata.test_accuracy) facts.push(t("on-mnist", { percent: `${decimal(100 * metadata.test_accuracy, 2)}\u00a0%` }));
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
  $("look").hidden = false;
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

// How the picture became 28x28, and what the networks look at: asked for when the sheet rests, and no more than is shown.

const PAUSE = 300; // ms without a change of the sheet
let subject = null; // {blob, votes, whole, explained}

/** Explain what /predict said of an image, `votes`. `whole`: the image is what is on the sheet, not a part of it. */
export async function explain(blob, votes, whole) {
  const now = (subject = { blob, votes, whole, explained: false });
  await new Promise((resolve) => setTimeout(resolve, PAUSE));
  await askFor(now);
}

/** The sheet changed: nothing is to be explained any more. */
export function forget() {
  subject = null;
}

async function askFor(now) {
  if (now !== subject) return;
  const { blob, votes, whole } = now;
  const all = isLooking();
  const quickest = votes.models.toSorted((one, other) => one.latency_ms - other.latency_ms)[0].name;
  const answer = await post(`predict?explain=true${all ? "" : `&models=${quickest}`}`, blob); // all take .1 s of the service
  if (now !== subject || !answer.explain) return;
  now.explained = all;
  if (all) showVotes({ ...votes, explain: answer.explain });
  showStrip(whole ? blob : null, answer.explain);
}

function lookFurther() {
  nextLook();
  if (subject && isLooking() && !subject.explained) askFor(subject);
}

$("look").addEventListener("click", lookFurther);
document.addEventListener("keydown", (event) => {
  const typing = event.target.matches("input:not([type=checkbox])");
  if (!typing && event.key.toLowerCase() === "l" && !event.ctrlKey && !event.metaKey && !event.altKey) lookFurther();
});

// What a network looks at, over the 28x28 image it saw.

const SIZE = 28;

/** `looked` is the `explain.models` of one network; `look` "occlusion" or "own", which is attention or proposals. */
export async function paint(canvas, image, looked, look) {
  const seen = new Image();
  seen.src = image;
  await seen.decode();
  const context = canvas.getContext("2d");
  context.setTransform(canvas.width / SIZE, 0, 0, canvas.height / SIZE, 0, 0);
  context.imageSmoothingEnabled = false;
  context.globalAlpha = 1;
  context.drawImage(seen, 0, 0);
  if (look === "own" && looked.proposals) frames(context, looked.proposals);
  else if (look === "own" && looked.attention) {
    const most = Math.max(...looked.attention.flat());
    squares(context, looked.attention, (share) => ["#3fd07a", share / most]);
  } else squares(context, looked.occlusion, (fall) => [fall > 0 ? "#ff8a1f" : "#4f9dff", Math.abs(fall)]);
}

/** A square for each value of a 7x7 map, in the colour and strength (0 to 1) that `tint` gives it. */
function squares(context, map, tint) {
  const side = SIZE / map.length;
  map.forEach((row, y) =>
    row.forEach((value, x) => {
      const [colour, strength] = tint(value);
      context.globalAlpha = 0.75 * Math.sqrt(Math.min(strength, 1));
      context.fillStyle = colour;
      context.fillRect(x * side, y * side, side, side);
    }),
  );
}

function frames(context, proposals) {
  context.strokeStyle = "#ffd24a";
  for (const { box: [x_min, y_min, x_max, y_max], objectness } of proposals.toReversed()) {
    context.globalAlpha = 0.25 + 0.75 * objectness;
    context.lineWidth = 0.2 + 0.5 * objectness;
    context.strokeRect(x_min, y_min, x_max - x_min, y_max - y_min);
  }
}

// How the picture became 28x28: the sheet, the ink that was found on it, and that ink in MNIST's framing.

/** `sheet` is a blob or null, where only one digit of it was looked at; `explain` is of /predict. */
export function showStrip(sheet, { ink, image }) {
  const pictures = [["sheet", sheet && URL.createObjectURL(sheet)], ["ink", ink], ["frame", image]];
  for (const old of $("strip").querySelectorAll("img")) URL.revokeObjectURL(old.src);
  const steps = pictures.filter(([, source]) => source).map(([name, source]) => {
    const picture = element("img", { src: source, alt: "", className: name });
    const step = element("li", {}, picture, element("span", { textContent: t(`strip.${name}`) }));
    picture.addEventListener("error", () => step.remove()); // the browser cannot show the file
    return step;
  });
  $("strip").replaceChildren(...steps);
  $("strip").hidden = false;
}
