// The sheet: an image or none, strokes over it, and the way back and forth.

import { $ } from "./element.js";
import { contrast, follow, show } from "./pad.js";

export const EMPTY = { strokes: [], image: null };
export let sheet = EMPTY;
export let shown = Promise.resolve(null); // the element of the sheet's image; null where there is none or it cannot be shown
export let colour = "#000"; // of strokes over the image
let past = []; // sheets, for undo
let future = []; // for redo
let erasing = false;
let changed = () => {};

/** `callback({growing, otherImage})` is called after each change; `growing`: in the middle of a stroke. */
export function watch(callback) {
  changed = callback;
}

/** Put strokes or an image on the sheet; this can be undone. */
export function lay(change) {
  past.push(sheet);
  future = [];
  turn({ ...sheet, ...change });
}

/** Make `next` the sheet. */
export function turn(next) {
  const otherImage = next.image !== sheet.image;
  if (otherImage) shown = showImage(next.image);
  sheet = next;
  redraw();
  changed({ growing: false, otherImage });
}

export const isEmpty = () => !sheet.image && !sheet.strokes.length;

/** `at`: where the pen is that the keys move. */
export function redraw(at) {
  $("pad").style.color = sheet.image ? colour : "";
  show($("pad"), sheet.strokes, at);
  $("sheet").classList.toggle("empty", isEmpty());
  $("undo").disabled = !past.length;
  $("redo").disabled = !future.length;
  $("clear").disabled = isEmpty();
  $("eraser").disabled = !sheet.strokes.length;
  if (!sheet.strokes.length) erase(false);
}

function erase(on) {
  erasing = on;
  $("eraser").setAttribute("aria-pressed", on);
  $("sheet").classList.toggle("erasing", on);
}

async function showImage(image) {
  const picture = $("picture");
  URL.revokeObjectURL(picture.src);
  picture.hidden = $("unshown").hidden = true;
  if (!image) return null;
  picture.src = URL.createObjectURL(image);
  const fine = await picture.decode().then(() => true, () => false);
  if (sheet.image !== image || !fine) return null;
  picture.hidden = false;
  colour = contrast(picture);
  redraw();
  return picture;
}

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

follow($("pad"), {
  begin(point) {
    past.push(sheet);
    future = [];
    sheet = { ...sheet, strokes: [...sheet.strokes, { points: [point], erase: erasing }] };
    redraw();
  },
  extend(points) {
    sheet.strokes.at(-1).points.push(...points);
    redraw();
    changed({ growing: true, otherImage: false });
  },
  end: () => turn(sheet),
});
$("pad").addEventListener("pen", (event) => redraw(event.detail));
$("pad").addEventListener("blur", () => redraw());
$("undo").addEventListener("click", undo);
$("redo").addEventListener("click", redo);
$("clear").addEventListener("click", () => lay(EMPTY));
$("eraser").addEventListener("click", () => erase(!erasing));
document.addEventListener("keydown", (event) => {
  if (event.target.matches("input:not([type=checkbox])")) return;
  const key = event.key.toLowerCase();
  if (event.ctrlKey || event.metaKey) {
    if (key !== "z" && key !== "y") return;
    event.preventDefault();
    if (key === "y" || event.shiftKey) redo();
    else undo();
  } else if (key === "e" && !event.altKey && sheet.strokes.length) erase(!erasing);
});
window.addEventListener("resize", () => redraw());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraw());
