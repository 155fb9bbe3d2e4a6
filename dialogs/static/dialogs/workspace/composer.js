/* Answering. Answers are sent one after the other, as they were written. What waits for the connection keeps the key it was first
   sent with, so that it is stored once whatever became of the first attempt (B1). */

import { on } from '../shared/signals.js';
import { find, makeButton, setText } from '../page/dom.js';
import { readSoon } from '../page/readers.js';
import { words } from '../page/words.js';
import { postAction } from './actions.js';
import { newestRevision, refreshDialog, scrollToBottom, updateDialog } from './dialog.js';
import { forgetDraft, growReplyBox } from './drafts.js';
import { messageLogInner, openNumber, replyBox } from './places.js';

let sending = Promise.resolve(); // ends when all answers so far have been tried
let attempt = null; // the AbortController of the request on its way
const parked = []; // answers that wait for the connection

function newKey() {
  return window.crypto && crypto.randomUUID ? crypto.randomUUID() : `${Date.now()}-${Math.random().toString(36).slice(2)}`;
}

/** Sends what the form holds; the answer stands in the log at once. */
export function sendReply(form) {
  const text = replyBox().value.trim();
  setText(find('#reply-error'), '');
  if (!text) {
    replyBox().focus();
    return;
  }
  const key = newKey();
  const data = new FormData(form);
  data.set('key', key);
  data.set('text', text);
  data.set('after', newestRevision()); // the log that comes back begins there
  const answer = Object.assign(showAnswer(key, text), { url: form.action, data, number: openNumber() });
  replyBox().value = '';
  forgetDraft();
  growReplyBox();
  scrollToBottom();
  enqueue(answer);
}

function showAnswer(key, text) {
  const make = (className, content) => Object.assign(document.createElement('div'), { className, textContent: content });
  const message = make('message message--mine', '');
  const foot = make('message-foot', '');
  message.dataset.pending = key;
  message.append(make('bubble', text), foot);
  messageLogInner().append(message);
  return { message, foot };
}

function enqueue(answer) {
  answer.message.classList.remove('message--failed');
  answer.foot.textContent = words.sending;
  sending = sending.then(() => send(answer));
}

async function send(answer) {
  if (parked.length) {
    park(answer);
    return;
  }
  attempt = new AbortController();
  try {
    const html = await postAction(answer.url, answer.data, words.sendAnyway, attempt.signal);
    if (answer.number === openNumber()) updateDialog(html); // the whole dialog, or its log alone
    answer.message.remove();
    readSoon();
  } catch (refusal) {
    const isDisconnected = !find('#lost').hidden || !navigator.onLine;
    if (!refusal.status && isDisconnected) park(answer);
    else showFailure(answer, refusal);
  }
}

function park(answer) {
  answer.foot.textContent = words.queued;
  parked.push(answer);
}

function showFailure(answer, refusal) {
  answer.message.classList.add('message--failed');
  answer.foot.textContent = `${words.notSent} ${refusal.status ? refusal.message : ''} `;
  answer.foot.append(makeButton(words.again, '', () => enqueue(answer)));
  if (refusal.status === 409) refreshDialog().catch(() => {});
}

export function startComposer() {
  document.addEventListener('submit', (event) => {
    if (event.target.id !== 'composer') return;
    event.preventDefault();
    sendReply(event.target);
  });
  document.addEventListener('input', (event) => {
    if (event.target.id === 'reply') growReplyBox();
  });
  on('connected', (isConnected) => {
    if (isConnected) parked.splice(0).forEach(enqueue);
    else if (attempt) attempt.abort(); // nobody may ever say what became of it
  });
  window.addEventListener('beforeunload', (event) => {
    if (!parked.length) return;
    event.preventDefault();
    event.returnValue = '';
  });
}
