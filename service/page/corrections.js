// What was read wrong, kept in the tab and downloaded as a folder that `training.evaluate --images` takes.

import { $, download } from "./element.js";
import { csv } from "./history.js";
import { count } from "./language.js";
import { zip } from "./zip.js";

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
