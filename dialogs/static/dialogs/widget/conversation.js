/* The visitor's latest conversation, as far as the button shows it: what the visitor has not seen. */

import { load } from './storage.js';
import { state } from './state.js';

/**
 * What is done with an answer of the server. Before the window is there, an answer tells all that was not seen (`knownFields`),
 * and takes the place of the one before. Then it tells what is new, and the window merges it.
 */
export const keeper = {
  keep: (answer) => Object.assign(state, { conversation: answer, messages: answer.messages }),
};

/** Accepts what an answer of the server says of the conversation, if it says something. */
export function acceptConversation(answer) {
  state.readAt = Date.now();
  if (answer) keeper.keep(answer);
}

/** The revision up to which the visitor has seen the conversation. */
export function seenRevision() {
  const { seen } = load('localStorage');
  return state.conversation && Array.isArray(seen) && seen[0] === state.conversation.number ? seen[1] : 0;
}

/** Messages of operators that the visitor has not seen. */
export function unreadMessages() {
  const seen = seenRevision();
  return state.messages.filter((message) => !message.mine && message.revision > seen);
}
