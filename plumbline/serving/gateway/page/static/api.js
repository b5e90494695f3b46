// Requests to the gateway that served this page. The secret stays in this module's memory.

const TRIES = 3;
const SLOW_MS = 1000;

let secret = null;
let askForSecret = async () => { throw new Failed("The gateway wants a secret.", 401); };
let asked = null;

/** What the gateway answered instead of what was wanted; `message` is its own text. */
export class Failed extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** `ask(reason)` gives a secret when the user has typed one. */
export function useSecretFrom(ask) {
  askForSecret = ask;
}

export const hasSecret = () => secret !== null;

export const getJson = (path, signal) => request(path, { signal });

export const postJson = (path, content, signal) =>
  post(path, JSON.stringify(content), "application/json", signal);

export const post = (path, body, type, signal) =>
  request(path, { method: "POST", body, headers: { "Content-Type": type }, signal });

async function request(path, options, tries = TRIES) {
  const used = secret;
  const headers = { ...options.headers, ...(used === null ? {} : { Authorization: `Bearer ${used}` }) };
  let answer;
  try {
    answer = await fetch(path, { ...options, headers, cache: "no-store", credentials: "omit" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failed(`The gateway cannot be reached (${error.message}).`, 0);
  }
  if (answer.status === 401) {
    if (used === secret) secret = await newSecret(used !== null);
    return request(path, options, tries);
  }
  if (answer.status === 503 && tries > 1) {
    await wait(1000 * Number(answer.headers.get("Retry-After") ?? 1), options.signal);
    return request(path, options, tries - 1);
  }
  const content = await answer.json().catch(() => null);
  if (!answer.ok) {
    throw new Failed(content?.error ?? `The gateway answered with status ${answer.status}.`, answer.status);
  }
  if (content === null) throw new Failed("The gateway's answer is not JSON.", answer.status);
  return content;
}

/** One question to the user for all requests that wait for the secret. */
function newSecret(wasWrong) {
  asked ??= askForSecret(wasWrong).finally(() => { asked = null; });
  return asked;
}

function wait(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    }, { once: true });
  });
}

/** Calls `tell(seconds)` each second that `work` takes longer than one. */
export async function slowly(work, tell) {
  const started = performance.now();
  const timer = setInterval(() => tell(Math.round((performance.now() - started) / 1000)), SLOW_MS);
  try {
    return await work;
  } finally {
    clearInterval(timer);
  }
}
