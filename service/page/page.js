// The page: what is on the sheet is read whenever it changes. No other host, no build step.

import { showError } from "./answer.js";
import { use } from "./ask.js";
import { $ } from "./element.js";
import "./inputs.js";
import { speak } from "./language.js";
import { meet, recognise, recogniseGrowing } from "./recognise.js";
import { watch } from "./sheet.js";

watch(({ growing, otherImage }) => (growing ? recogniseGrowing() : recognise(otherImage)));

$("key").addEventListener("submit", async (event) => {
  event.preventDefault();
  use($("secret").value);
  await start();
});

async function start() {
  const refusal = await meet();
  if (!refusal) return recognise(false); // it may have been drawn on meanwhile
  showError(refusal);
  $("answer").setAttribute("aria-busy", "false");
}

await speak();
await start();
