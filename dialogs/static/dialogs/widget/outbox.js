/* Messages that the server has not accepted yet. They are kept in the browser, so that a later page sends them (B1). An entry is
   { key, text, contacts, from_form, at }; `refused` is why the server does not take it, `wait` the seconds it asked for, and
   `waits` says that it waits for the network. */

import { load } from './storage.js';
import { state } from './state.js';

const MOST = 50;

/** Takes over what an earlier page has left. */
export function restoreOutbox() {
  const kept = load('localStorage').outbox;
  if (!Array.isArray(kept)) return;
  state.outbox = kept.filter((entry) => entry && entry.key && typeof entry.text === 'string').slice(0, MOST);
}
