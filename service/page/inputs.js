// Images for the sheet: chosen, photographed, dropped, pasted, from the examples, from the camera.

import { showError } from "./answer.js";
import { lay } from "./sheet.js";
import { $, t } from "./words.js";

const put = (image) => lay({ image, strokes: [] });

/** One file goes on the sheet, several into the gallery. */
async function take(files, otherwise) {
  if (files.length === 1) return put(files[0]);
  if (!files.length) return showError({ error: otherwise });
  const { showGallery } = await import("./gallery.js"); // what is seldom used is loaded when it is
  showGallery(files, put);
}

async function takeExample({ dataset: { file } }) {
  try {
    const blob = await (await fetch(`page/examples/${file}`)).blob();
    put(new File([blob], file, { type: blob.type }));
    $("sheet").scrollIntoView({ block: "nearest" });
  } catch {
    showError({ error: t("example-missing") });
  }
}

for (const input of [$("file"), $("photo")]) {
  input.addEventListener("change", () => {
    if (input.files.length) take([...input.files]);
    input.value = ""; // the same file may be chosen again
  });
}
for (const example of document.querySelectorAll("#examples button")) {
  example.addEventListener("click", () => takeExample(example));
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
  if (example) return takeExample(example.parentElement);
  take([...event.dataTransfer.files], t("nothing-dropped"));
});
$("camera").hidden = !navigator.mediaDevices?.getUserMedia; // there is one only over https or from localhost
$("camera").addEventListener("click", async () => {
  const { openCamera } = await import("./camera.js");
  openCamera(put);
});
