// The page: what is on the sheet goes to the service, and its answer is shown. No other host, no build step.

import { clearAnswer, numberIn, say, showDigit, showError, showNumber } from "./answer.js";
import { ask, busy, call, drop, post, use } from "./ask.js";
import { introduce, next as nextLook, showVotes } from "./cards.js";
import { keepFor } from "./corrections.js";
import { $ } from "./element.js";
import { remember } from "./history.js";
import { speak, t } from "./language.js";
import { contrast, follow, picture, show, smaller } from "./pad.js";
import { offer } from "./snippets.js";
import { showStrip } from "./strip.js";

const BREATH = 80; // ms, at least, between two questions while a stroke grows
const PAUSE = 300; // ms without a change of the sheet before what the networks look at is asked for: it takes .1 s of the service
const PREDICT = "predict";
const READ = "read";

const EMPTY = { strokes: [], image: null };
let sheet = EMPTY; // strokes lie over the image
let past = []; // sheets, for undo
let future = []; // for redo
let ready = Promise.resolve(null); // the element of the sheet's image; null where there is none or it cannot be shown
let colour = "#000"; // of strokes over the image
let erasing = false;
let reader = PREDICT; // who answered last: it is asked while a stroke grows
let asked = 0; // ms

function lay(change) {
  past.push(sheet);
  future = [];
  turn({ ...sheet, ...change });
}

/** Make `next` the sheet: show it and read it. */
function turn(next) {
  if (next.image !== sheet.image) ready = showImage(next.image);
  sheet = next;
  showSheet();
  if (sheet.image || sheet.strokes.length) return recognise();
  drop();
  clearAnswer();
  say(t("idle"), "idle");
}

function showSheet(at) {
  $("pad").style.color = sheet.image ? colour : "";
  show($("pad"), sheet.strokes, at);
  const empty = !sheet.image && !sheet.strokes.length;
  $("sheet").classList.toggle("empty", empty);
  $("undo").disabled = !past.length;
  $("redo").disabled = !future.length;
  $("clear").disabled = empty;
  $("eraser").disabled = !sheet.strokes.length;
  if (!sheet.strokes.length) erase(false);
}

function erase(on) {
  erasing = on;
  $("eraser").setAttribute("aria-pressed", on);
  $("sheet").classList.toggle("erasing", on);
}

async function showImage(image) {
  const shown = $("picture");
  URL.revokeObjectURL(shown.src);
  shown.hidden = $("unshown").hidden = true;
  if (!image) return null;
  clearAnswer();
  say(t("waiting"), "waiting");
  shown.src = URL.createObjectURL(image);
  const fine = await shown.decode().then(() => true, () => false);
  if (sheet.image !== image || !fine) return null;
  shown.hidden = false;
  colour = contrast(shown);
  showSheet();
  return shown;
}

/** Ask about the sheet. While a stroke is `growing`: only if nothing else is asked, and an error is no matter. */
async function recognise(growing = false) {
  if (growing && (busy() || performance.now() - asked < BREATH)) return;
  asked = performance.now();
  $("answer").setAttribute("aria-busy", "true");
  const now = sheet;
  const shown = await ready;
  if (now !== sheet) return;
  const { blob, size } = await picture(now, shown, colour);
  if (now !== sheet && !growing) return;
  const answers = await ask(growing ? [reader] : [PREDICT, READ], blob);
  if (!answers || now.image !== sheet.image) return;
  if (growing) return answers[0].error || showAnswer(...(reader === PREDICT ? [answers[0], {}] : [{}, answers[0]]), size);
  const [one, many] = answers;
  if (one.status === 413 && shown && !now.strokes.length) {
    const reduced = await smaller(now.image, shown);
    if (reduced && now === sheet) return turn({ ...now, image: reduced });
  }
  if (!one.error) await meet();
  showAnswer(one, many, size);
  $("unshown").hidden = !(now.image && !shown && !one.error); // else there would be two messages
  $("answer").setAttribute("aria-busy", "false"); // now it may be read out
  $("after").hidden = Boolean(one.error);
  if (one.error) return;
  const told = remember(one, reader === READ ? many : null);
  keepFor(blob, told);
  offer(reader, blob, now.strokes.length ? null : now.image?.name);
  await explain(blob, now);
}

function showAnswer(one, many, size) {
  if (numberIn(one, many)) {
    reader = READ;
    showNumber(many, size, vote);
    showVotes(null);
  } else if (one.error) {
    reader = PREDICT;
    clearAnswer();
    showError(one);
  } else if (one.models) {
    reader = PREDICT;
    showDigit(one, size);
    showVotes(one);
  }
}

