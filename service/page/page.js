// The page: a drawing or an image goes to the service, and its answer is shown. No outside host, no build step.

import { introduce, say, showDigit, showError, showNumber } from "./answer.js";
import { ask, busy, call, drop, use } from "./ask.js";
import { SHEET, follow, png, show } from "./pad.js";

const MODES = {
  digit: { path: "predict?explain=true", pen: 20, show: showDigit, invitation: "Draw a digit" },
  number: { path: "read", pen: 11, show: showNumber, invitation: "Write a number" },
};
const BREATH = 80; // ms, at least, between two questions while a stroke grows
const SMALLER = 2048; // pixels, longest side of what is sent in place of an image that was too large

const $ = (id) => document.getElementById(id);
const pad = $("pad");
const picture = $("picture");
let sheet = { strokes: [], image: null }; // an image lies over the strokes
let before = []; // sheets, for undo
let pictured = SHEET; // width and height of what is on the sheet, or a promise of it; null where that cannot be shown
let asked = 0; // ms

const mode = () => MODES[document.querySelector("input[name=mode]:checked").value];
const drawn = () => show(pad, sheet.strokes, mode().pen);

function lay(next) {
  before.push(sheet);
  turn(next);
}

/** Make `next` the sheet: show it and read it. */
function turn(next) {
  const { image, strokes } = next;
  if (image !== sheet.image) {
    drop();
    pictured = showPicture(image);
  }
  sheet = next;
  drawn();
  document.body.dataset.mode = document.querySelector("input[name=mode]:checked").value;
  document.querySelector(".invitation").textContent = `${mode().invitation} here`;
  $("sheet").classList.toggle("empty", !image && !strokes.length);
  if (image || strokes.length) return read();
  drop();
  settle(() => say(`${mode().invitation}, or choose an image of one.`, "idle"));
}

async function showPicture(image) {
  URL.revokeObjectURL(picture.src);
  picture.hidden = $("unshown").hidden = true;
  pad.hidden = Boolean(image);
  if (!image) return SHEET;
  say("Reading…", "waiting");
  picture.src = URL.createObjectURL(image);
  const shown = await picture.decode().then(() => true, () => false);
  if (sheet.image !== image) return null;
  picture.hidden = !shown;
  $("unshown").hidden = shown;
  return shown ? [picture.naturalWidth, picture.naturalHeight] : null;
}

/** Ask about the sheet. While a stroke is `growing`: only if nothing else is asked, and an error is no matter. */
async function read(growing = false) {
  if (growing && (busy() || performance.now() - asked < BREATH)) return;
  asked = performance.now();
  $("answer").setAttribute("aria-busy", "true");
  const { path, pen, show: showAnswer } = mode();
  const { image, strokes } = sheet;
  const answer = await ask(path, image ?? png(strokes, pen));
  const size = await pictured;
  if (answer && !answer.error) await meet();
  if (!answer || image !== sheet.image || (growing && answer.error)) return;
  if (answer.status === 413 && image && size && (await shrink(image, size))) return;
  const showIt = () => (answer.error ? showError(answer) : showAnswer(answer, size));
  if (growing) showIt();
  else settle(showIt);
}

/** Change the answer for good: now it may be read out. */
function settle(change) {
  change();
  $("answer").setAttribute("aria-busy", "false");
}

/** Put a smaller image in place of one that is too large for the service. False if that cannot be done. */
async function shrink(image, [width, height]) {
  const scale = SMALLER / Math.max(width, height);
  if (scale >= 1) return false;
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [Math.round(width * scale), Math.round(height * scale)];
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  const kind = image.type === "image/jpeg" ? image.type : "image/webp"; // JPEG knows no transparency
  const smaller = await new Promise((resolve) => canvas.toBlob(resolve, kind));
  if (sheet.image === image) turn({ ...sheet, image: smaller });
  return true;
}

let stroke = [];
follow(pad, {
  begin(point) {
    before.push(sheet);
    stroke = [point];
    sheet = { strokes: [...sheet.strokes, stroke], image: null };
    $("sheet").classList.remove("empty");
    drawn();
  },
  extend(points) {
    stroke.push(...points);
    drawn();
    read(true);
  },
  end: () => turn(sheet),
});

/** Whether what is typed or pasted is meant for the field of the API key. */
const forKey = (event) => event.target === $("secret");

function undo() {
  if (before.length) turn(before.pop());
}

$("undo").addEventListener("click", undo);
document.addEventListener("keydown", (event) => {
  if (forKey(event)) return;
  if (event.key !== "z" || !(event.ctrlKey || event.metaKey) || event.shiftKey) return;
  event.preventDefault();
  undo();
});
$("clear").addEventListener("click", () => lay({ strokes: [], image: null }));
for (const choice of document.querySelectorAll("input[name=mode]")) choice.addEventListener("change", () => turn(sheet));
$("remedy").firstElementChild.addEventListener("click", () => choose("number").focus());

function choose(name, next = sheet) {
  const choice = document.querySelector(`input[name=mode][value=${name}]`);
  choice.checked = true;
  turn(next);
  return choice;
}

function take(file, otherwise) {
  if (file) lay({ ...sheet, image: file });
  else showError({ error: otherwise });
}

for (const input of [$("file"), $("camera")]) {
  input.addEventListener("change", () => {
    if (input.files.length) take(input.files[0]);
    input.value = ""; // the same file may be chosen again
  });
}
document.addEventListener("paste", (event) => {
  if (!forKey(event)) take(event.clipboardData.files[0], "There is no image in what was pasted.");
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
  take(event.dataTransfer.files[0], "There is no image in what was dropped.");
});

for (const example of document.querySelectorAll("#examples button")) {
  example.addEventListener("click", async () => {
    try {
      const image = await (await fetch(example.firstElementChild.src)).blob();
      before.push(sheet);
      choose(example.dataset.mode, { ...sheet, image });
      $("sheet").scrollIntoView({ block: "nearest" });
    } catch {
      showError({ error: "The example cannot be loaded; are you online?" });
    }
  });
}

window.addEventListener("resize", drawn);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawn);

$("key").addEventListener("submit", (event) => {
  event.preventDefault();
  use($("secret").value);
  start();
});

async function start() {
  const refusal = await meet();
  if (refusal) showError(refusal);
  else turn(sheet); // it may have been drawn on meanwhile
}

/** See to it that the networks are introduced. Returns what went wrong, if anything did. */
async function meet() {
  if ($("networks").childElementCount) return;
  const models = await call("models");
  if (models.error) return models;
  introduce(models);
}
turn(sheet);
start();
