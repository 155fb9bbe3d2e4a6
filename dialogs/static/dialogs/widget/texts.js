/* What the widget says, in the words that the server gave for the visitor's language. */

import { state } from './state.js';

/** Fills `%(name)s` from `values`; what is not among them stays as it is. */
export function fill(text, values) {
  return text.replace(/%\((\w+)\)s/g, (whole, name) => (values && name in values ? values[name] : whole));
}

export const say = (name, values) => fill(state.session.texts[name] || '', values);
