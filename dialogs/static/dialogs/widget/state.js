/* What the widget knows. Each field is written by the module that is named beside it, and read by all. The window adds what only it
   needs (window/main.js). */

import { wakeAll } from '../live/pauses.js';
import { tell } from '../shared/signals.js';

/** A random key: for a visit, or for a message, which happens once however often it is sent (B1). */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

export const state = {
  session: null, // what the server has answered to the page: the words, the ticket, and, once `isWhole`, the form (session.js)
  isWhole: false, // the window's words, its form and all of the conversation are here, not only what the button needs (session.js)
  service: 'offline', // or 'online': what the visitor is offered now (session.js, presence.js)
  token: '', // names this browser's visitor (session.js)
  visit: newKey(), // names the life of this page (main.js)
  conversation: null, // the latest one, without its messages (conversation.js)
  messages: [], // of the conversation, in the order of their revisions; until `isWhole` only those not seen (conversation.js)
  readAt: 0, // milliseconds: when the server last told all of the conversation (conversation.js, reading.js)
  outbox: [], // messages that the server has not accepted yet (outbox.js)
  isAwaited: false, // the visitor has opened the window, and it is not here yet (opening.js)
  opening: '', // what is said of that: '' nothing yet, 'opening' that it takes its time, 'failed' that it failed (opening.js)
  isOpen: false, // the window (window/main.js)
  isConnected: true,
  pollingRun: 0, // the run of the live client that no stream got through for: polls take over (presence.js)
  isRetired: false, // another part one has taken this one's place (opening.js)
};

/** The network was found to be there, or not to be. */
export function setConnected(isConnected) {
  if (isConnected === state.isConnected) return;
  state.isConnected = isConnected;
  if (isConnected) wakeAll();
  tell('change');
}
