/* The server's clock. The page stores moments, in milliseconds since 1970; the server's clock says which moment is now. */

import { durationText } from './duration.js';
import { words } from './words.js';

const days = new Intl.NumberFormat(document.documentElement.lang, { style: 'unit', unit: 'day', unitDisplay: 'long' });

let offset = (Number(document.body.dataset.now) || Date.now()) - Date.now();

export const now = () => Date.now() + offset;

/** The server said what time it has. */
export function setServerTime(milliseconds) {
  offset = milliseconds - Date.now();
}

/** How long something lasts, in the page's language. */
export const duration = (seconds) => durationText(seconds, words, (count) => days.format(count));