/** How the picture became 28x28, and what each network looks at. It takes a while longer, so nobody waits for it. */
async function explain(blob, now) {
  if (reader === READ) return;
  await new Promise((resolve) => setTimeout(resolve, PAUSE));
  if (now !== sheet) return;
  const answer = await post("predict?explain=true", blob);
  if (now !== sheet || !answer.explain) return;
  showVotes(answer);
  showStrip(blob, answer.explain);
}

let pages = new WeakMap(); // sheet -> what /read said of it with the 28x28 image of each digit

/** The five votes on one digit of a number: its 28x28 image goes to /predict, which takes it as it is. */
async function vote(index) {
  const now = sheet;
  if (!pages.has(now)) pages.set(now, picture(now, await ready, colour).then(({ blob }) => post("read?explain=true", blob)));
  const page = await pages.get(now);
  const image = page.digits?.[index]?.image;
  if (!image || now !== sheet) return;
  const bytes = Uint8Array.from(atob(image.split(",")[1]), (letter) => letter.charCodeAt()); // of a data: URL
  const answer = await post("predict?explain=true", new Blob([bytes]));
  if (now !== sheet || !answer.explain) return;
  showVotes(answer);
  showStrip(null, answer.explain);
}

follow($("pad"), {
  begin(point) {
    past.push(sheet);
    future = [];
    sheet = { ...sheet, strokes: [...sheet.strokes, { points: [point], erase: erasing }] };
    showSheet();
  },
  extend(points) {
    sheet.strokes.at(-1).points.push(...points);
    showSheet();
    recognise(true);
  },
  end: () => turn(sheet),
});
$("pad").addEventListener("pen", (event) => showSheet(event.detail));
$("pad").addEventListener("blur", () => showSheet());

function undo() {
  if (!past.length) return;
  future.push(sheet);
  turn(past.pop());
}

function redo() {
  if (!future.length) return;
  past.push(sheet);
  turn(future.pop());
}

$("undo").addEventListener("click", undo);
$("redo").addEventListener("click", redo);
$("clear").addEventListener("click", () => lay(EMPTY));
$("eraser").addEventListener("click", () => erase(!erasing));
$("look").addEventListener("click", nextLook);
document.addEventListener("keydown", (event) => {
  if (event.target.matches("input") && event.target.type !== "checkbox") return;
  const key = event.key.toLowerCase();
  if (event.ctrlKey || event.metaKey) {
    if (key !== "z" && key !== "y") return;
    event.preventDefault();
    if (key === "y" || event.shiftKey) redo();
    else undo();
  } else if (key === "l" && !event.altKey) nextLook();
  else if (key === "e" && !event.altKey && sheet.strokes.length) erase(!erasing);
});

/** One file goes on the sheet, several into the gallery. */
function take(files, otherwise) {
  if (files.length > 1) import("./gallery.js").then(({ showGallery }) => showGallery(files, (image) => lay({ image, strokes: [] })));
  else if (files.length) lay({ image: files[0], strokes: [] });
  else showError({ error: otherwise });
}

async function takeExample({ dataset: { file } }) {
  try {
    const blob = await (await fetch(`page/examples/${file}`)).blob();
    lay({ image: new File([blob], file, { type: blob.type }), strokes: [] });
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
for (const example of document.querySelectorAll("#examples button")) {
  example.addEventListener("click", () => takeExample(example));
}
$("camera").hidden = !navigator.mediaDevices?.getUserMedia; // there is one only over https or from localhost
$("camera").addEventListener("click", async () => {
  const { openCamera } = await import("./camera.js"); // what is seldom used is loaded when it is
  openCamera((image) => lay({ image, strokes: [] }));
});

window.addEventListener("resize", () => showSheet());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => showSheet());

$("key").addEventListener("submit", async (event) => {
  event.preventDefault();
  use($("secret").value);
  await start();
});

async function start() {
  const refusal = await meet();
  if (refusal) showError(refusal);
  else turn(sheet); // it may have been drawn on meanwhile
  $("answer").setAttribute("aria-busy", "false");
}

/** See to it that the networks are introduced. Returns what went wrong, if anything did. */
async function meet() {
  if ($("networks").childElementCount) return;
  const models = await call("models");
  if (models.error) return models;
  if (!$("networks").childElementCount) introduce(models);
}

await speak();
await start();
