// What was read wrong, kept in the tab and downloaded as a folder that `training.evaluate --images` takes.

import { $, download } from "./element.js";
import { csv } from "./history.js";
import { count } from "./language.js";
import { zip } from "./zip.js";

const ENDS = { "image/jpeg": "jpg", "image/png": "png", "image/webp": "webp", "image/bmp": "bmp", "image/gif": "gif", "image/tiff": "tiff" };
const kept = []; // {path, truth, kind, blob}
let current = null; // {blob, read} that the form is about

/** The form is about this image from now on; `told` is what was noted of it. */
export function keepFor(blob, told) {
  current = { blob, read: told.read };
  $("right").value = "";
}

$("wrong").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!current) return;
  const truth = $("right").value;
  const name = `${String(kept.length + 1).padStart(3, "0")}.${ENDS[current.blob.type] ?? "png"}`;
  kept.push({ path: `${truth || "other"}/${name}`, truth, kind: "correction", blob: current.blob });
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
