// What was read in this tab, as a table and as files, and what was read wrong, as files.

import { $, count, download, element, percent } from "./words.js";

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

// What was read wrong, kept in the tab and saved as pictures with an index.csv, which `quintet evaluate --images` takes.

const LINE_BREAK = "|"; // between the lines of a number, as in the index that the evaluation reads
const ENDS = { "image/jpeg": "jpg", "image/png": "png", "image/webp": "webp", "image/bmp": "bmp", "image/gif": "gif", "image/tiff": "tiff" };
const kept = []; // {path, truth, kind, blob}
let current = null; // the image that the form is about

/** The form is about this image from now on. */
export function keepFor(blob) {
  current = blob;
  $("right").value = "";
}

$("wrong").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!current) return;
  const truth = $("right").value.trim().replaceAll(/[\s|]+/g, LINE_BREAK);
  const path = `${String(kept.length + 1).padStart(3, "0")}.${ENDS[current.type] ?? "png"}`;
  kept.push({ path, truth, kind: "correction", blob: current });
  current = null;
  $("right").value = "";
  $("corrections").textContent = count("corrections", kept.length);
  $("corrections").hidden = false;
});

/** Into a folder that is chosen, or one after another where the browser, or a page without https, knows no folders. */
$("corrections").addEventListener("click", async () => {
  const index = csv(kept.map(({ path, truth, kind }) => ({ path, truth, kind })));
  const files = [["index.csv", new Blob([index], { type: "text/csv" })], ...kept.map(({ path, blob }) => [path, blob])];
  const folder = await window.showDirectoryPicker?.({ mode: "readwrite" }).catch(() => null);
  if (folder === null) return; // none was chosen
  for (const [name, blob] of files) {
    if (!folder) {
      download(name, blob, blob.type);
      continue;
    }
    const writer = await (await folder.getFileHandle(name, { create: true })).createWritable();
    await writer.write(blob);
    await writer.close();
  }
});
