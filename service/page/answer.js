// What the service answered, as the page shows it.

const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const LABEL = 13; // pixels of the screen, of the digit beside a box

/** Nothing to show but a sentence; `kind` is "idle" or "waiting". */
export function say(sentence, kind) {
  put({ text: "", sentence, kind });
}

export function showError({ error, status }) {
  put({ text: "", sentence: error, kind: "error", locked: status === 401 });
}

export function showDigit({ digit, confidence, accepted, agreement, models, timing_ms, device, explain }, size) {
  const others = models.filter((model) => model.digit !== digit).map((model) => `${model.name} says ${model.digit}`);
  const said = others.length ? `${agreement} of ${models.length} agree; ${others.join(", ")}.` : `All ${models.length} agree.`;
  put({
    text: `${digit}`,
    sentence: accepted
      ? `${percent(confidence)} sure. ${said}`
      : `This may be no single digit. If it is one, then most likely a ${digit}: ${percent(confidence)} sure. ${said}`,
    kind: accepted ? "sure" : "unsure",
    timing: timing(timing_ms, device),
    seen: explain.image,
    models,
    boxes: models.filter((model) => model.box).map((model) => ({ box: model.box, label: model.name, accepted: true })),
    size,
  });
}

export function showNumber({ text, digits, timing_ms, device }, size) {
  const read = digits.filter((digit) => digit.accepted);
  const left = digits.length - read.length;
  const least = Math.min(...read.map((digit) => digit.confidence));
  const sentences = [];
  if (!read.length) sentences.push("There is nothing here that can be read as a digit.");
  if (read.length) sentences.push(`${count(read.length, "digit")}, ${read.length > 1 ? "each at least " : ""}${percent(least)} sure.`);
  if (left) sentences.push(`${count(left, "mark")} left out: probably no ${left > 1 ? "digits" : "digit"}.`);
  put({
    text,
    sentence: sentences.join(" "),
    kind: read.length ? "sure" : "unsure",
    timing: timing(timing_ms, device),
    digits,
    boxes: digits.map(({ box, digit, accepted }) => ({ box, label: accepted ? `${digit}` : `${digit}?`, accepted })),
    size,
  });
}

function put({ text, sentence, kind, locked = false, timing = "", seen, models = [], digits = [], boxes = [], size = null }) {
  const lines = text.split("\n");
  $("text").textContent = text;
  $("text").style.setProperty("--characters", Math.max(1, ...lines.map((line) => line.length)));
  $("text").style.setProperty("--lines", lines.length);
  $("sentence").textContent = sentence;
  document.querySelector(".reading").dataset.kind = kind;
  $("key").hidden = !locked;
  $("remedy").hidden = kind !== "unsure" || !models.length;
  $("timing").textContent = timing;
  $("seen").hidden = !seen;
  if (seen) $("seen").firstElementChild.src = seen;
  $("digits").hidden = !digits.length;
  $("digits").replaceChildren(...digits.map(chip));
  for (const card of $("networks").children) fill(card, models.find((model) => model.name === card.dataset.name));
  outline(boxes, size);
}

function chip({ digit, confidence, accepted }) {
  const item = element("li", "", accepted ? "" : "left-out");
  item.append(element("b", digit), element("span", accepted ? percent(confidence) : `${percent(confidence)}, left out`));
  return item;
}

/** One card for each network, from what `/models` says of them. */
export function introduce(models) {
  $("networks").replaceChildren(
    ...models.map(({ name, metadata }) => {
      const card = document.createElement("li");
      card.dataset.name = name;
      const about = [];
      if (metadata.parameters) about.push(`${(metadata.parameters / 1e6).toFixed(2)} M parameters`);
      if (metadata.test_accuracy) about.push(`${percent(metadata.test_accuracy, 2)} on MNIST`);
      const head = element("h3", name);
      head.title = metadata.family ?? "";
      const bars = element("div", "", "bars");
      bars.setAttribute("role", "img");
      for (let digit = 0; digit < 10; digit++) {
        const column = element("span", digit);
        column.prepend(document.createElement("i"));
        bars.append(column);
      }
      card.append(head, element("p", about.join(", "), "about"), element("b", ""), bars, element("p", "", "time"));
      fill(card);
      return card;
    }),
  );
}

function fill(card, model) {
  card.classList.toggle("silent", !model);
  card.querySelector("b").textContent = model ? model.digit : "–";
  card.querySelector(".time").textContent = model ? `${model.latency_ms.toFixed(1)}\u00a0ms` : "\u00a0";
  const bars = card.querySelector(".bars");
  const ranked = [...(model?.probabilities ?? []).entries()].sort((one, other) => other[1] - one[1]).slice(0, 2);
  const words = ranked.map(([digit, probability]) => `${digit}: ${percent(probability)}`).join(", ");
  bars.setAttribute("aria-label", words || "nothing yet");
  [...bars.children].forEach((column, digit) => {
    const probability = model?.probabilities[digit] ?? 0;
    column.title = model ? `${digit}: ${percent(probability)}` : "";
    column.className = model?.digit === digit ? "most" : "";
    column.firstElementChild.style.height = `${100 * probability}%`;
  });
}

/** Boxes (x_min, y_min, x_max, y_max) over the sheet, in pixels of the image; its `size` is null where it is not shown. */
function outline(boxes, size) {
  const svg = $("boxes");
  svg.toggleAttribute("hidden", !boxes.length || !size); // an SVG element has no `hidden` property
  if (!boxes.length || !size) return;
  const [width, height] = size;
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const sheet = $("sheet");
  const pixel = Math.max(width / sheet.clientWidth, height / sheet.clientHeight); // of the image per pixel of the screen
  svg.replaceChildren(
    ...boxes.map(({ box: [x_min, y_min, x_max, y_max], label, accepted }) => {
      const group = document.createElementNS(SVG, "g");
      group.setAttribute("class", accepted ? "" : "left-out");
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
    }),
  );
}

function timing({ total, ...parts }, device) {
  const steps = Object.entries(parts).map(([name, value]) => `${name} ${value.toFixed(1)}`);
  return `${total.toFixed(0)} ms on ${device}${steps.length ? `: ${steps.join(", ")}` : ""}`;
}

/** Rounded down, and never 100 %: nothing is certain. */
function percent(share, places = 1) {
  const unit = 10 ** places;
  const parts = Math.min(100 * unit - 1, Math.floor(100 * unit * share + 1e-6)); // 1e-6: 0.29 * 100 is a little less than 29
  return `${(parts / unit).toFixed(places)}\u00a0%`;
}

function count(number, thing) {
  return `${number} ${thing}${number === 1 ? "" : "s"}`;
}

function element(name, text, className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = className;
  return made;
}
