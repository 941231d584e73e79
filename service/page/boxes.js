// Boxes (x_min, y_min, x_max, y_max) in pixels of an image, as SVG over it.

import { $ } from "./element.js";

const SVG = "http://www.w3.org/2000/svg";
const LABEL = 13; // pixels of the screen, of what is written beside a box

/** Over the sheet: [{box, label, kind}]; `size` of the image is null where it is not shown. */
export function outline(boxes, size) {
  const groups = draw($("boxes"), boxes, size);
  groups.forEach((group, index) => {
    group.addEventListener("pointerenter", () => light(index, true));
    group.addEventListener("pointerleave", () => light(index, false));
  });
}

/** Light a digit's box and its chip, or no longer. */
export function light(index, on) {
  $("boxes").children[index]?.classList.toggle("lit", on);
  $("digits").querySelector(`[data-index="${index}"]`)?.classList.toggle("lit", on);
}

export function draw(svg, boxes, size) {
  svg.toggleAttribute("hidden", !boxes.length || !size); // an SVG element has no `hidden` property
  svg.replaceChildren();
  if (!boxes.length || !size) return [];
  const [width, height] = size;
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const pixel = Math.max(width / svg.parentElement.clientWidth, height / svg.parentElement.clientHeight); // of the image per pixel of the screen
  const groups = boxes.map(({ box: [x_min, y_min, x_max, y_max], label, kind }) => {
    const group = document.createElementNS(SVG, "g");
    group.setAttribute("class", kind);
    const frame = group.appendChild(document.createElementNS(SVG, "rect"));
    const place = { x: x_min, y: y_min, width: x_max - x_min, height: y_max - y_min, rx: 3 * pixel };
    for (const [name, value] of Object.entries(place)) frame.setAttribute(name, value);
    const text = group.appendChild(document.createElementNS(SVG, "text"));
    const above = y_min - 5 * pixel;
    text.setAttribute("x", x_min);
    text.setAttribute("y", above > LABEL * pixel ? above : y_max + (LABEL + 3) * pixel);
    text.setAttribute("font-size", LABEL * pixel);
    text.textContent = label;
    return group;
  });
  svg.append(...groups);
  return groups;
}
