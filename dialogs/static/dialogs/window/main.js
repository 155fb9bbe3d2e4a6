/* The window, the second part of the widget: opening and closing it, and what its elements listen to. What it imports from the
   first part stands in ../widget/contract.js; the signals of both in ../widget/main.js. */

import { isChat } from './chat.js';
import { dropSent, markSeen } from './conversation.js';
import { keepDraft, onTyping, restoreDraft } from './drafts.js';
import { draw } from './draw.js';
import { fields } from './fields.js';
import { endChat, forgetMode, onLineKey, saveContacts, sendForm, sendLine } from './form.js';
import { preparePolls } from './polls.js';
import { sendOutbox } from './sending.js';
import { buildParts } from './window_parts.js';
import { on, tell } from '../shared/signals.js';
import { seenRevision, unreadMessages } from '../widget/conversation.js';
import { addStyles } from '../widget/elements.js';
import { guarded } from '../widget/guard.js';
import { parts } from '../widget/launcher.js';
import { readConversation } from '../widget/reading.js';
import { acceptSession } from '../widget/session.js';
import { state } from '../widget/state.js';

Object.assign(state, {
  awayFrom: 0, // all messages of operators after this revision came while the visitor was away (here, and conversation.js)
  mode: '', // what the first form asks for, W3: 'form' contacts and a text, 'plain' a text alone, '' undecided (form.js)
  banner: '', // the text above the form that says that the service has changed: 'now_online' or 'now_offline' (form.js)
});

const listen = (target, name, handler) => target.addEventListener(name, guarded(handler));

/** Builds the window of a whole session, and takes over what earlier pages have left. */
export function startWindow({ css }, session) {
  addStyles(parts.host.shadowRoot, css, 'window.css');
  buildParts();
  acceptWhole(session);
  restoreDraft();
  if (state.conversation) dropSent();
  state.awayFrom = unreadMessages().length ? seenRevision() : Infinity;
  listen(parts.minimise, 'click', closeByKeyboard);
  listen(parts.end, 'click', endChat);
  listen(parts.form, 'submit', sendForm);
  listen(parts.ask, 'submit', saveContacts);
  listen(parts.write, 'submit', sendLine);
  listen(parts.line, 'keydown', onLineKey);
  listen(parts.window, 'input', onTyping);
  listen(parts.window, 'keydown', (event) => {
    if (event.key === 'Escape' && !event.isComposing) closeByKeyboard();
  });
  listen(document, 'visibilitychange', onVisibility);
  on('change', draw);
  on('open', openWindow);
  on('close', closeWindow);
  on('ready', sendOutbox);
  preparePolls();
  sendOutbox();
}

/* All of the conversation takes the place of what was not seen of it, unless that was heard later. */
function acceptWhole(session) {
  const { conversation } = state;
  Object.assign(state, { conversation: null, messages: [] });
  acceptSession(session);
  if (conversation && !(state.conversation && state.conversation.revision >= conversation.revision)) readConversation();
}

function onVisibility() {
  if (document.hidden || !state.isOpen) return;
  markSeen();
  tell('change');
}

function openWindow({ keepsFocus }) {
  state.isOpen = true;
  forgetMode();
  markSeen();
  if (!state.conversation) readConversation(); // another tab may have begun while no hint could reach this one
  tell('change');
  parts.log.scrollTop = parts.log.scrollHeight;
  if (keepsFocus) return;
  // a touch keyboard would cover what there is to read
  const isTouch = window.matchMedia && window.matchMedia('(pointer: coarse)').matches;
  (isTouch ? parts.minimise : firstInput()).focus();
}

/* Where the visitor writes next: the line of a chat, or the first empty field of the form. */
function firstInput() {
  if (isChat()) return parts.line;
  const inputs = Object.values(fields).map(({ input }) => input);
  return inputs.concat(parts.text).find((input) => input.offsetParent && !input.value) || parts.text;
}

function closeWindow() {
  state.isOpen = false;
  keepDraft();
  state.awayFrom = Infinity;
  tell('change');
}

/* The focus goes back to the button that opened the window. */
function closeByKeyboard() {
  closeWindow();
  if (!parts.launch.hidden) parts.launch.focus();
}
