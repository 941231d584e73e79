// Elements of the page, found and made.

export const $ = (id) => document.getElementById(id);

/** element("li", {className: "line", textContent: "1"}, child, ...) */
export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

/** Let the browser save content under a name. */
export function download(name, content, type) {
  const link = element("a", { href: URL.createObjectURL(new Blob([content], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // ms: the browser has begun to save by then
}
