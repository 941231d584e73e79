// The page: what is on the sheet goes to the service whenever it changes, and its answer is shown. No other host, no build step.

import { clearAnswer, DOUBT, numberIn, say, showDigit, showError, showNumber, showStrip } from "./answer.js";
import { ask, busy, call, drop, medians, post, use } from "./ask.js";
import { keepFor, remember } from "./history.js";
import { takeExample } from "./inputs.js";
import { chosen, count, explain, forget, introduce, showVotes } from "./networks.js";
import { layFromAddress, offer } from "./share.js";
import { colour, isEmpty, picture, sheet, shown, smaller, turn, watch } from "./sheet.js";
import { $, speak, t } from "./words.js";

const SLOW = 300; // ms
const BREATH = 80; // ms, at least, between two questions while a stroke grows
const FIRST = "seven.png"; // the example that lies on the sheet at first
const PREDICT = "predict";
const READ = "read";

let reader = PREDICT; // who answered last: it is asked first, and alone while a stroke grows
let asked = 0; // ms
let slow; // timer: until then an older answer of a growing drawing may stand

/** Read what is on the sheet now. What was said of an older sheet goes at once, or when the answer takes long. */
async function recognise(otherImage) {
  drop();
  forget();
  clearTimeout(slow);
  if (isEmpty() || otherImage) wait(isEmpty() ? "idle" : "waiting");
  else slow = setTimeout(wait, SLOW, "waiting");
  $("answer").setAttribute("aria-busy", !isEmpty());
  if (isEmpty()) return;
  const now = sheet;
  const element = await shown;
  if (now !== sheet) return;
  const { blob, size } = await picture(now, element, colour);
  if (now !== sheet) return;
  const answers = await askInTurn(blob, size);
  if (!answers) return;
  const { one, many } = answers;
  if (one?.status === 413 && element && !now.strokes.length) {
    const reduced = await smaller(now.image, element);
    if (reduced && now === sheet) return turn({ ...now, image: reduced });
  }
  clearTimeout(slow);
  showAnswer(one, many, size);
  $("unshown").hidden = !(now.image && !element && !one?.error); // else there would be two messages
  $("answer").setAttribute("aria-busy", "false"); // now it may be read out
  $("after").hidden = Boolean(one?.error);
  if (one?.error) return;
  await meet();
  if (!now.first) remember(one, reader === READ ? many : null);
  keepFor(blob);
  offer(reader, blob, now.strokes.length ? null : now.image?.name);
  if (reader !== PREDICT) return;
  if (one.explain) showStrip(blob, one.explain);
  explain(blob, one);
  count(one);
}

const address = (route, query = "") => [route, [query, chosen()].filter(Boolean).join("&")].filter(Boolean).join("?");

/** Show that nothing is known of the sheet: "idle" or "waiting". */
function wait(kind) {
  clearAnswer();
  showVotes(null);
  count(null);
  say(t(kind), kind);
}

/** What /predict and /read say, `one` and `many`; null if a newer question was asked. No `one` if /read sees several digits. */
async function askInTurn(blob, size) {
  let many;
  if (reader === READ) {
    many = await ask(address(READ), blob);
    if (!many) return null;
    if (numberIn({ accepted: true }, many)) return { many };
  }
  const one = await ask(address(PREDICT, "explain=true"), blob);
  if (!one) return null;
  if (one.error || many) return { one, many: many ?? {} };
  if (one.accepted && one.confidence >= DOUBT) {
    clearTimeout(slow);
    showAnswer(one, {}, size); // until /read finds that there are several
  }
  many = await ask(address(READ), blob);
  return many && { one, many };
}

/** While a stroke grows: only if nothing else is asked, and an error is no matter. */
async function recogniseGrowing() {
  if (busy() || performance.now() - asked < BREATH) return;
  asked = performance.now();
  forget();
  $("answer").setAttribute("aria-busy", "true");
  const now = sheet;
  const { blob, size } = await picture(now, await shown, colour);
  if (busy() || now !== sheet) return;
  const answer = await ask(address(reader), blob);
  if (!answer || answer.error || now !== sheet) return;
  if (reader === PREDICT) showAnswer(answer, {}, size);
  else showAnswer({}, answer, size);
}

function showAnswer(one, many, size) {
  if (numberIn(one ?? { accepted: true }, many)) {
    reader = READ;
    showNumber(many, size, vote);
    showVotes(null);
  } else if (one.error) {
    reader = PREDICT;
    clearAnswer();
    showVotes(null);
    showError(one, size !== null);
  } else if (one.models) {
    reader = PREDICT;
    showDigit(one, size);
    showVotes(one);
  }
}

const pages = new WeakMap(); // sheet -> what /read said of it with the 28x28 image of each digit
let digit = null; // index of the digit whose votes are shown

/** The votes on one digit of a number: its 28x28 image goes to /predict, which takes it as it is. */
async function vote(index) {
  const now = sheet;
  digit = index;
  if (!pages.has(now)) pages.set(now, shown.then((element) => picture(now, element, colour)).then(({ blob }) => post("read?explain=true", blob)));
  const page = await pages.get(now);
  const image = page.digits?.[index]?.image;
  if (!image) return;
  const blob = new Blob([Uint8Array.from(atob(image.split(",")[1]), (letter) => letter.charCodeAt())]); // of a data: URL
  const votes = await post(address(PREDICT), blob);
  if (now !== sheet || digit !== index || votes.error) return;
  showVotes(votes);
  explain(blob, votes);
}

/** See to it that the networks are introduced. Returns what went wrong, if anything did. */
async function meet() {
  if ($("networks").childElementCount) return;
  const [models, recorded] = await Promise.all([call("models"), medians()]);
  if (models.error) return models;
  if (!$("networks").childElementCount) introduce(models, recorded, () => recognise(false));
}

watch(({ growing, otherImage }) => (growing ? recogniseGrowing() : recognise(otherImage)));

$("key").addEventListener("submit", async (event) => {
  event.preventDefault();
  use($("secret").value);
  await start();
});

async function start() {
  const refusal = await meet();
  if (!refusal) return isEmpty() ? takeFirst() : recognise(false); // it may have been drawn on meanwhile
  clearAnswer();
  showVotes(null);
  showError(refusal);
  $("answer").setAttribute("aria-busy", "false");
}

/** What the page begins with: the drawing of its address, or an example, in whose place one can draw. */
async function takeFirst() {
  if (!layFromAddress(true)) await takeExample(FIRST, true);
}

await speak();
await start();
