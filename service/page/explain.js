// How the picture became 28x28, and what the networks look at: asked for when the sheet rests, and no more than is shown.

import { post } from "./ask.js";
import { isLooking, nextLook, showVotes } from "./cards.js";
import { $ } from "./element.js";
import { showStrip } from "./strip.js";

const PAUSE = 300; // ms without a change of the sheet
let subject = null; // {blob, votes, whole, explained}

/** Explain what /predict said of an image, `votes`. `whole`: the image is what is on the sheet, not a part of it. */
export async function explain(blob, votes, whole) {
  const now = (subject = { blob, votes, whole, explained: false });
  await new Promise((resolve) => setTimeout(resolve, PAUSE));
  await askFor(now);
}

/** The sheet changed: nothing is to be explained any more. */
export function forget() {
  subject = null;
}

async function askFor(now) {
  if (now !== subject) return;
  const { blob, votes, whole } = now;
  const all = isLooking();
  const quickest = votes.models.toSorted((one, other) => one.latency_ms - other.latency_ms)[0].name;
  const answer = await post(`predict?explain=true${all ? "" : `&models=${quickest}`}`, blob); // all take .1 s of the service
  if (now !== subject || !answer.explain) return;
  now.explained = all;
  if (all) showVotes({ ...votes, explain: answer.explain });
  showStrip(whole ? blob : null, answer.explain);
}

function look() {
  nextLook();
  if (subject && isLooking() && !subject.explained) askFor(subject);
}

$("look").addEventListener("click", look);
document.addEventListener("keydown", (event) => {
  const typing = event.target.matches("input:not([type=checkbox])");
  if (!typing && event.key.toLowerCase() === "l" && !event.ctrlKey && !event.metaKey && !event.altKey) look();
});
