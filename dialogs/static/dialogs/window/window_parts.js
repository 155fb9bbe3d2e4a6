/* The elements of the window. They are made once; later they are only changed (draw.js, log.js). */

import { element, icon } from '../widget/elements.js';
import { parts } from '../widget/launcher.js';

/** Makes the elements; whoever listens to them adds the listeners. */
export function buildParts() {
  Object.assign(parts, headParts(), askParts(), formParts(), writeParts());
  parts.log = element('div', { class: 'w-log', role: 'log', tabindex: '0', hidden: true });
  const head = element('div', {}, parts.title, element('p', { class: 'w-state' }, parts.dot, parts.service));
  parts.window = element('div', { class: 'w-window', role: 'dialog', hidden: true },
    element('div', { class: 'w-head' }, head, parts.end, parts.minimise),
    element('div', { role: 'status' }, parts.bar), parts.log, parts.ask, parts.form, parts.lineError, parts.write);
  parts.root.prepend(parts.window);
}

/* The window's head, and the bar below it that says what has changed. */
function headParts() {
  const barIcon = element('span', { class: 'w-mark' });
  const barText = element('span');
  return {
    title: element('p', { class: 'w-title' }),
    dot: element('span', { class: 'w-dot', 'aria-hidden': 'true' }),
    service: element('span'),
    end: element('button', { type: 'button', class: 'w-end', hidden: true }),
    minimise: element('button', { type: 'button', class: 'w-icon' }, icon('down')),
    barIcon,
    barText,
    bar: element('p', { class: 'w-bar', hidden: true }, barIcon, barText),
  };
}

/* The form that asks for contacts after a message. */
function askParts() {
  const askLead = element('p', { class: 'w-lead' });
  const askFields = element('div', { class: 'w-fields' });
  const save = element('button', { class: 'w-save' });
  const ask = element('form', { class: 'w-ask', novalidate: true, hidden: true }, askLead, askFields, save);
  return { askLead, askFields, save, ask };
}

/* The first form: contacts where they are asked for, and the first message. */
function formParts() {
  const lead = element('p', { class: 'w-lead' });
  const fields = element('div', { class: 'w-fields' });
  const problem = element('p', { class: 'w-error', role: 'alert', hidden: true });
  const text = element('textarea', { id: 'w-text', name: 'message' });
  const textError = element('p', { class: 'w-error', id: 'w-text-error', hidden: true });
  const textLabel = element('label', { for: 'w-text' });
  const privacy = element('a', { target: '_blank', rel: 'noopener noreferrer' });
  const privacyLine = element('p', { class: 'w-small', hidden: true }, privacy);
  const send = element('button', { class: 'w-send' });
  const textField = element('div', { class: 'w-field w-field--grow' }, textLabel, text, textError);
  const form = element('form', { class: 'w-form', novalidate: true, hidden: true },
    lead, fields, textField, problem, privacyLine, send);
  return { lead, fields, problem, text, textError, textLabel, privacy, privacyLine, send, form };
}

/* The line of a chat. */
function writeParts() {
  const line = element('textarea', { rows: '1' });
  const lineError = element('p', { class: 'w-error w-error--line', role: 'alert', hidden: true });
  const go = element('button', { class: 'w-go' }, icon('go'));
  const write = element('form', { class: 'w-write', novalidate: true, hidden: true }, line, go);
  return { line, lineError, go, write };
}
