// How the picture became 28x28: the sheet, the ink that was found on it, and that ink in MNIST's framing.

import { $, element } from "./element.js";
import { t } from "./language.js";

/** `sheet` is a blob or null, where only one digit of it was looked at; `explain` is of /predict. */
export function showStrip(sheet, { ink, image }) {
  const pictures = [["sheet", sheet && URL.createObjectURL(sheet)], ["ink", ink], ["frame", image]];
  for (const old of $("strip").querySelectorAll("img")) URL.revokeObjectURL(old.src);
  const steps = pictures.filter(([, source]) => source).map(([name, source]) => {
    const picture = element("img", { src: source, alt: "", className: name });
    const step = element("li", {}, picture, element("span", { textContent: t(`strip.${name}`) }));
    picture.addEventListener("error", () => step.remove()); // the browser cannot show the file
    return step;
  });
  $("strip").replaceChildren(...steps);
  $("strip").hidden = false;
}
