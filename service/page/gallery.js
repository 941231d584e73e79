// Many images at once: each with what was read in it, the most doubtful first.

import { DOUBT, numberIn } from "./answer.js";
import { post } from "./ask.js";
import { $, element, percent, t } from "./words.js";

const AT_ONCE = 2; // images asked about at the same time
let round = 0; // a newer choice of files ends the older one

/** Read the files one after another; `open(file)` is called for the one that is chosen. */
export async function showGallery(files, open) {
  const now = ++round;
  const tiles = files.map((file, order) => tile(file, order, open));
  for (const picture of $("tiles").querySelectorAll("img")) URL.revokeObjectURL(picture.src);
  $("tiles").replaceChildren(...tiles);
  $("gallery").hidden = false;
  $("gallery").scrollIntoView({ block: "nearest" });
  const queue = files.entries();
  const work = async () => {
    for (const [index, file] of queue) {
      const [one, many] = await Promise.all([post("predict", file), post("read", file)]);
      if (now !== round) return;
      fill(tiles[index], one, many);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  if (now === round) sort();
}

function tile(file, order, open) {
  const picture = element("img", { src: URL.createObjectURL(file), alt: "" });
  picture.addEventListener("error", () => picture.remove());
  const button = element("button", { type: "button", title: file.name }, picture, element("b", { textContent: "…" }), element("span", { textContent: file.name }));
  button.addEventListener("click", () => {
    open(file);
    $("sheet").scrollIntoView({ block: "nearest" });
  });
  const made = element("li", {}, button);
  made.dataset.order = order;
  return made;
}

function fill(made, one, many) {
  const read = numberIn(one, many);
  const confidence = read ? Math.min(...read.map((digit) => digit.confidence)) : one.accepted ? one.confidence : 0;
  made.dataset.confidence = one.error ? -1 : confidence;
  made.className = one.error || !confidence ? "refused" : confidence < DOUBT ? "doubtful" : "";
  made.querySelector("b").textContent = one.error ? "–" : read ? many.text : one.accepted ? one.digit : t("no-digit");
  if (one.error) made.querySelector("span").textContent = one.error;
  else if (confidence && confidence < DOUBT) made.querySelector("b").append(element("small", { textContent: percent(confidence, 0) }));
}

function sort() {
  const key = $("doubtful-first").checked ? "confidence" : "order";
  $("tiles").append(...[...$("tiles").children].sort((one, other) => one.dataset[key] - other.dataset[key]));
}

$("doubtful-first").addEventListener("change", sort);
