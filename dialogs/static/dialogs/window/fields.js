/* The fields for contacts. The first form and the one that asks afterwards share them: a field stands in one of the two. */

import { contactProblems } from './checks.js';
import { setWarning } from './window_elements.js';
import { element, setShown, setText } from '../widget/elements.js';
import { parts } from '../widget/launcher.js';
import { state } from '../widget/state.js';

const TYPES = { email: 'email', phone: 'tel' };
const COMPLETE = { name: 'name', email: 'email', phone: 'tel' };

/** By the field's name: { wrap, input, option, error, isRequired }. */
export const fields = {};

let draftContacts = {}; // what an earlier page of this tab has left
let builtFor = '';

export function restoreContacts(contacts) {
  draftContacts = contacts && typeof contacts === 'object' ? contacts : {};
}

/** What was typed, by field, without what is empty. */
export function typedContacts() {
  const typed = {};
  Object.entries(fields).forEach(([name, { input }]) => {
    if (input.value.trim()) typed[name] = input.value.trim();
  });
  return typed;
}

function makeField(name, label) {
  const id = `w-${name}`;
  const input = element('input', { type: TYPES[name] || 'text', id, name, autocomplete: COMPLETE[name] || 'off' });
  const option = element('span', { class: 'w-opt', id: `${id}-optional` });
  const error = element('p', { class: 'w-error', id: `${id}-error`, hidden: true });
  const wrap = element('div', { class: 'w-field' }, element('label', { for: id }, label), option, input, error);
  return { wrap, input, error, option };
}

/** Builds the fields that the account asks for. They may change between two pages of a visit; what was typed is kept. */
export function buildFields() {
  const { form, spoken, known, texts } = state.session;
  const wanted = JSON.stringify([form, spoken]);
  if (wanted === builtFor) return;
  builtFor = wanted;
  const values = Object.assign({}, known, draftContacts, typedContacts());
  Object.keys(fields).forEach((name) => delete fields[name]);
  parts.fields.textContent = '';
  parts.askFields.textContent = '';
  form.fields.forEach(({ name, label, required }) => {
    const field = makeField(name, label || texts[name]);
    field.isRequired = required;
    field.input.value = values[name] || '';
    fields[name] = field;
    parts.fields.append(field.wrap);
  });
}

/** Puts a field into one of the two forms. */
export function moveField(field, form) {
  if (field.wrap.parentNode !== form) form.append(field.wrap);
}

/** Writes beside a field that it is optional, or the like. */
export function setOption(field, text) {
  setText(field.option, text);
  setShown(field.option, text);
  describe(field);
}

function describe({ input, option, error }) {
  const ids = [option, error].filter((node) => node && !node.hidden).map((node) => node.id);
  if (ids.length) input.setAttribute('aria-describedby', ids.join(' '));
  else input.removeAttribute('aria-describedby');
}

/** Says what is wrong with a field; an empty text takes it back. */
export function setFieldError(field, text) {
  setWarning(field.error, text);
  if (text) field.input.setAttribute('aria-invalid', 'true');
  else field.input.removeAttribute('aria-invalid');
  describe(field);
}

const textField = () => ({ input: parts.text, error: parts.textError });
const isShown = ({ wrap }) => !wrap.hidden && !wrap.parentNode.hidden && !wrap.parentNode.parentNode.hidden;

/**
 * Shows what is wrong, by field, and moves the focus to the first wrong field. What belongs to no field that is shown, or `detail`,
 * stands below the form. Says whether anything is wrong.
 */
export function showErrors(errors, detail) {
  let first = null;
  Object.entries(fields).forEach(([name, field]) => {
    const text = isShown(field) ? errors[name] || '' : '';
    setFieldError(field, text);
    if (text && !first) first = field.input;
  });
  setFieldError(textField(), errors.text || '');
  if (errors.text && !first) first = parts.text;
  const rest = !first && (detail || Object.values(errors)[0] || '');
  setWarning(parts.problem, rest);
  if (first) first.focus();
  return Boolean(first || rest);
}

/** Takes the error of the field back in which somebody types again. */
export function forgetError(input) {
  if (input === parts.line || !input.getAttribute('aria-invalid')) return;
  setFieldError(Object.values(fields).find((field) => field.input === input) || textField(), '');
}

export const shownFields = () => Object.keys(fields).filter((name) => !fields[name].wrap.hidden);

/** What is wrong with the contacts in these fields. */
export function problemsOf(names) {
  return contactProblems({
    names,
    given: typedContacts(),
    required: names.filter((name) => fields[name].isRequired),
    needsEither: state.session.form.either,
    texts: state.session.texts,
  });
}
