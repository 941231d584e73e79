// The question about the very image on the sheet, for developers: as curl, Python or JavaScript.

import { $, t } from "./words.js";

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
  const done = await copied(text);
  $("copied").dataset.kind = target.dataset.kind;
  $("copied").textContent = t(done ? "copied" : "not-copied");
});

/** The clipboard is there only over https or from localhost; elsewhere the older command does. */
async function copied(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text).then(() => true, () => false);
  const field = document.body.appendChild(Object.assign(document.createElement("textarea"), { value: text }));
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  return done;
}
