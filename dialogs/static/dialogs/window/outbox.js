/* Messages on their way into the outbox and out of it (../widget/outbox.js). */

import { state } from '../widget/state.js';
import { remember } from '../widget/storage.js';

export function addToOutbox(entry) {
  state.outbox.push(entry);
  remember((kept) => {
    kept.outbox = (kept.outbox || []).filter((other) => other.key !== entry.key).concat(entry);
  });
}

/** Removes the entries that `isDone` says. */
export function dropFromOutbox(isDone) {
  const gone = state.outbox.filter(isDone);
  if (!gone.length) return;
  state.outbox = state.outbox.filter((entry) => !gone.includes(entry));
  remember((kept) => {
    kept.outbox = (kept.outbox || []).filter((entry) => !gone.some((one) => one.key === entry.key));
  });
}
