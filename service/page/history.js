// What was read in this tab, as a table and as files, and what was read wrong, as a folder for `quintet evaluate --images`.

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

// What was read wrong, kept in the tab and downloaded as a folder that `training.evaluate --images` takes.

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
  const folder = truth ? (truth.length > 1 ? "numbers" : truth) : "other";
  const name = `${String(kept.length + 1).padStart(3, "0")}.${ENDS[current.type] ?? "png"}`;
  kept.push({ path: `${folder}/${name}`, truth, kind: "correction", blob: current });
  current = null;
  $("right").value = "";
  $("corrections").textContent = count("corrections", kept.length);
  $("corrections").hidden = false;
});

$("corrections").addEventListener("click", async () => {
  const index = csv(kept.map(({ path, truth, kind }) => ({ path, truth, kind })));
  const files = [["corrections/index.csv", new Blob([index])], ...kept.map(({ path, blob }) => [`corrections/${path}`, blob])];
  download("corrections.zip", await zip(files), "application/zip");
});

// Files to one ZIP archive, stored as they are (https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT).

const TABLE = Uint32Array.from({ length: 256 }, (_, value) => {
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

function checksum(bytes) {
  let sum = ~0;
  for (const byte of bytes) sum = TABLE[(sum ^ byte) & 255] ^ (sum >>> 8);
  return ~sum >>> 0;
}

/** `fields` are [bytes, value] pairs, little-endian. */
function record(...fields) {
  const view = new DataView(new ArrayBuffer(fields.reduce((sum, [bytes]) => sum + bytes, 0)));
  let at = 0;
  for (const [bytes, value] of fields) {
    if (bytes === 4) view.setUint32(at, value, true);
    else view.setUint16(at, value, true);
    at += bytes;
  }
  return new Uint8Array(view.buffer);
}

/** [[path, Blob], ...] to the bytes of an archive. */
export async function zip(files) {
  const parts = [];
  const directory = [];
  let offset = 0;
  for (const [path, blob] of files) {
    const name = new TextEncoder().encode(path);
    const content = new Uint8Array(await blob.arrayBuffer());
    const size = content.length;
    // version 2.0, names in UTF-8, stored, 1 January 1980
    const common = [[2, 20], [2, 0x800], [2, 0], [2, 0], [2, 33], [4, checksum(content)], [4, size], [4, size], [2, name.length], [2, 0]];
    const head = record([4, 0x04034b50], ...common);
    parts.push(head, name, content);
    directory.push(record([4, 0x02014b50], [2, 20], ...common, [2, 0], [2, 0], [2, 0], [4, 0], [4, offset]), name);
    offset += head.length + name.length + size;
  }
  const length = directory.reduce((sum, part) => sum + part.length, 0);
  const end = record([4, 0x06054b50], [2, 0], [2, 0], [2, files.length], [2, files.length], [4, length], [4, offset], [2, 0]);
  return new Blob([...parts, ...directory, end]).arrayBuffer();
}
