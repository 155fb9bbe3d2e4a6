/* Requests to the server. They are simple ones (text/plain, no cookies): no preflight, and no rights by themselves. */

import { site } from './site.js';

const TIMEOUT = 20e3; // milliseconds

/** The server, or the network (`status` 0), did not do what was asked. `answer` is what the server said, `wait` seconds. */
export class Refusal extends Error {
  constructor(status, answer, wait) {
    super(`webim_offline: ${status}`);
    this.status = status;
    this.answer = answer || {};
    this.wait = wait;
  }
}

/** Posts `body` as JSON; resolves to the answer, or to null when there is nothing to say. Rejects with a Refusal. */
export async function call(path, body, { timeout = TIMEOUT, signal = null } = {}) {
  const control = new AbortController();
  const stop = () => control.abort();
  const timer = setTimeout(stop, timeout);
  if (signal) signal.addEventListener('abort', stop);
  let response = null;
  let answer = null;
  try {
    response = await fetch(site.base + path, {
      method: 'POST',
      body: JSON.stringify(body),
      credentials: 'omit',
      cache: 'no-store',
      signal: control.signal,
    });
    if (response.status === 204) return null;
    answer = await response.json();
  } catch (error) {
    if (!response || response.ok) throw new Refusal(0);
  } finally {
    clearTimeout(timer);
  }
  if (response.ok && answer) return answer;
  // 408: the request did not arrive in time, as when the network is lost
  throw new Refusal(response.status === 408 ? 0 : response.status, answer, Number(response.headers.get('Retry-After')) || 0);
}
