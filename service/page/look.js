// What a network looks at, over the 28x28 image it saw.

const SIZE = 28;

/** `looked` is the `explain.models` of one network; `look` "occlusion" or "own", which is attention or proposals. */
export async function paint(canvas, image, looked, look) {
  const seen = new Image();
  seen.src = image;
  await seen.decode();
  const context = canvas.getContext("2d");
  context.setTransform(canvas.width / SIZE, 0, 0, canvas.height / SIZE, 0, 0);
  context.imageSmoothingEnabled = false;
  context.globalAlpha = 1;
  context.drawImage(seen, 0, 0);
  if (look === "own" && looked.proposals) frames(context, looked.proposals);
  else if (look === "own" && looked.attention) {
    const most = Math.max(...looked.attention.flat());
    squares(context, looked.attention, (share) => ["#3fd07a", share / most]);
  } else squares(context, looked.occlusion, (fall) => [fall > 0 ? "#ff8a1f" : "#4f9dff", Math.abs(fall)]);
}

/** A square for each value of a 7x7 map, in the colour and strength (0 to 1) that `tint` gives it. */
function squares(context, map, tint) {
  const side = SIZE / map.length;
  map.forEach((row, y) =>
    row.forEach((value, x) => {
      const [colour, strength] = tint(value);
      context.globalAlpha = 0.75 * Math.sqrt(Math.min(strength, 1));
      context.fillStyle = colour;
      context.fillRect(x * side, y * side, side, side);
    }),
  );
}

function frames(context, proposals) {
  context.strokeStyle = "#ffd24a";
  for (const { box: [x_min, y_min, x_max, y_max], objectness } of proposals.toReversed()) {
    context.globalAlpha = 0.25 + 0.75 * objectness;
    context.lineWidth = 0.2 + 0.5 * objectness;
    context.strokeRect(x_min, y_min, x_max - x_min, y_max - y_min);
  }
}
