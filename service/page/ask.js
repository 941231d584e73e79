// Questions to the service. The newest wins: an older one is dropped, on the way and when its answer comes all the same.

import { has, t } from "./words.js";

const PATIENCE = 90_000; // ms; the service itself gives up earlier
let newest = 0;
let underway = null; // the AbortController of the newest question

export const busy = () => underway !== null;

/** Nothing that was asked so far is wanted any more. */
export function drop() {
  newest++;
  underway?.abort();
  underway = null;
}

/** Post an image to a path: the answer, or null if a newer question was asked meanwhile. */
export async function ask(path, image) {
  drop();
  const question = newest;
  const controller = (underway = new AbortController());
  const timer = setTimeout(() => controller.abort(), PATIENCE);
  const answer = await post(path, image, controller.signal);
  clearTimeout(timer);
  if (question !== newest) return null;
  underway = null;
  return answer;
}

/** Post an image to one path, whatever else is asked. What the service answers, or `{error, status}`. */
export async function post(path, image, signal) {
  const body = new FormData();
  try {
    body.append("image", new Blob([await image.arrayBuffer()]), "image");
  } catch {
    return { error: t("file-unreadable") }; // a folder, or it has gone
  }
  return call(path, { method: "POST", body, signal });
}

/** What the service answers, or `{error, status}`. A key, once given, is kept until the tab is closed. */
export async function call(path, options = {}) {
  const key = sessionStorage.getItem("key");
  const headers = key ? { Authorization: `Bearer ${key}` } : {};
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch {
    return { error: t(options.signal?.aborted ? "too-long" : "unreachable") };
  }
  try {
    const answer = await response.json();
    if (response.ok) return answer;
    if (response.status === 401) sessionStorage.removeItem("key");
    if (answer.error) return { error: sentence(response.status, key, answer.error), status: response.status };
    throw new TypeError("an error without a sentence");
  } catch {
    return { error: t("not-own-words", { status: response.status }), status: response.status };
  }
}

function sentence(status, key, error) {
  if (status === 401) return t(key ? "key-wrong" : "key-needed");
  return has(`status.${status}`) ? t(`status.${status}`, { error }) : error;
}

/** The recorded median milliseconds of one image for each model, or "all" together: {name: ms}. */
export async function medians() {
  const offline = await recorded("offline.json");
  const rows = offline?.rows.filter(({ batch }) => batch === 1) ?? [];
  return Object.fromEntries(rows.map(({ model, latency_p50_ms }) => [model, latency_p50_ms]));
}

/** A file of results/; null where there is none. */
export const recorded = (file) => fetch(`page/results/${file}`).then((response) => (response.ok ? response.json() : null), () => null);

export const use = (key) => sessionStorage.setItem("key", key);
