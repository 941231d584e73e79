// The page of results. Every figure comes from results/*.json; nothing is typed here.

import { call, medians, recorded } from "./ask.js";
import { $, CONSENSUS, decimal, element, has, inHistory, percent, speak, t, titleOf } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const MARGIN = { left: 46, right: 14, top: 10, bottom: 34 };

/** A plot of `size` [width, height] units; x and y are {from, to, ticks, label, text, log}. */
export function plot({ size = [320, 220], x, y, title }) {
  const svg = make("svg", { viewBox: `0 0 ${size.join(" ")}`, class: "plot", role: "img", "aria-label": title });
  const along = scale(x, MARGIN.left, size[0] - MARGIN.right);
  const up = scale(y, size[1] - MARGIN.bottom, MARGIN.top);
  const bottom = size[1] - MARGIN.bottom;
  for (const tick of x.ticks) write(svg, x.text(tick), along(tick), bottom + 14, "middle");
  for (const tick of y.ticks) {
    svg.append(make("line", { x1: MARGIN.left, x2: size[0] - MARGIN.right, y1: up(tick), y2: up(tick) }));
    write(svg, y.text(tick), MARGIN.left - 6, up(tick) + 4, "end");
  }
  write(svg, x.label, (MARGIN.left + size[0] - MARGIN.right) / 2, size[1] - 4, "middle");
  const inside = (value, axis) => Math.min(Math.max(value, axis.from), axis.to);
  return {
    svg,
    /** points: [[x, y], ...]; what lies outside the axes is drawn at their edge */
    line(points, className) {
      const steps = points.map(([px, py]) => `${along(inside(px, x)).toFixed(1)} ${up(inside(py, y)).toFixed(1)}`);
      svg.append(make("path", { d: `M${steps.join("L")}`, class: className }));
    },
    point([px, py], radius, name, place = "start") {
      svg.append(make("circle", { cx: along(px), cy: up(py), r: radius }));
      if (name) write(svg, name, along(px) + { start: radius + 4, end: -radius - 4 }[place], up(py) + 4, place, "name");
    },
  };
}

function scale({ from, to, log }, low, high) {
  const place = log ? Math.log10 : (value) => value;
  return (value) => low + ((place(value) - place(from)) / (place(to) - place(from))) * (high - low);
}

function write(svg, content, x, y, anchor, className = "") {
  const text = make("text", { x, y, "text-anchor": anchor, class: className });
  text.textContent = content;
  svg.append(text);
}

function make(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  return made;
}

// Single test images: the confusion matrices with the images behind their cells, and the hardest ones.

const SIDE = 56; // pixels of the screen of one image
const WATCHED_COLUMNS = 20; // of watched.png
const WATCHED_SIDE = 26; // pixels of the screen
const TEST_IMAGES = 10_000; // of MNIST
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

/** One of the images of a picture that has `columns` in a row, `side` pixels of the screen a side. */
function tileOf(file, place, columns, side, className = "") {
  const tile = element("span", { className: `tile ${className}` });
  tile.style.backgroundImage = `url(page/results/${file})`;
  tile.style.backgroundSize = `${columns * side}px auto`;
  tile.style.backgroundPosition = `${-(place % columns) * side}px ${-Math.floor(place / columns) * side}px`;
  return tile;
}

/** Images at their places in the picture of all that are shown, each with what every network said. */
function list(places, browse) {
  const items = places.map((place) => {
    const { index, label, says } = browse.images[place];
    const tile = tileOf("misread.png", place, browse.columns, SIDE);
    const words = inHistory(Object.entries(says), ([name]) => name).map(([name, [digit, confidence]]) => {
      const wrong = digit === label ? "" : "wrong";
      return element("span", { className: wrong, textContent: `${titleOf(name)} ${digit}, ${percent(confidence, 0)}` });
    });
    const lines = words.flatMap((word) => [word, element("br")]);
    return element("li", { title: `#${index}` }, tile, element("div", {}, element("b", { textContent: t("results.is", { label }) }), element("br"), ...lines));
  });
  return element("ul", { className: "digits" }, ...items);
}

/** A measured share, rounded as the tables in docs/ are. */
const measured = (share, places) => `${decimal(100 * share, places)}\u00a0%`;

const TENTHS = [0, 0.2, 0.4, 0.6, 0.8, 1];

function section(key, how, ...content) {
  const made = element("section", {}, element("h2", { textContent: t(`results.${key}`) }));
  if (how) made.append(element("p", { textContent: how }));
  made.append(...content);
  $("results").append(made);
  return made;
}

/** Rows of cells under a head; the first cell of each is its title. */
function table(head, rows) {
  const titles = element("tr", {}, ...head.map((textContent) => element("th", { scope: "col", textContent })));
  const body = rows.map(([title, ...cells]) =>
    element("tr", {}, element("th", { scope: "row", textContent: title }), ...cells.map((textContent) => element("td", { textContent }))),
  );
  const made = element("div", { className: "wide" }, element("table", {}, element("thead", {}, titles), element("tbody", {}, ...body)));
  made.tabIndex = 0; // it may scroll
  return made;
}

