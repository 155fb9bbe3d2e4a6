/* Sending what is in the outbox: one message after the other, always under the key that it was first sent with (B1). */

import { goesOn } from './chat.js';
import { addToOutbox, dropFromOutbox } from './outbox.js';
import { backOff, pause } from '../live/pauses.js';
import { tell } from '../shared/signals.js';
import { acceptConversation } from '../widget/conversation.js';
import { call } from '../widget/network.js';
import { readConversation } from '../widget/reading.js';
import { greet, knownFields, visitorFields } from '../widget/session.js';
import { newKey, setConnected, state } from '../widget/state.js';

const WAIT_WHEN_TOO_FAST = 10; // seconds, if the server names none
const MOST_GREETINGS = 3; // failures in a row after which a 401 is not answered by a new session

let isSending = false;

/** Sends a text from now on. `isForm` says that the form for left messages was filled in, with these contacts. */
export function submit(text, contacts, isForm) {
  addToOutbox({ key: newKey(), text, contacts, from_form: isForm, at: new Date().toISOString() });
  tell('change');
  sendOutbox();
}

/** Sends all that the server has not refused, until nothing is left. */
export async function sendOutbox() {
  if (isSending || !state.session) return;
  isSending = true;
  let failures = 0;
  let entry = nextEntry();
  while (entry) {
    try {
      await sendEntry(entry);
      failures = 0;
    } catch (refusal) {
      failures += 1;
      await dealWithRefusal(entry, refusal, failures);
    }
    entry = nextEntry();
  }
  isSending = false;
  tell('change');
}

const nextEntry = () => state.outbox.find((entry) => !entry.refused);

async function sendEntry(entry) {
  const { key, text, contacts, from_form } = entry;
  const message = { key, text, contacts, from_form };
  const { conversation } = await call('/widget/api/messages', Object.assign(visitorFields(), knownFields(), message));
  entry.wait = 0;
  dropFromOutbox((one) => one.key === key);
  acceptConversation(conversation);
  if (conversation && conversation.more) readConversation();
  tell('sent');
  setConnected(true);
  tell('change');
}

async function dealWithRefusal(entry, refusal, failures) {
  const { status, answer } = refusal;
  if (status === 401 && failures < MOST_GREETINGS) {
    await greet().catch(() => {});
  } else if (status === 429) {
    entry.wait = answer.retry_after || refusal.wait || WAIT_WHEN_TOO_FAST;
    tell('change');
    await pause(entry.wait * 1000);
    entry.wait = 0;
  } else if (status === 400 && !entry.from_form && dropContacts(entry.contacts, answer.fields)) {
    // W3: a contact that was typed before the form went away never stops the message
  } else if (status >= 400 && status < 500) {
    await giveBack(entry, answer);
  } else {
    entry.waits = true;
    if (failures > 1 || !navigator.onLine) setConnected(false);
    tell('change');
    await pause(backOff(failures));
  }
}

/** Deletes the contacts that the server refuses; says whether there were any. */
export function dropContacts(contacts, refused) {
  const wrong = Object.keys(refused || {}).filter((name) => name in contacts);
  wrong.forEach((name) => delete contacts[name]);
  return wrong.length > 0;
}

/* The message of a chat stays in the log, and says why; that of a form goes back into the form with all that was typed. */
async function giveBack(entry, answer) {
  if (goesOn()) {
    entry.refused = answer.detail || state.session.texts.not_sent;
  } else {
    dropFromOutbox((one) => one.key === entry.key);
    await greet().catch(() => {}); // the account may ask for other contacts by now
    await tell('refused', { entry, answer });
  }
  tell('change');
}
