// Draw or choose a digit, post it to /predict, show what comes back. No outside host, no build step.

const PEN = 18; // pixels of the 280-pixel pad
const $ = (id) => document.getElementById(id);
const pad = $("pad");
const paint = pad.getContext("2d");
let strokes = []; // each a list of [x, y]
let latest = 0; // only the newest question is answered on the page

function draw() {
  paint.fillStyle = "#fff";
  paint.fillRect(0, 0, pad.width, pad.height);
  paint.strokeStyle = "#000";
  paint.lineWidth = PEN;
  paint.lineCap = paint.lineJoin = "round";
  for (const stroke of strokes) {
    paint.beginPath();
    paint.moveTo(...stroke[0]);
    for (const point of stroke.length > 1 ? stroke.slice(1) : stroke) paint.lineTo(...point);
    paint.stroke();
  }
}

function place(event) {
  const frame = pad.getBoundingClientRect();
  return [((event.clientX - frame.left) / frame.width) * pad.width, ((event.clientY - frame.top) / frame.height) * pad.height];
}

pad.addEventListener("pointerdown", (event) => {
  pad.setPointerCapture(event.pointerId);
  strokes.push([place(event)]);
  draw();
});
pad.addEventListener("pointermove", (event) => {
  if (!pad.hasPointerCapture(event.pointerId)) return;
  for (const step of event.getCoalescedEvents?.() ?? [event]) strokes.at(-1).push(place(step));
  draw();
});
pad.addEventListener("pointerup", readDrawing);

function readDrawing() {
  draw();
  if (strokes.length === 0) return forget();
  pad.toBlob((blob) => read(blob), "image/png");
}

$("undo").addEventListener("click", () => {
  showPad();
  strokes.pop();
  readDrawing();
});
$("clear").addEventListener("click", () => {
  strokes = [];
  showPad();
  readDrawing();
});

function showPad() {
  $("picture").hidden = true;
  pad.hidden = false;
  outline();
}

function choose(file) {
  if (!file) return;
  const picture = $("picture");
  URL.revokeObjectURL(picture.src);
  picture.src = URL.createObjectURL(file);
  picture.hidden = false;
  pad.hidden = true;
  outline();
  read(file);
}

$("file").addEventListener("change", (event) => {
  choose(event.target.files[0]);
  event.target.value = "";
});
document.addEventListener("paste", (event) => choose(event.clipboardData.files[0]));
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.querySelector(".input").classList.add("over");
});
document.addEventListener("dragleave", () => document.querySelector(".input").classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.querySelector(".input").classList.remove("over");
  choose(event.dataTransfer.files[0]);
});

async function read(blob) {
  const question = ++latest;
  const form = new FormData();
  form.append("image", blob);
  let answer;
  try {
    const response = await fetch("/predict?explain=true", { method: "POST", body: form });
    answer = await response.json();
  } catch {
    answer = { error: "The service cannot be reached." };
  }
  if (question === latest) show(answer);
}

function forget() {
  latest++;
  $("digit").textContent = "?";
  $("digit").classList.remove("doubtful");
  $("summary").textContent = "Nothing read yet.";
  $("models").hidden = $("seen").hidden = true;
  outline();
}

function show(answer) {
  if (answer.error) {
    forget();
    $("summary").textContent = answer.error;
    return;
  }
  const { digit, confidence, accepted, agreement, models, timing_ms: timing } = answer;
  const share = `${agreement} of ${models.length} networks agree, ${(100 * confidence).toFixed(1)} % sure`;
  $("digit").textContent = digit;
  $("digit").classList.toggle("doubtful", !accepted);
  $("summary").textContent = accepted
    ? `${share}; ${timing.total.toFixed(0)} ms in all.`
    : `This may not be a single digit. The best guess is ${digit}: ${share}.`;
  $("seen").hidden = false;
  $("seen").firstElementChild.src = answer.explain.image;
  $("models").hidden = false;
  $("models").tBodies[0].replaceChildren(...models.map(row));
  outline(models.find((model) => model.box)?.box);
}

function row(model) {
  const cells = document.createElement("tr");
  const name = cells.appendChild(document.createElement("th"));
  name.scope = "row";
  name.textContent = model.name;
  const digit = cells.insertCell();
  digit.className = "answer-digit";
  digit.textContent = model.digit;
  const bars = cells.insertCell().appendChild(document.createElement("div"));
  bars.className = "bars";
  bars.setAttribute("role", "img");
  bars.setAttribute("aria-label", `${model.digit}: ${(100 * model.confidence).toFixed(1)} %`);
  model.probabilities.forEach((probability, label) => {
    const column = bars.appendChild(document.createElement("span"));
    column.title = `${label}: ${(100 * probability).toFixed(2)} %`;
    column.appendChild(document.createElement("i")).style.height = `${100 * probability}%`;
    column.append(label);
  });
  const time = cells.insertCell();
  time.className = "time";
  time.textContent = `${model.latency_ms.toFixed(1)} ms`;
  return cells;
}

// The detector's box, in pixels of the picture, over the picture as it is shown (contained in a square).
function outline(box) {
  const shown = pad.hidden ? $("picture") : pad;
  const width = shown.naturalWidth ?? shown.width;
  const height = shown.naturalHeight ?? shown.height;
  $("box").toggleAttribute("hidden", !box || !width); // an SVG element has no `hidden` property
  if (!box || !width) return;
  const side = Math.max(width, height);
  $("box").setAttribute("viewBox", `${(width - side) / 2} ${(height - side) / 2} ${side} ${side}`);
  const rectangle = $("box").firstElementChild;
  rectangle.setAttribute("x", box[0]);
  rectangle.setAttribute("y", box[1]);
  rectangle.setAttribute("width", box[2] - box[0]);
  rectangle.setAttribute("height", box[3] - box[1]);
}

draw();
