// Images for the sheet: chosen, photographed, dropped, pasted, from the examples, from the camera.

import { showError } from "./answer.js";
import { isEmpty, lay, turn } from "./sheet.js";
import { $, t } from "./words.js";

const put = (image) => lay({ image, strokes: [], first: false });

/** One file goes on the sheet, several into the gallery. */
async function take(files, otherwise) {
  if (files.length === 1) return put(files[0]);
  if (!files.length) return showError({ error: otherwise });
  const { showGallery } = await import("./gallery.js"); // what is seldom used is loaded when it is
  showGallery(files, put);
}

/** Put an example on the sheet; `first`: for as long as nothing else is put there. */
export async function takeExample(name, first = false) {
  try {
    const blob = await (await fetch(`page/examples/${name}`)).blob();
    const image = new File([blob], name, { type: blob.type });
    if (!first) put(image);
    else if (isEmpty()) turn({ image, strokes: [], first });
  } catch {
    if (!first) showError({ error: t("example-missing") });
  }
}

for (const input of [$("file"), $("photo")]) {
  input.addEventListener("change", () => {
    if (input.files.length) take([...input.files]);
    input.value = ""; // the same file may be chosen again
  });
}
for (const example of document.querySelectorAll("#examples button")) {
  example.addEventListener("click", async () => {
    await takeExample(example.dataset.file);
    $("sheet").scrollIntoView({ block: "nearest" });
  });
}
document.addEventListener("paste", (event) => {
  if (event.target.matches("input")) return;
  take([...event.clipboardData.files], t("nothing-pasted"));
});
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("over");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  const address = event.dataTransfer.getData("text/uri-list");
  const example = [...document.querySelectorAll("#examples img")].find((image) => image.src === address);
  if (example) return takeExample(example.parentElement.dataset.file);
  take([...event.dataTransfer.files], t("nothing-dropped"));
});
$("camera").hidden = !navigator.mediaDevices?.getUserMedia; // there is one only over https or from localhost
$("camera").addEventListener("click", async () => {
  const { openCamera } = await import("./camera.js");
  openCamera(put);
});
