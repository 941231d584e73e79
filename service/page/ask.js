// Questions to the service. The newest wins: what comes back for an older one is dropped, and nothing waits in a queue.

const PATIENCE = 60_000; // ms
let newest = 0;
const open = new Map(); // the questions under way: number -> AbortController

export const busy = () => open.size > 0;

/** Whatever was asked so far is no longer wanted. */
export function drop() {
  newest++;
  for (const controller of open.values()) controller.abort();
  open.clear();
}

/** Post an image, or a promise of one; what the service answers or `{error, status}`, null if that is no longer wanted. */
export async function ask(path, image) {
  const question = ++newest;
  const controller = new AbortController();
  open.set(question, controller);
  const timer = setTimeout(() => controller.abort(), PATIENCE);
  const answer = await post(path, image, controller.signal);
  clearTimeout(timer);
  open.delete(question);
  return question === newest ? answer : null;
}

async function post(path, image, signal) {
  const form = new FormData();
  try {
    form.append("image", new Blob([await (await image).arrayBuffer()]), "image");
  } catch {
    return { error: "The file cannot be read." }; // a folder, or it has gone
  }
  let response;
  try {
    response = await fetch(path, { method: "POST", body: form, signal });
  } catch {
    return { error: signal.aborted ? "The service takes too long." : "The service cannot be reached; are you online?" };
  }
  try {
    const answer = await response.json();
    return response.ok ? answer : { error: answer.error, status: response.status };
  } catch {
    return { error: `The service answered ${response.status}, and not in its own words.`, status: response.status };
  }
}
