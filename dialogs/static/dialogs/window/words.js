/* Words of the window with a number or a time in them. */

import { state } from '../widget/state.js';
import { say } from '../widget/texts.js';

/** A text with the number of the conversation. */
export const sayNumbered = (name) => say(name, { number: `#${state.conversation.number}` });

/** A moment in the visitor's language and time zone; of today only its time. */
export function timeOf(moment) {
  const at = new Date(moment);
  const options = { hour: '2-digit', minute: '2-digit' };
  if (at.toDateString() !== new Date().toDateString()) Object.assign(options, { day: 'numeric', month: 'short' });
  try {
    return at.toLocaleString(state.session.spoken, options);
  } catch (error) {
    return at.toISOString().slice(11, 16);
  }
}
