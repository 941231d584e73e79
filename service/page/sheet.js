// The sheet: an image or none, strokes over it, and the way back and forth; on the screen and as the image that is sent.

import { $ } from "./words.js";

export const SHEET = [400, 300]; // width and height, in these units
const PEN = 13; // width of a stroke
const RUBBER = 34;
const STEP = 8; // of one press of an arrow key
const SMALLER = 1600; // pixels of the longest side of an image that is drawn on or reduced; the service looks at 1024
const LIGHT = 300_000; // bytes: what is less is sent as it is

/** Follow one pointer or the arrow keys: begin(point), extend(points), end(). */
export function follow(canvas, { begin, extend, end }) {
  let pointer = null;
  const place = ({ clientX, clientY }) => {
    const frame = canvas.getBoundingClientRect();
    return [((clientX - frame.left) / frame.width) * SHEET[0], ((clientY - frame.top) / frame.height) * SHEET[1]];
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (pointer !== null || event.button !== 0) return;
    pointer = event.pointerId;
    canvas.setPointerCapture(pointer);
    begin(place(event));
  });
  canvas.addEventListener("pointermove", (event) => {
    if (event.pointerId !== pointer) return;
    const steps = event.getCoalescedEvents?.() ?? []; // only where the page came over https or from localhost
    extend((steps.length ? steps : [event]).map(place));
  });
  for (const kind of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(kind, (event) => {
      if (event.pointerId !== pointer) return;
      pointer = null;
      end();
    });
  }
  let at = SHEET.map((side) => side / 2);
  let down = false;
  canvas.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (event.ctrlKey || event.metaKey || (!way && event.key !== " ")) return;
    event.preventDefault();
    if (way) at = at.map((value, axis) => Math.min(Math.max(value + STEP * way[axis], 0), SHEET[axis]));
    else if ((down = !down)) begin(at);
    else end();
    if (way && down) extend([at]);
    canvas.dispatchEvent(new CustomEvent("pen", { detail: at }));
  });
  canvas.addEventListener("blur", () => {
    if (down) end();
    down = false;
  });
}

/** Show the strokes in the canvas' own colour, as sharp as the screen is; `at`: a pen moved by keys. */
export function show(canvas, strokes, at) {
  const scale = (canvas.clientWidth / SHEET[0]) * devicePixelRatio;
  const [width, height] = SHEET.map((side) => Math.round(side * scale));
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d");
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, width, height);
  context.scale(scale, scale);
  draw(context, strokes, getComputedStyle(canvas).color);
  if (!at) return;
  context.beginPath();
  context.arc(...at, PEN / 2, 0, 2 * Math.PI);
  context.strokeStyle = getComputedStyle(canvas).outlineColor;
  context.lineWidth = 2;
  context.stroke();
}

/** What is on the sheet as {blob, size}: the image as it is, or drawn on, or the strokes on white.
 *
 * `shown` is the image's element, null where the browser cannot show it. `size` is null then: no box can be placed.
 */
export async function picture({ strokes, image }, shown, colour) {
  const large = image?.size > LIGHT && shown && Math.max(shown.naturalWidth, shown.naturalHeight) > SMALLER;
  if (image && !strokes.length && large) return { blob: await smaller(image, shown), size: reduced(shown) };
  if (image && (!shown || !strokes.length)) return { blob: image, size: shown && [shown.naturalWidth, shown.naturalHeight] };
  const size = image ? reduced(shown) : SHEET;
  const canvas = new OffscreenCanvas(...size);
  const context = canvas.getContext("2d");
  if (image) context.drawImage(shown, 0, 0, ...size);
  else {
    context.fillStyle = "#fff";
    context.fillRect(0, 0, ...size);
  }
  if (strokes.length) {
    const layer = new OffscreenCanvas(...size); // the eraser takes away strokes, not the image
    const fit = Math.min(SHEET[0] / size[0], SHEET[1] / size[1]);
    const pen = layer.getContext("2d");
    pen.scale(1 / fit, 1 / fit);
    pen.translate(...SHEET.map((side, axis) => (size[axis] * fit - side) / 2));
    draw(pen, strokes, image ? colour : "#000");
    context.drawImage(layer, 0, 0);
  }
  return { blob: await canvas.convertToBlob({ type: "image/png" }), size };
}

/** A smaller image in place of one that is too large for the service; null if it is small already. */
export async function smaller(image, shown) {
  const size = reduced(shown);
  if (size[0] === shown.naturalWidth) return null;
  const canvas = new OffscreenCanvas(...size);
  canvas.getContext("2d").drawImage(shown, 0, 0, ...size);
  return canvas.convertToBlob({ type: image.type === "image/jpeg" ? image.type : "image/webp" }); // JPEG knows no transparency
}

/** Black or white, whichever stands out from a shown image. */
export function contrast(shown) {
  const context = new OffscreenCanvas(1, 1).getContext("2d");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, 1, 1);
  context.drawImage(shown, 0, 0, 1, 1);
  const [red, green, blue] = context.getImageData(0, 0, 1, 1).data;
  return red + green + blue > 384 ? "#000" : "#fff";
}

function reduced({ naturalWidth, naturalHeight }) {
  const scale = Math.min(1, SMALLER / Math.max(naturalWidth, naturalHeight));
  return [Math.round(naturalWidth * scale), Math.round(naturalHeight * scale)];
}

function draw(context, strokes, colour) {
  context.strokeStyle = colour;
  context.lineCap = context.lineJoin = "round";
  for (const { points, erase } of strokes) {
    context.lineWidth = erase ? RUBBER : PEN;
    context.globalCompositeOperation = erase ? "destination-out" : "source-over";
    context.beginPath();
    context.moveTo(...points[0]);
    points.forEach(([x, y], index) => {
      const [next_x, next_y] = points[index + 1] ?? [x, y];
      context.quadraticCurveTo(x, y, (x + next_x) / 2, (y + next_y) / 2); // round where the pointer was caught
    });
    context.stroke();
  }
  context.globalCompositeOperation = "source-over";
}

// The sheet: an image or none, strokes over it, and the way back and forth.

export const EMPTY = { strokes: [], image: null, first: false }; // `first`: a stroke takes the image's place
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
  $("sheet").classList.toggle("first", sheet.first);
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
    const under = sheet.first ? EMPTY : sheet;
    if (sheet.first) shown = showImage(null);
    sheet = { ...under, strokes: [...under.strokes, { points: [point], erase: erasing }] };
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
  if (event.target.matches("input:not([type=checkbox]), select")) return;
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
