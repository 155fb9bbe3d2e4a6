/* Reading the conversation from the server, one request at a time. */

import { acceptConversation } from './conversation.js';
import { call } from './network.js';
import { greet, knownFields, visitorFields } from './session.js';
import { tell } from '../shared/signals.js';
import { state } from './state.js';

const SLOW_READ = 60e3; // milliseconds: hints may get lost, therefore an open conversation is read slowly without any, too

let isReading = false;
let isAskedAgain = false;

/** Reads what is new; asked again meanwhile, or told that there is more, it reads once more. */
export async function readConversation() {
  if (isReading) {
    isAskedAgain = true;
    return;
  }
  isReading = true;
  try {
    do {
      isAskedAgain = false;
      const { conversation } = await call('/widget/api/conversation', Object.assign(visitorFields(), knownFields()));
      acceptConversation(conversation);
      isAskedAgain = isAskedAgain || Boolean(conversation && conversation.more && state.isWhole);
      tell('change');
    } while (isAskedAgain);
  } catch (refusal) {
    state.readAt = 0; // the next answer of the live app reads again
    if (refusal.status === 401) await greet().catch(() => {});
  } finally {
    isReading = false;
  }
}

/** Called with every sign of life of the live app. */
export function readNowAndThen() {
  if (state.conversation && state.conversation.open && Date.now() - state.readAt > SLOW_READ) readConversation();
}
