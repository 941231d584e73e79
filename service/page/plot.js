// Plots as SVG: axes with ticks, lines, points. Coordinates are those of the data.

const SVG = "http://www.w3.org/2000/svg";
const MARGIN = { left: 46, right: 14, top: 10, bottom: 34 };

/** A plot of `size` [width, height] units; x and y are {from, to, ticks, label, text, log}. */
export function plot({ size = [320, 220], x, y, title }) {
  const svg = make("svg", { viewBox: `0 0 ${size.join(" ")}`, class: "plot", role: "img", "aria-label": title });
  const along = scale(x, MARGIN.left, size[0] - MARGIN.right);
  const up = scale(y, size[1] - MARGIN.bottom, MARGIN.top);
  const bottom = size[1] - MARGIN.bottom;
  for (const tick of x.ticks) write(svg, x.text(tick), along(tick), bottom + 14, "middle");
  for (const tick of y.ticks) {
    svg.append(make("line", { x1: MARGIN.left, x2: size[0] - MARGIN.right, y1: up(tick), y2: up(tick) }));
    write(svg, y.text(tick), MARGIN.left - 6, up(tick) + 4, "end");
  }
  write(svg, x.label, (MARGIN.left + size[0] - MARGIN.right) / 2, size[1] - 4, "middle");
  const inside = (value, axis) => Math.min(Math.max(value, axis.from), axis.to);
  return {
    svg,
    /** points: [[x, y], ...]; what lies outside the axes is drawn at their edge */
    line(points, className) {
      const steps = points.map(([px, py]) => `${along(inside(px, x)).toFixed(1)} ${up(inside(py, y)).toFixed(1)}`);
      svg.append(make("path", { d: `M${steps.join("L")}`, class: className }));
    },
    point([px, py], radius, name, place = "start") {
      svg.append(make("circle", { cx: along(px), cy: up(py), r: radius }));
      if (name) write(svg, name, along(px) + { start: radius + 4, end: -radius - 4 }[place], up(py) + 4, place, "name");
    },
  };
}

function scale({ from, to, log }, low, high) {
  const place = log ? Math.log10 : (value) => value;
  return (value) => low + ((place(value) - place(from)) / (place(to) - place(from))) * (high - low);
}

function write(svg, content, x, y, anchor, className = "") {
  const text = make("text", { x, y, "text-anchor": anchor, class: className });
  text.textContent = content;
  svg.append(text);
}

function make(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  return made;
}
