/* The dialogs that a section of the panel has beyond its window. Their cards are not on the page, but counts and rings know
   them. */

import { find } from './dom.js';

/**
 * The dialogs beyond a section's window, as { number, since, saidAt }: since when the visitor waits, Infinity if not on the site or
 * not waiting, and when the visitor last wrote, 0 if that does not matter here; both in milliseconds since 1970.
 */
export function dialogsBeyond(section) {
  const said = find('.card-list', section).dataset.beyond;
  return (said ? said.split(' ') : []).map((words) => {
    const [number, since, saidAt] = words.split(':').map(Number);
    return { number, since: since || Infinity, saidAt: saidAt || 0 };
  });
}
