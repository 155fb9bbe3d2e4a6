/* Asking the server.

   Signals: `act` with the address, before and after a request that changes something. */

import { tell } from '../shared/signals.js';
import { setServerTime } from './time.js';
import { words } from './words.js';

/** `status` is there if it was the server that refused; `asks` says that it wants to be told yes first. */
export class Refusal extends Error {
  constructor(message, { status, asks, wait } = {}) {
    super(message || words.loadFailed);
    Object.assign(this, { status, asks, wait });
  }
}

/** Requests an address, by POST with a form; resolves to the response. Rejects with a Refusal. */
export async function ask(url, form, signal) {
  const options = { signal, headers: { 'X-Requested-With': 'fetch' }, credentials: 'same-origin', redirect: 'manual' };
  if (form) Object.assign(options, { method: 'POST', body: form });
  if (form) tell('act', url);
  let response;
  try {
    response = await fetch(url, options);
  } catch (error) {
    throw new Refusal();
  }
  if (form) tell('act', url);
  if (response.type === 'opaqueredirect') {
    location.reload(); // to the login
    throw new Refusal();
  }
  const clock = response.headers.get('X-Now');
  if (clock) setServerTime(clock * 1000);
  if (response.ok) return response;
  const refused = await response.json().catch(() => ({}));
  throw new Refusal(refused.error, { status: response.status, asks: refused.asks });
}

export const askForHtml = async (url, form, signal) => (await ask(url, form, signal)).text();

export const askForJson = async (url, form) => (await ask(url, form)).json();
