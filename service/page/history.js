// What was read in this tab, as a table and as files. Nothing of it is kept when the tab closes.

import { $, download, element } from "./element.js";
import { percent } from "./language.js";

const told = []; // {time, read, confidence, accepted, route}

/** Note an answer: of /read if there is one, else of /predict. */
export function remember(one, many) {
  const confidence = many ? Math.min(...many.digits.filter((d) => d.accepted).map((d) => d.confidence)) : one.confidence;
  const entry = {
    time: new Date().toISOString(),
    read: many ? many.text : `${one.digit}`,
    confidence,
    accepted: many ? true : one.accepted,
    route: many ? "/read" : "/predict",
  };
  told.push(entry);
  const cells = [entry.time.slice(11, 19), entry.accepted ? entry.read : `${entry.read}?`, percent(confidence)];
  $("history").querySelector("tbody").prepend(element("tr", {}, ...cells.map((textContent) => element("td", { textContent }))));
  $("history").hidden = false;
}

export const csv = (rows) =>
  [Object.keys(rows[0]), ...rows.map(Object.values)].map((row) => row.map(quoted).join(",")).join("\n") + "\n";

/** Every value in quotes: a number of several lines stays in its cell. */
const quoted = (value) => `"${`${value}`.replaceAll('"', '""')}"`;

$("history").addEventListener("click", ({ target }) => {
  if (target.dataset.kind === "csv") download("quintet.csv", csv(told), "text/csv");
  if (target.dataset.kind === "json") download("quintet.json", JSON.stringify(told, null, 1), "application/json");
});
