/* The whole conversation: what the server said of it, and what of it was seen. */

import { dropFromOutbox } from './outbox.js';
import { keeper, seenRevision } from '../widget/conversation.js';
import { state } from '../widget/state.js';
import { remember } from '../widget/storage.js';

const lastRevision = (messages) => (messages.length ? messages[messages.length - 1].revision : 0);

/**
 * What is known after an answer of the server: { conversation, messages, isSame, isStale }. An answer tells only what the page
 * does not know yet. Answers may overtake each other: a stale one adds messages at most.
 */
export function merge(known, answer) {
  const isSame = Boolean(known.conversation && !answer.anew && known.conversation.number === answer.number);
  const before = isSame ? known.messages : [];
  const last = lastRevision(before);
  const messages = before.concat(answer.messages.filter((message) => message.revision > last));
  if (isSame && answer.revision < known.conversation.revision) {
    return { conversation: known.conversation, messages, isSame, isStale: true };
  }
  const cut = (isSame && known.conversation.cut) || answer.cut;
  return { conversation: Object.assign({}, answer, { cut }), messages, isSame, isStale: false };
}

function keepAll(answer) {
  const { conversation, messages, isSame, isStale } = merge(state, answer);
  if (!isSame) state.awayFrom = Infinity;
  Object.assign(state, { conversation, messages });
  if (isStale) return;
  dropSent();
  if (state.isOpen && !document.hidden) markSeen();
}

/** What stands in the conversation was accepted, whatever became of the answer to the request. */
export function dropSent() {
  const keys = new Set(state.messages.map((message) => message.key));
  dropFromOutbox((entry) => keys.has(entry.key));
}

export function markSeen() {
  const last = lastRevision(state.messages);
  if (!state.conversation || last <= seenRevision()) return;
  remember((kept) => {
    kept.seen = [state.conversation.number, last];
  });
}

keeper.keep = keepAll;
