/* What was typed and not sent. It is kept for the next page of this tab. */

import { isChat } from './chat.js';
import { forgetError, restoreContacts, typedContacts } from './fields.js';
import { setShown } from '../widget/elements.js';
import { parts } from '../widget/launcher.js';
import { on } from '../shared/signals.js';
import { load, save } from '../widget/storage.js';

const KEEP_AFTER = 300; // milliseconds after the last key
const MOST_ROWS = 5;
const ROW = 34; // characters, about

let keeping = 0;

export function restoreDraft() {
  const { text, contacts } = load('sessionStorage');
  parts.text.value = typeof text === 'string' ? text : '';
  parts.line.value = parts.text.value;
  restoreContacts(contacts);
}

export function keepDraft() {
  const { value } = isChat() ? parts.line : parts.text;
  save('sessionStorage', (kept) => {
    kept.text = value;
    kept.contacts = typedContacts();
  });
}

/** The line of a chat grows with its text, up to five rows. */
export function fitLine() {
  const { value } = parts.line;
  parts.line.rows = Math.min(MOST_ROWS, Math.max(1, value.split('\n').length, Math.ceil(value.length / ROW)));
}

/** Somebody types: what was said to be wrong is not any more, as far as is known. */
export function onTyping(event) {
  forgetError(event.target);
  onChangedText();
}

export function onChangedText() {
  setShown(parts.problem, false);
  setShown(parts.lineError, false);
  fitLine();
  clearTimeout(keeping);
  keeping = setTimeout(keepDraft, KEEP_AFTER);
}

on('hide', keepDraft);
