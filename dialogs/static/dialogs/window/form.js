/* What the visitor does in the window: sending, leaving contacts, ending the chat. */

import { goesOn, isChat } from './chat.js';
import { characters } from './checks.js';
import { keepDraft, onChangedText } from './drafts.js';
import { fields, problemsOf, showErrors, shownFields, typedContacts } from './fields.js';
import { submit } from './sending.js';
import { setWarning } from './window_elements.js';
import { on, tell } from '../shared/signals.js';
import { acceptConversation } from '../widget/conversation.js';
import { parts } from '../widget/launcher.js';
import { call } from '../widget/network.js';
import { readConversation } from '../widget/reading.js';
import { knownFields, visitorFields } from '../widget/session.js';
import { setConnected, state } from '../widget/state.js';
import { say } from '../widget/texts.js';

let wasChat = false;

/** What was typed goes along when the form becomes a chat, or a chat the form. */
export function keepTextBetweenForms() {
  const chat = isChat();
  if (chat === wasChat) return;
  if (chat) parts.line.value = parts.line.value || parts.text.value;
  else parts.text.value = parts.text.value || parts.line.value;
  wasChat = chat;
}

/** What the first form asks for is decided when it is first shown, by the service of that moment (W3). */
export function decideMode() {
  if (!state.mode) state.mode = state.service === 'online' ? 'plain' : 'form';
}

export function forgetMode() {
  state.mode = '';
  state.banner = '';
}

on('service', () => {
  const text = parts.root && state.isOpen && !goesOn() && (wasChat ? parts.line : parts.text).value.trim();
  const isOnline = state.service === 'online';
  // W3: a text that was begun online is accepted first, and contacts that are missing are asked for afterwards
  state.mode = text && !isOnline && Object.keys(problemsOf(Object.keys(fields))).length ? 'plain' : '';
  state.banner = text && isOnline ? 'now_online' : state.mode && 'now_offline';
  tell('change');
});

on('refused', ({ entry, answer }) => {
  if (state.service === 'offline') state.mode = 'form';
  if (!parts.text.value) parts.text.value = entry.text;
  tell('change');
  showErrors(answer.fields || {}, answer.detail);
});

function textProblem(text) {
  if (!text.trim()) return state.session.texts.write;
  return characters(text) > state.session.longest ? say('too_long', { count: state.session.longest }) : '';
}

function clearTexts() {
  parts.text.value = '';
  parts.line.value = '';
  forgetMode();
}

/** Sends the first form. */
export function sendForm(event) {
  event.preventDefault();
  const text = parts.text.value;
  const isForm = state.mode === 'form';
  const errors = isForm ? problemsOf(shownFields()) : {};
  const problem = textProblem(text);
  if (problem) errors.text = problem;
  if (showErrors(errors)) return;
  // contacts that were typed while it was a form stay with the message that starts online (W3)
  const contacts = typedContacts();
  clearTexts();
  submit(text, contacts, isForm);
  keepDraft();
  parts.line.focus();
}

/** Sends the line of a chat. */
export function sendLine(event) {
  event.preventDefault();
  const text = parts.line.value;
  const problem = textProblem(text);
  setWarning(parts.lineError, problem);
  if (!problem) {
    clearTexts();
    submit(text, {}, false);
    onChangedText();
  }
  parts.line.focus();
}

/** Enter sends, where there is a keyboard; Shift and Enter make a line. */
export function onLineKey(event) {
  const isTouch = window.matchMedia && window.matchMedia('(pointer: coarse)').matches;
  if (event.key === 'Enter' && !event.shiftKey && !event.isComposing && !isTouch) sendLine(event);
}

/** Leaves contacts after a message (W3). */
export async function saveContacts(event) {
  event.preventDefault();
  const names = shownFields();
  const errors = problemsOf(names);
  const given = typedContacts();
  const contacts = {};
  names.forEach((name) => {
    if (given[name]) contacts[name] = given[name];
  });
  if (!Object.keys(errors).length && !Object.keys(contacts).length) errors[names[0]] = state.session.texts.fill_in;
  if (showErrors(errors)) return;
  parts.save.setAttribute('aria-busy', 'true');
  try {
    const answer = await call('/widget/api/contacts', Object.assign(visitorFields(), knownFields(), { contacts }));
    acceptConversation(answer.conversation);
    parts.line.focus();
  } catch ({ answer }) {
    const refused = answer.fields || {};
    if (!Object.keys(refused).length) refused[names[0]] = answer.detail || state.session.texts.lost;
    showErrors(refused, answer.detail);
  } finally {
    parts.save.removeAttribute('aria-busy');
  }
  tell('change');
}

/** Ends the chat. */
export async function endChat() {
  parts.end.setAttribute('aria-busy', 'true');
  try {
    const answer = await call('/widget/api/end', Object.assign(visitorFields(), { number: state.conversation.number }));
    acceptConversation(answer.conversation);
    tell('sent');
    (isChat() ? parts.line : parts.text).focus();
  } catch (refusal) {
    if (refusal.status === 0 || refusal.status >= 500) setConnected(false);
    else await readConversation();
  } finally {
    parts.end.removeAttribute('aria-busy');
  }
  tell('change');
}
