// Questions to the service. The newest wins: what comes back for an older one is dropped, and nothing waits in a queue.

const PATIENCE = 90_000; // ms; the service itself gives up earlier
const underway = new Map(); // number of a question -> its AbortController
let newest = 0;

export const busy = () => underway.size > 0;

/** Whatever was asked so far is no longer wanted. */
export function drop() {
  newest++;
  for (const controller of underway.values()) controller.abort();
  underway.clear();
}

/** Post an image, or a promise of one; what the service answers or `{error, status}`, null if that is no longer wanted. */
export async function ask(path, image) {
  const question = ++newest;
  const controller = new AbortController();
  underway.set(question, controller);
  const timer = setTimeout(() => controller.abort(), PATIENCE);
  const answer = await post(path, image, controller.signal);
  clearTimeout(timer);
  underway.delete(question);
  return question === newest ? answer : null;
}

async function post(path, image, signal) {
  const body = new FormData();
  try {
    body.append("image", new Blob([await (await image).arrayBuffer()]), "image");
  } catch {
    return { error: "The file cannot be read." }; // a folder, or it has gone
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
    return { error: options.signal?.aborted ? "The service takes too long." : "The service cannot be reached; are you online?" };
  }
  try {
    const answer = await response.json();
    if (response.ok) return answer;
    if (answer.error) return { error: answer.error, status: response.status };
    throw new TypeError("an error without a sentence");
  } catch {
    return { error: `The service answered ${response.status}, and not in its own words.`, status: response.status };
  }
}

export function use(key) {
  sessionStorage.setItem("key", key);
}