/** The 95 % interval of a share of n (Wilson), so that two networks within each other's are no ranking. */
function interval(share, n) {
  const z = 1.96;
  const middle = (share + z ** 2 / (2 * n)) / (1 + z ** 2 / n);
  const half = (z / (1 + z ** 2 / n)) * Math.sqrt((share * (1 - share)) / n + z ** 2 / (4 * n ** 2));
  return [middle - half, middle + half];
}

const lasting = (seconds) => (seconds ? t("results.minutes", { n: decimal(seconds / 60, 0) }) : "");

function compare(names, evaluation, times, offline, metadata) {
  const rows = names.map((name) => {
    const { accuracy, macro_f1, loss, ece } = evaluation[name].test;
    const { parameters, training_seconds } = metadata[name] ?? {};
    const sure = range({ share: accuracy, interval: interval(accuracy, TEST_IMAGES) }, 2);
    const size = parameters ? t("parameters", { m: decimal(parameters / 1e6, 2) }) : "";
    const latency = times[name];
    return [titleOf(name), sure, size, lasting(training_seconds), latency ? `${decimal(latency, 2)} ms` : "", decimal(macro_f1, 4), decimal(loss, 4), decimal(ece, 4)];
  });
  const head = ["network", "accuracy", "size", "training", "latency", "f1", "loss", "ece"].map((key) => t(`results.${key}`));
  section("compare", [t("results.compare-how"), offline ? t("results.latency-how", offline.setting) : ""].join(" "), table(head, rows));
}

function speed(names, evaluation, times) {
  const points = names.map((name) => [name, times[name], evaluation[name].test.accuracy]).filter(([, ms]) => ms);
  if (!points.length) return;
  const shares = points.map(([, , accuracy]) => accuracy);
  const low = Math.floor(Math.min(...shares) * 1000) / 1000;
  const high = Math.ceil(Math.max(...shares) * 1000) / 1000;
  const drawn = plot({
    size: [640, 300],
    title: t("results.speed"),
    x: { from: 0.05, to: 20, log: true, ticks: [0.1, 0.3, 1, 3, 10], label: `${t("results.latency")}, ms`, text: String },
    y: { from: low, to: high, ticks: Array.from({ length: Math.round((high - low) * 1000) + 1 }, (_, i) => low + i / 1000), text: (share) => measured(share, 1) },
  });
  for (const [name, ms, accuracy] of points) drawn.point([ms, accuracy], 5, titleOf(name));
  section("speed", "", drawn.svg);
}

function curves(names, runs, metadata) {
  const figures = names.map((name) => {
    const own = runs.filter((run) => run.name === name);
    const longest = Math.max(...own.map((run) => run.metrics.length));
    const title = `${titleOf(name)}: ${t("results.curves")}`;
    const x = { from: 1, to: Math.max(longest, 2), ticks: [1, longest], label: t("results.epoch"), text: String };
    const drawn = plot({ title, x, y: { from: 0.001, to: 0.1, log: true, ticks: [0.001, 0.003, 0.01, 0.03, 0.1], text: (share) => measured(share, 1) } });
    const says = metadata[name] ?? {};
    for (const run of own) {
      const released = ["commit", "seed", "initial_weights"].every((key) => says[key] === run[key]);
      const points = run.metrics.map(({ epoch, validation }) => [epoch, 1 - validation.mnist.accuracy]);
      drawn.line(points, released ? "released" : "run");
    }
    return element("figure", {}, element("figcaption", { textContent: titleOf(name) }), drawn.svg);
  });
  section("curves", t("results.curves-how"), element("div", { className: "plots" }, ...figures), watched(firstOfEach(runs.filter(({ metrics }) => metrics[0].watched))));
}

/** The first run of each network. */
const firstOfEach = (runs) => runs.filter(({ name }, i) => runs.findIndex((run) => run.name === name) === i);

/** A slider over the epochs, and which of the images kept from training each run read right by then. */
function watched(runs) {
  if (!runs.length) return element("p", { textContent: t("results.unwatched") });
  const last = Math.max(...runs.map(({ metrics }) => metrics.length));
  const slider = element("input", { type: "range", min: 1, max: last, value: 1, id: "epoch" });
  const said = element("output");
  const figures = runs.map((run) => element("figure", {}, element("figcaption"), element("div", { className: "watched", role: "img" })));
  const show = () => {
    said.textContent = t("results.after", { n: slider.value });
    runs.forEach(({ name, metrics }, index) => {
      const right = metrics[Math.min(slider.value, metrics.length) - 1].watched;
      const [title, grid] = figures[index].children;
      title.textContent = t("results.watched", { name: titleOf(name), k: right.replaceAll("0", "").length, n: right.length });
      grid.setAttribute("aria-label", title.textContent);
      grid.replaceChildren(...[...right].map((one, place) => tileOf("watched.png", place, WATCHED_COLUMNS, WATCHED_SIDE, one === "1" ? "" : "wrong")));
    });
  };
  slider.addEventListener("input", show);
  show();
  const label = element("label", { textContent: t("results.watch"), htmlFor: "epoch" });
  return element("div", {}, element("p", {}, label, " ", slider, " ", said), element("div", { className: "plots" }, ...figures));
}

