// The answer in large and in words, and the boxes over the sheet: one digit or none, a number line by line, or what went wrong.

import { $, capital, count, decimal, element, has, inHistory, named, nameOf, percent, t } from "./words.js";

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

export function showDigit({ digit, confidence, is_digit, accepted, reason, agreement, models, timing_ms, device }, size) {
  const differing = inHistory(models, (model) => model.name).filter((model) => model.digit !== digit);
  const others = differing.map((model) => t("says", { name: nameOf(model.name), named: named(model.digit) })).join(", ");
  const values = { Named: capital(named(digit)), named: named(digit), percent: percent(confidence, confidence < 0.999 ? 1 : 2), n: models.length, k: agreement };
  const agreed = t(2 * agreement < models.length ? "agree.few" : others ? "agree.some" : "agree.all", { ...values, others });
  const shares = [t("sureness", values)];
  if (is_digit !== undefined) shares.push(t("is-digit", { percent: percent(is_digit, is_digit < 0.999 ? 1 : 2) }));
  put({
    text: accepted ? [element("span", { textContent: digit, className: confidence < DOUBT ? "doubtful" : "" })] : [t("no-digit")],
    sentence: accepted ? agreed : t("guess", { ...values, others: others && `${others}.` }),
    shares: shares.join(" · "),
    kind: accepted ? "sure" : "refused",
    advice: accepted ? "" : t(has(`advice.${reason}`) ? `advice.${reason}` : "advice"),
    timing: timing(timing_ms, device),
  });
  $("digits").hidden = true;
  const kind = accepted ? (confidence < DOUBT ? "doubtful" : "") : "left-out";
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
export function showNumber({ text, transcript = text, digits, marks = [], timing_ms, device }, size, choose) {
  const read = digits.filter((digit) => digit.accepted);
  const doubtful = read.filter((digit) => digit.confidence < DOUBT).length;
  const others = marks.filter(({ mark }) => !/\d/.test(mark)); // signs, and what is neither digit nor sign
  const left = [...digits, ...others].filter(({ accepted }) => !accepted).length;
  const sentences = [count("digits", read.length)];
  if (doubtful) sentences.push(count("doubtful", doubtful));
  if (left) sentences.push(count("left-out", left));
  if (transcript !== text) sentences.push(t("transcript", { transcript: transcript.replaceAll("\n", " | ") }));
  sentences.push(t("tap"));
  put({ text: marked(text, read), sentence: sentences.join(" "), kind: "sure", timing: timing(timing_ms, device) });
  outline(
    [...digits, ...others].map((mark) => ({ box: mark.box, label: labelOf(mark), kind: kindOf(mark) })),
    size,
  );
  const lines = Map.groupBy(digits.entries(), ([, { line }]) => line);
  const chips = [...lines.values()].map((line) => element("ol", {}, ...line.map(([index, mark]) => chip(mark, index, choose))));
  $("digits").replaceChildren(...chips);
  $("digits").hidden = false;
  $("strip").hidden = true;
}

/** `mark` is that of a sign, or "other". */
const labelOf = ({ digit, mark, accepted }) => (mark === "other" ? "?" : `${digit ?? mark}${accepted ? "" : "?"}`);

export const kindOf = ({ accepted, confidence }) => (accepted ? (confidence < DOUBT ? "doubtful" : "") : "left-out");

/** The text with its doubtful digits marked; `read` are its digits in order. */
function marked(text, read) {
  const next = read.values();
  return [...text].map((letter) => {
    if (!/\d/.test(letter)) return letter;
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

function put({ text = [], sentence, kind, shares = "", advice = "", locked = false, timing = "" }) {
  $("text").replaceChildren(...text);
  const lines = $("text").textContent.split("\n");
  $("text").style.setProperty("--characters", Math.max(1, ...lines.map((line) => line.length)));
  $("text").style.setProperty("--lines", lines.length);
  $("sentence").textContent = sentence;
  $("shares").textContent = shares;
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

// Boxes (x_min, y_min, x_max, y_max) in pixels of an image, as SVG over it.

const SVG = "http://www.w3.org/2000/svg";
const LABEL = 13; // pixels of the screen, of what is written beside a box

/** Over the sheet: [{box, label, kind}]; `size` of the image is null where it is not shown. */
export function outline(boxes, size) {
  const groups = draw($("boxes"), boxes, size);
  groups.forEach((group, index) => {
    group.addEventListener("pointerenter", () => light(index, true));
    group.addEventListener("pointerleave", () => light(index, false));
  });
}

/** Light a digit's box and its chip, or no longer. */
export function light(index, on) {
  $("boxes").children[index]?.classList.toggle("lit", on);
  $("digits").querySelector(`[data-index="${index}"]`)?.classList.toggle("lit", on);
}

export function draw(svg, boxes, size) {
  svg.toggleAttribute("hidden", !boxes.length || !size); // an SVG element has no `hidden` property
  svg.replaceChildren();
  if (!boxes.length || !size) return [];
  const [width, height] = size;
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const pixel = Math.max(width / svg.parentElement.clientWidth, height / svg.parentElement.clientHeight); // of the image per pixel of the screen
  const groups = boxes.map(({ box: [x_min, y_min, x_max, y_max], label, kind }) => {
    const group = document.createElementNS(SVG, "g");
    group.setAttribute("class", kind);
    const frame = group.appendChild(document.createElementNS(SVG, "rect"));
    const place = { x: x_min, y: y_min, width: x_max - x_min, height: y_max - y_min, rx: 3 * pixel };
    for (const [name, value] of Object.entries(place)) frame.setAttribute(name, value);
    const text = group.appendChild(document.createElementNS(SVG, "text"));
    const above = y_min - 5 * pixel;
    text.setAttribute("x", x_min);
    text.setAttribute("y", above > LABEL * pixel ? above : y_max + (LABEL + 3) * pixel);
    text.setAttribute("font-size", LABEL * pixel);
    text.textContent = label;
    return group;
  });
  svg.append(...groups);
  return groups;
}

// How the picture became 28x28: the sheet, the ink that was found on it, and that ink in MNIST's framing.

/** `explain` is of /predict. */
export function showStrip(sheet, { ink, image }) {
  const pictures = [["sheet", URL.createObjectURL(sheet)], ["ink", ink], ["frame", image]];
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
