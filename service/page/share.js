// What can be taken away: the question about the image as code, a link that holds the drawing, the page's address as a QR code.

import { lay, sheet, turn } from "./sheet.js";
import { $, t } from "./words.js";

// A link to a drawing: its strokes stand in the fragment, which a browser never sends. Two characters a coordinate.

const UNIT = 36;
const NEAR = 3; // units of the sheet: a point that is nearer to the one before is left out

const coordinate = (value) => Math.min(Math.max(Math.round(value), 0), UNIT ** 2 - 1).toString(UNIT).padStart(2, "0");

/** Strokes as text: "-" begins one, "_" one of the eraser. */
export function textOf(strokes) {
  return strokes
    .map(({ points, erase }) => {
      const kept = [];
      for (const point of points) {
        const last = kept.at(-1);
        if (!last || point === points.at(-1) || Math.hypot(point[0] - last[0], point[1] - last[1]) >= NEAR) kept.push(point);
      }
      return (erase ? "_" : "-") + kept.flat().map(coordinate).join("");
    })
    .join("");
}

export const strokesOf = (text) =>
  [...text.matchAll(/([-_])((?:[0-9a-z]{4})+)/g)].map(([, kind, points]) => ({
    erase: kind === "_",
    points: points.match(/.{4}/g).map((point) => [parseInt(point.slice(0, 2), UNIT), parseInt(point.slice(2), UNIT)]),
  }));

/** Put the drawing of the address on the sheet. Returns whether there is one. */
export function layFromAddress(first) {
  const strokes = strokesOf(location.hash);
  if (strokes.length) (first ? turn : lay)({ strokes, image: null });
  return strokes.length > 0;
}

window.addEventListener("hashchange", () => layFromAddress(false));

$("link").addEventListener("click", async () => {
  const address = new URL(location.href);
  address.hash = sheet.image ? "" : textOf(sheet.strokes);
  tell(await copied(address.href), "link");
});

$("show-code").addEventListener("click", () => {
  const address = new URL(location.href);
  address.hash = "";
  $("code").querySelector("img").src = `qr.svg?address=${encodeURIComponent(address.href)}`;
  $("code").querySelector("p").textContent = address.href;
  $("code").showModal();
});
$("code").addEventListener("click", () => $("code").close());

// The question about the very image on the sheet, for developers: as curl, Python or JavaScript.

const INLINE = 30_000; // bytes of an image that is put into the code; a larger one is named
let current = null; // {route, blob, name, isFile}

/** `name` is that of the file, null for a drawing. */
export function offer(route, blob, name) {
  current = { route, blob, name: name ?? "image.png", isFile: Boolean(name) };
}

async function code(kind, { route, blob, name, isFile }) {
  const url = new URL(route, document.baseURI).href;
  const key = sessionStorage.getItem("key") !== null; // the key itself stays out of what is copied
  const small = !isFile && blob.size <= INLINE;
  const base64 = small ? new Uint8Array(await blob.arrayBuffer()).toBase64?.() ?? (await encoded(blob)) : "";
  const file = JSON.stringify(name);
  const shell = `'${name.replaceAll("'", `'\\''`)}'`;
  if (kind === "curl") {
    const head = key ? " -H \"Authorization: Bearer $KEY\"" : "";
    if (isFile) return `curl${head} -F image=@${shell} ${url}`;
    return `base64 -d <<< ${base64} | curl${head} -F image=@- ${url}`;
  }
  if (kind === "python") {
    const image = small ? `base64.b64decode("${base64}")` : `open(${file}, "rb").read()`;
    const headers = key ? ', headers={"Authorization": f"Bearer {key}"}' : "";
    return `${small ? "import base64\n\n" : ""}import httpx\n\nimage = ${image}\nprint(httpx.post("${url}", files={"image": image}${headers}).json())\n`;
  }
  const image = small
    ? `Uint8Array.from(atob("${base64}"), (letter) => letter.charCodeAt())`
    : `await (await import("node:fs/promises")).readFile(${file})`;
  const headers = key ? ", headers: { Authorization: `Bearer ${key}` }" : "";
  return `const image = ${image};\nconst body = new FormData();\nbody.append("image", new Blob([image]));\nconst response = await fetch("${url}", { method: "POST", body${headers} });\nconsole.log(await response.json());\n`;
}

/** A blob in base 64, where the browser does not do it by itself yet. */
const encoded = async (blob) => btoa(String.fromCharCode(...new Uint8Array(await blob.arrayBuffer())));

$("copy").addEventListener("click", async ({ target }) => {
  if (!target.dataset.kind || !current) return;
  const text = await code(target.dataset.kind, current);
  tell(await copied(text), target.dataset.kind);
});

function tell(done, kind) {
  $("copied").dataset.kind = kind;
  $("copied").textContent = t(done ? "copied" : "not-copied");
}

/** The clipboard is there only over https or from localhost; elsewhere the older command does. */
async function copied(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text).then(() => true, () => false);
  const field = document.body.appendChild(Object.assign(document.createElement("textarea"), { value: text }));
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  return done;
}
