// The drawing pad: strokes as lists of [x, y] in units of the sheet, on the screen and as the image that is sent.

export const SHEET = [400, 300]; // width and height, in these units

/** Follow one pointer at a time: begin(point), extend(points), end(). */
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
}

/** Show the strokes in the colour of the canvas' text, as sharp as the screen is. */
export function show(canvas, strokes, pen) {
  const scale = (canvas.clientWidth / SHEET[0]) * devicePixelRatio;
  const [width, height] = SHEET.map((side) => Math.round(side * scale));
  if (canvas.width !== width) [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d");
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, width, height);
  context.scale(scale, scale);
  draw(context, strokes, pen, getComputedStyle(canvas).color);
}

/** The strokes as a PNG, black on white and of the same size whatever the screen. */
export function png(strokes, pen) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = SHEET;
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, ...SHEET);
  draw(context, strokes, pen, "#000");
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

function draw(context, strokes, pen, colour) {
  context.strokeStyle = colour;
  context.lineWidth = pen;
  context.lineCap = context.lineJoin = "round";
  for (const stroke of strokes) {
    context.beginPath();
    context.moveTo(...stroke[0]);
    stroke.forEach(([x, y], index) => {
      const [next_x, next_y] = stroke[index + 1] ?? [x, y];
      context.quadraticCurveTo(x, y, (x + next_x) / 2, (y + next_y) / 2); // round where the pointer was caught
    });
    context.stroke();
  }
}
