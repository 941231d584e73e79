// The answer in large and in words: one digit or none, a number line by line, or what went wrong.

import { light, outline } from "./boxes.js";
import { $, element } from "./element.js";
import { inHistory, nameOf } from "./families.js";
import { capital, count, decimal, named, percent, t } from "./language.js";

export const DOUBT = 0.95; // confidence below which a digit is doubtful

/** Nothing to show but a sentence; `kind` is "idle" or "waiting". */
export function say(sentence, kind) {
  put({ sentence, kind });
}

/** `seen`: the browser can show the image, so that a refusal is about what is on it. */
export function showError({ error, status }, seen = false) {
  put({ sentence: error, kind: "error", advice: seen && status === 400 ? t("advice") : "", locked: status === 401 });
}

/** Take away what belongs to an answer. */
export function clearAnswer() {
  for (const id of ["digits", "strip", "after"]) $(id).hidden = true;
  $("timing").textContent = "";
  outline([], null);
}

export function showDigit({ digit, confidence, accepted, agreement, models, timing_ms, device }, size) {
  const differing = inHistory(models, (model) => model.name).filter((model) => model.digit !== digit);
  const others = differing.map((model) => t("says", { name: nameOf(model.name), named: named(model.digit) })).join(", ");
  const values = { Named: capital(named(digit)), named: named(digit), percent: percent(confidence), n: models.length, k: agreement };
  const agreed = t(others ? "agree.some" : "agree.all", { ...values, others });
  const doubt = confidence < DOUBT ? ` ${t("doubt", values)}` : "";
  put({
    text: accepted ? [element("span", { textContent: digit, className: doubt && "doubtful" })] : [t("no-digit")],
    sentence: accepted ? agreed + doubt : t("guess", { ...values, others: others && `${others}.` }),
    kind: accepted ? "sure" : "refused",
    advice: accepted ? "" : t("advice"),
    timing: timing(timing_ms, device),
  });
  $("digits").hidden = true;
  const kind = accepted ? (doubt ? "doubtful" : "") : "left-out";
  const found = models.filter((model) => model.box);
  outline(found.map(({ box, name }) => ({ box, label: nameOf(name), kind })), size);
}

/** The digits of a number in what /predict and /read said of one image; null if it is one digit, or none. */
export function numberIn(one, many) {
  const read = many.digits?.filter((digit) => digit.accepted) ?? [];
  if (one.error || !read.length || (read.length === 1 && one.accepted)) return null;
  return many.is_number ? read : null;
}

/** `choose(index)` is called when a digit is chosen. */
export function showNumber({ text, digits, timing_ms, device }, size, choose) {
  const read = digits.filter((digit) => digit.accepted);
  const doubtful = read.filter((digit) => digit.confidence < DOUBT).length;
  const left = digits.length - read.length;
  const sentences = [count("digits", read.length)];
  if (doubtful) sentences.push(count("doubtful", doubtful));
  if (left) sentences.push(count("left-out", left));
  sentences.push(t("tap"));
  put({ text: marked(text, read), sentence: sentences.join(" "), kind: "sure", timing: timing(timing_ms, device) });
  outline(
    digits.map((mark) => ({ box: mark.box, label: mark.accepted ? `${mark.digit}` : `${mark.digit}?`, kind: kindOf(mark) })),
    size,
  );
  const lines = Map.groupBy(digits.entries(), ([, { line }]) => line);
  const chips = [...lines.values()].map((line) => element("ol", {}, ...line.map(([index, mark]) => chip(mark, index, choose))));
  $("digits").replaceChildren(...chips);
  $("digits").hidden = false;
  $("strip").hidden = true;
}

export const kindOf = ({ accepted, confidence }) => (accepted ? (confidence < DOUBT ? "doubtful" : "") : "left-out");

/** The text with its doubtful digits marked; `read` are its digits in order. */
function marked(text, read) {
  const next = read.values();
  return [...text].map((letter) => {
    if (letter === "\n") return letter;
    const { value } = next.next();
    return element("span", { textContent: letter, className: value ? kindOf(value) : "" });
  });
}

function chip(mark, index, choose) {
  const kind = kindOf(mark);
  const button = element("button", { type: "button", className: kind }, element("b", { textContent: mark.digit }));
  if (kind) button.append(element("span", { textContent: percent(mark.confidence, 0) }));
  button.addEventListener("click", () => {
    for (const other of $("digits").querySelectorAll("[aria-pressed]")) other.removeAttribute("aria-pressed");
    button.setAttribute("aria-pressed", "true");
    choose(index);
  });
  for (const event of ["pointerenter", "focus"]) button.addEventListener(event, () => light(index, true));
  for (const event of ["pointerleave", "blur"]) button.addEventListener(event, () => light(index, false));
  button.dataset.index = index;
  return element("li", {}, button);
}

function put({ text = [], sentence, kind, advice = "", locked = false, timing = "" }) {
  $("text").replaceChildren(...text);
  const lines = $("text").textContent.split("\n");
  $("text").style.setProperty("--characters", Math.max(1, ...lines.map((line) => line.length)));
  $("text").style.setProperty("--lines", lines.length);
  $("sentence").textContent = sentence;
  $("advice").textContent = advice;
  $("advice").hidden = !advice;
  document.querySelector(".reading").dataset.kind = kind;
  $("key").hidden = !locked;
  $("timing").textContent = timing;
}

function timing({ total, ...parts }, device) {
  const steps = Object.entries(parts).map(([name, value]) => `${name} ${decimal(value, 1)}`);
  return t("timing", { total: decimal(total, 0), device, parts: steps.join(", ") });
}