function calibration(names, browse) {
  const figures = names.map((name) => {
    const axis = { from: 0, to: 1, ticks: TENTHS, text: (share) => decimal(share, 1) };
    const drawn = plot({ title: `${titleOf(name)}: ${t("results.calibration")}`, x: { ...axis, label: t("results.confidence") }, y: axis });
    drawn.line([[0, 0], [1, 1]], "");
    const bins = browse.models[name].calibration.map(([n, confidence, right]) => [n, [confidence, right]]);
    drawn.line(bins.map(([, place]) => place), "curve");
    for (const [n, place] of bins) drawn.point(place, 2 + Math.log10(n));
    return element("figure", {}, element("figcaption", { textContent: titleOf(name) }), drawn.svg);
  });
  section("calibration", t("results.calibration-how"), element("div", { className: "plots" }, ...figures));
}

/** A share with its 95 % interval. */
const range = ({ share, interval: [low, high] }, places = 1) => `${measured(share, 2)} (${measured(low, places)} – ${measured(high, places)})`;

function people({ sets = {} }) {
  const heads = (...keys) => keys.map((key) => t(`results.${key}`));
  const rowsOf = (names, cells) => names.filter((name) => sets[name]).map((name) => [t(`results.set.${name}`), ...cells(sets[name])]);
  const digits = rowsOf(["unipen", "uji", "optdigits"], ({ right, accepted_wrong, refused, writers }) =>
    [String(right.n), String(writers ?? ""), range(right), measured(accepted_wrong.share, 2), measured(refused.share, 2)]);
  const signs = rowsOf(["letters", "omniglot", "doodles", "unseen_signs", "unseen_alphabets"], ({ refused, writers }) =>
    [String(refused.n), String(writers ?? ""), range(refused)]);
  if (!digits.length) return;
  section("people", t("results.people-how"), table(heads("writer", "n", "people-n", "right", "wrong", "refused"), digits));
  section("signs", t("results.signs-how"), table(heads("writer", "n", "people-n", "refused"), signs));
}

function others({ images, numbers }) {
  if (!images) return;
  const part = (right, n) => `${right} / ${n}`;
  const kindOf = (kind) => (has(`results.kind.${kind}`) ? t(`results.kind.${kind}`) : kind); // of one's own images: any word
  const kinds = Object.entries(images.right_by_kind).map(([kind, [right, n]]) => [kindOf(kind), part(right, n)]);
  const writers = Object.values(images.right_by_writer).map(([right, n], index) => [t("results.author", { n: index + 1 }), part(right, n)]);
  const refused = (key, share) => [t(`results.${key}`), measured(share, 1)];
  const rest = [refused("digits-refused", images.digits_refused)];
  if (images.others) rest.push(refused("others-refused", images.others_refused));
  if (numbers?.lines) rest.push([t("results.lines"), part(Math.round(numbers.lines_exact * numbers.lines), numbers.lines)]);
  if (numbers?.pages) rest.push([t("results.pages"), part(Math.round(numbers.pages_exact * numbers.pages), numbers.pages)]);
  const tables = [["kind", kinds], ["author-of", writers], ["besides", rest]].map(([key, rows]) => table([t(`results.${key}`), t("results.right")], rows));
  section("others", t("results.others-how"), element("div", { className: "sets" }, ...tables));
}

await speak();
const [evaluation, offline, runs, browse] = await Promise.all(["evaluation.json", "offline.json", "runs.json", "browse.json"].map(recorded));
const { all, ...each } = await medians();
const times = { ...each, [CONSENSUS]: all };
const models = await call("models"); // which run was released; without a key it stays unknown
if (!evaluation) $("results").append(element("p", { textContent: t("results.none") }));
else {
  const networks = inHistory(Object.keys(evaluation).filter((name) => name !== CONSENSUS));
  const names = [...networks, CONSENSUS];
  const metadata = Object.fromEntries((models.error ? [] : models).map((model) => [model.name, model.metadata]));
  compare(names, evaluation, times, offline, metadata);
  speed(names, evaluation, times);
  if (runs) curves(networks.filter((name) => runs.some((run) => run.name === name)), runs, metadata);
  if (browse) {
    calibration(names, browse);
    section("confusion", t("results.confusion-how"), ...showConfusion(names, browse));
    section("hardest", t("results.hardest-how"), showHardest(browse));
  }
  people(evaluation[CONSENSUS]);
  others(evaluation[CONSENSUS]);
}
document.body.dataset.ready = "true";
