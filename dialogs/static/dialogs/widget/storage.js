/* What the browser keeps for the widget. A storage may be blocked; then this page alone remembers (W5). */

import { markOf, site } from './site.js';

const memory = {};

/** What is kept in 'localStorage' or 'sessionStorage': an object, empty when there is nothing. */
export function load(area) {
  try {
    return JSON.parse(window[area].getItem(markOf(site.account)) || '{}') || {};
  } catch (error) {
    return memory[area] || {};
  }
}

/** Lets `change` change the kept object. */
export function save(area, change) {
  const kept = load(area);
  change(kept);
  memory[area] = kept;
  try {
    window[area].setItem(markOf(site.account), JSON.stringify(kept));
  } catch (error) {
    // kept in memory
  }
}

export const remember = (change) => save('localStorage', change);

/** The token of this browser's visitor; empty when there is none. */
export function storedToken() {
  const { token } = load('localStorage');
  return typeof token === 'string' ? token : '';
}
