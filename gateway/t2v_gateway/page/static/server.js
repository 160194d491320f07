// Asks the gateway. Who is not signed in any more is led to the way in.

const token = document.querySelector('meta[name="token"]').content;

/** What the gateway did not do, and why. `problems`: what is wrong, field by field. */
export class Refused extends Error {
  constructor(message, status, problems = []) {
    super(message);
    this.status = status;
    this.problems = problems;
  }
}

export const read = (path) => ask("GET", path);
export const remove = (path) => ask("DELETE", path);

/** `once`: sent twice, as when an answer is lost, it makes one thing only. */
export const make = (path, body, once = crypto.getRandomValues(new Uint32Array(4)).join("-")) =>
  ask("POST", path, body, { "Idempotency-Key": once });

async function ask(method, path, body, more = {}) {
  const headers = { Accept: "application/json", "X-T2V-Token": token, ...more };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(`page/api/${path}`, {
      method, headers, body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new Refused("The gateway does not answer. Try again in a moment.", 0);
  }
  if (response.status === 401) leave();
  if (response.status === 204) return null;
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  throw new Refused(answer.message || `The gateway answered ${response.status}.`, response.status, answer.problems);
}

/** To the way in: the session is over, or the key was revoked. */
export function leave() {
  location.reload();
}
