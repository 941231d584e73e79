// The page of results. Every figure comes from results/*.json; nothing is typed here.

import { call } from "./ask.js";
import { showConfusion, showHardest } from "./digits.js";
import { $, element } from "./element.js";
import { CONSENSUS, inHistory, titleOf } from "./families.js";
import { decimal, percent, speak, t } from "./language.js";
import { plot } from "./plot.js";

const TENTHS = [0, 0.2, 0.4, 0.6, 0.8, 1];

const read = (file) => fetch(`page/results/${file}`).then((response) => (response.ok ? response.json() : null));

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

/** Median milliseconds of one image, if that was measured. */
function latencyOf(offline, name) {
  const model = name === CONSENSUS ? "all" : name;
  return offline?.rows.find((row) => row.engine === "onnxruntime" && row.model === model && row.batch === 1)?.latency_p50_ms;
}

function compare(names, evaluation, offline) {
  const rows = names.map((name) => {
    const { accuracy, macro_f1, loss, ece } = evaluation[name].test;
    const latency = latencyOf(offline, name);
    return [titleOf(name), percent(accuracy, 2), decimal(macro_f1, 4), decimal(loss, 4), decimal(ece, 4), latency ? `${decimal(latency, 2)} ms` : ""];
  });
  const head = ["network", "accuracy", "f1", "loss", "ece", "latency"].map((key) => t(`results.${key}`));
  section("compare", offline && t("results.latency-how", offline.setting), table(head, rows));
}

function speed(names, evaluation, offline) {
  const points = names.map((name) => [name, latencyOf(offline, name), evaluation[name].test.accuracy]).filter(([, ms]) => ms);
  if (!points.length) return;
  const shares = points.map(([, , accuracy]) => accuracy);
  const low = Math.floor(Math.min(...shares) * 1000) / 1000;
  const high = Math.ceil(Math.max(...shares) * 1000) / 1000;
  const drawn = plot({
    size: [640, 300],
    title: t("results.speed"),
    x: { from: 0.05, to: 20, log: true, ticks: [0.1, 0.3, 1, 3, 10], label: `${t("results.latency")}, ms`, text: String },
    y: { from: low, to: high, ticks: Array.from({ length: Math.round((high - low) * 1000) + 1 }, (_, i) => low + i / 1000), text: (share) => percent(share) },
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
    const drawn = plot({ title, x, y: { from: 0.001, to: 0.1, log: true, ticks: [0.001, 0.003, 0.01, 0.03, 0.1], text: (share) => percent(share) } });
    const says = metadata[name] ?? {};
    for (const run of own) {
      const released = ["commit", "seed", "initial_weights"].every((key) => says[key] === run[key]);
      const points = run.metrics.map(({ epoch, validation }) => [epoch, 1 - validation.mnist.accuracy]);
      drawn.line(points, released ? "released" : "run");
    }
    return element("figure", {}, element("figcaption", { textContent: titleOf(name) }), drawn.svg);
  });
  section("curves", t("results.curves-how"), element("div", { className: "plots" }, ...figures));
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
const range = ({ share, interval: [low, high] }) => `${percent(share, 2)} (${percent(low, 1)} – ${percent(high, 1)})`;

function people({ sets = {} }) {
  const heads = (...keys) => keys.map((key) => t(`results.${key}`));
  const rowsOf = (names, cells) => names.filter((name) => sets[name]).map((name) => [t(`results.set.${name}`), ...cells(sets[name])]);
  const digits = rowsOf(["unipen", "uji", "optdigits"], ({ right, accepted_wrong, refused, writers }) =>
    [String(right.n), String(writers ?? ""), range(right), percent(accepted_wrong.share, 2), percent(refused.share, 2)]);
  const signs = rowsOf(["letters", "omniglot", "doodles", "unseen_signs", "unseen_alphabets"], ({ refused, writers }) =>
    [String(refused.n), String(writers ?? ""), range(refused)]);
  if (!digits.length) return;
  section("people", t("results.people-how"), table(heads("writer", "n", "people-n", "right", "wrong", "refused"), digits));
  section("signs", t("results.signs-how"), table(heads("writer", "n", "people-n", "refused"), signs));
}

function others({ images }) {
  if (!images) return;
  const rows = (shares) => Object.entries(shares).map(([name, [right, all]]) => [name, `${right} / ${all}`]);
  const kinds = table([t("results.kind"), t("results.right")], rows(images.right_by_kind));
  const writers = table([t("results.writer"), t("results.right")], rows(images.right_by_writer));
  section("others", t("results.others-how"), element("div", { className: "sets" }, kinds, writers));
}

await speak();
const [evaluation, offline, runs, browse] = await Promise.all(["evaluation.json", "offline.json", "runs.json", "browse.json"].map(read));
const models = await call("models"); // which run was released; without a key it stays unknown
if (!evaluation) $("results").append(element("p", { textContent: t("results.none") }));
else {
  const networks = inHistory(Object.keys(evaluation).filter((name) => name !== CONSENSUS));
  const names = [...networks, CONSENSUS];
  const metadata = Object.fromEntries((models.error ? [] : models).map((model) => [model.name, model.metadata]));
  compare(names, evaluation, offline);
  speed(names, evaluation, offline);
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
