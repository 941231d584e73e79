// What is inside a network, as POST /models/{model}/inside tells it: its layers, and what each stage makes of the image.

import { $, count, decimal, element, nameOf, t } from "./words.js";

const SIZE = 28;
const SCALE = 8; // pixels of a canvas for one of the image
const SVG = "http://www.w3.org/2000/svg";
let shown = []; // names of the one or two networks that are looked into

const decoded = async (source) => {
  const image = Object.assign(new Image(), { src: source });
  await image.decode();
  return image;
};

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`);

/** A canvas' context in pixels of the image at `column`, `row` of a grid of images, with the image drawn. */
function over(canvas, image, column = 0, row = 0) {
  const context = canvas.getContext("2d");
  context.setTransform(SCALE, 0, 0, SCALE, column * (SIZE + 1) * SCALE, row * (SIZE + 1) * SCALE);
  context.imageSmoothingEnabled = false;
  context.globalAlpha = 1;
  context.drawImage(image, 0, 0);
  return context;
}

/** A square for each value of a map, in the colour and strength (0 to 1) that `tint` gives it. */
function squares(context, map, tint) {
  const side = SIZE / map.length;
  map.forEach((row, y) =>
    row.forEach((value, x) => {
      const [name, strength] = tint(value);
      context.globalAlpha = 0.75 * Math.sqrt(Math.min(strength, 1));
      context.fillStyle = colour(name);
      context.fillRect(x * side, y * side, side, side);
    }),
  );
}

/** The squares whose covering changes most, over the image that the network saw. */
export async function paintCovered(canvas, { image, occlusion }) {
  squares(over(canvas, await decoded(image)), occlusion, (fall) => [fall > 0 ? "needed" : "against", Math.abs(fall)]);
}

/** Choices of one or two networks, and what is inside them; `said(name)` asks for it, null: there is no image. */
export function showInside(names, said) {
  shown = shown.filter((name) => names.includes(name));
  if (!shown.length) shown = names.slice(0, 1);
  const choices = names.map((name) => {
    const button = element("button", { type: "button", textContent: nameOf(name) });
    button.setAttribute("aria-pressed", shown.includes(name));
    button.addEventListener("click", () => {
      shown = shown.includes(name) ? shown.filter((other) => other !== name) : [...shown, name].slice(-2);
      showInside(names, said);
      $("inside").querySelectorAll(".choices button")[names.indexOf(name)].focus();
    });
    return button;
  });
  const columns = shown.map((name) => element("article", {}, element("h3", { textContent: nameOf(name) }), element("p", { textContent: t(said ? "waiting" : "inside.none") })));
  $("inside").replaceChildren(element("div", { className: "choices" }, ...choices), element("div", { className: "columns" }, ...columns));
  if (said) shown.forEach(async (name, index) => fill(columns[index], await said(name)));
}

async function fill(column, inside) {
  if (!column.isConnected) return;
  if (inside.error) return void (column.lastChild.textContent = inside.error);
  const { layers, kernels, stages, attention, proposals, found } = inside;
  const image = await decoded(inside.image);
  const first = layers.find(({ kind }) => kind === "convolution");
  const parts = [architecture(layers), part("kernels", [await sheet(kernels, first.kernel)], { side: first.kernel, n: first.size[0] })];
  for (const { side, channels, shown: those, maps } of stages) parts.push(part("stage", [await sheet(maps, side)], { side, n: channels, k: those.length }));
  if (attention) parts.push(part("attention", [heads(attention, image)], { layers: attention.length, heads: attention[0].length }));
  if (proposals) {
    const after = found.map(({ box, digit, score }) => ({ box, share: score, label: digit }));
    const before = proposals.map(({ box, objectness }) => ({ box, share: objectness }));
    parts.push(part("proposals", [frames(before, image), frames(after, image)], {}));
  }
  column.lastChild.remove();
  column.append(...parts);
}

const part = (key, pictures, values) => element("figure", { className: key }, ...pictures, element("figcaption", { textContent: t(`inside.${key}`, values) }));

/** Small pictures side by side as one, each pixel of theirs large enough to see. */
async function sheet(source, side) {
  const image = await decoded(source);
  image.alt = "";
  image.style.width = `min(100%, ${Math.max(1, Math.round(48 / side)) * image.naturalWidth}px)`;
  return image;
}

function heads(attention, image) {
  const canvas = element("canvas", { width: attention.length * (SIZE + 1) * SCALE, height: attention[0].length * (SIZE + 1) * SCALE });
  attention.forEach((layer, column) =>
    layer.forEach((map, row) => {
      const most = Math.max(...map.flat());
      squares(over(canvas, image, column, row), map, (share) => ["attended", share / most]);
    }),
  );
  return canvas;
}

/** Boxes over the image, the surest on top, each with its share and what was read in it. */
function frames(boxes, image) {
  const canvas = element("canvas", { width: SIZE * SCALE, height: SIZE * SCALE, className: "boxes" });
  const context = over(canvas, image);
  context.strokeStyle = context.fillStyle = colour("proposed");
  context.font = "3px sans-serif";
  for (const { box: [x_min, y_min, x_max, y_max], share, label } of boxes.toReversed()) {
    context.globalAlpha = 0.3 + 0.7 * share;
    context.lineWidth = 0.2 + 0.5 * share;
    context.strokeRect(x_min, y_min, x_max - x_min, y_max - y_min);
    context.fillText(`${label === undefined ? "" : `${label}: `}${decimal(100 * share, 0)} %`, x_min, Math.max(y_min - 0.6, 2.6));
  }
  return canvas;
}

// The architecture: a bar for each layer, as high as its pictures are large and as wide as it has many of them.

const HEIGHT = 84;

function architecture(layers) {
  let x = 0;
  const bars = layers.map(({ kind, size, kernel, parameters }) => {
    const [channels, side] = size.length === 3 && kind !== "attention" ? size : [size.at(-1), 0];
    const width = side ? 3 + 1.6 * Math.log2(channels) : 6;
    const height = side ? 6 + 66 * Math.sqrt(side / 32) : 8 + 6 * Math.log2(channels);
    const bar = make("rect", { x, y: HEIGHT - height, width, height, rx: 1.5, class: kind });
    const sides = side ? `${channels} × ${side} × ${side}` : size.join(" × ");
    const title = make("title", {});
    title.textContent = `${t(`layer.${kind}`)}${kernel ? ` ${kernel}×${kernel}` : ""}: ${sides}${parameters ? `, ${t("weights", { n: decimal(parameters, 0) })}` : ""}`;
    bar.append(title);
    const label = make("text", { transform: `translate(${x + width / 2 + 2} ${HEIGHT + 4}) rotate(90)` });
    label.textContent = sides;
    x += width + 5;
    return [bar, label];
  });
  const svg = make("svg", { viewBox: `0 0 ${Math.max(x, 200)} ${HEIGHT + 64}`, class: "architecture", role: "img" });
  svg.append(...bars.flat());
  const sentence = made(layers);
  svg.setAttribute("aria-label", sentence);
  const svgBox = element("div", { className: "wide", tabIndex: 0 }, svg);
  return element("figure", { className: "layers" }, svgBox, element("figcaption", { textContent: sentence }));
}

/** "13 convolutions, 5 poolings, 2 dense layers; 14.85 M weights." */
function made(layers) {
  const kinds = Map.groupBy(layers, ({ kind }) => kind);
  const counts = [...kinds].map(([kind, those]) => count(`layers.${kind}`, those.length));
  const weights = layers.reduce((sum, { parameters }) => sum + parameters, 0);
  return t("made", { layers: counts.join(", "), m: decimal(weights / 1e6, 2) });
}

function make(name, attributes) {
  const node = document.createElementNS(SVG, name);
  for (const [attribute, value] of Object.entries(attributes)) node.setAttribute(attribute, value);
  return node;
}
