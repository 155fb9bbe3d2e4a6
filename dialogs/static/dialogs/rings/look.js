/* What one look at the panel shows, as data. */

import { dialogsBeyond } from '../page/beyond.js';
import { find, findAll } from '../page/dom.js';

/**
 * Looks at a panel that was asked for at `askedAt` (milliseconds). Returns { askedAt, section, saidAt, card, rings, last, waiting,
 * oldest }: by number the key of a dialog's section, when its visitor last wrote, and its card if it is in the section's window; by
 * key whether a section rings, and the last number in it; how many wait for a reply, and since when the oldest of those on the site
 * does.
 */
export function lookAt(root, askedAt) {
  const waiting = Number(find('#section-waiting .count', root).textContent);
  const look = { askedAt, section: {}, saidAt: {}, card: {}, rings: {}, last: {}, waiting, oldest: Infinity };
  findAll('.section', root).forEach((section) => {
    const key = section.id.slice('section-'.length);
    const more = find('.section-more', section);
    const inWindow = findAll('.card-list > li', section).map((item) => lookAtCard(look, key, item));
    const numbers = inWindow.concat(dialogsBeyond(section).map((dialog) => lookBeyond(look, key, dialog)));
    look.rings[key] = Boolean(section.dataset.rings);
    // a section that shows its oldest only: what comes up at its end when one is taken is nothing new
    look.last[key] = more && !more.hidden ? Math.max(0, ...numbers) : Infinity;
  });
  return look;
}

function lookAtCard(look, key, item) {
  const number = Number(item.id.slice('card-'.length));
  const card = find('.card', item);
  const wait = find('.wait[data-since]', card);
  if (wait && !card.dataset.away && key !== 'others') look.oldest = Math.min(look.oldest, wait.dataset.since);
  look.section[number] = key;
  look.saidAt[number] = Number(card.dataset.said) || 0;
  look.card[number] = card;
  return number;
}

function lookBeyond(look, key, { number, since, saidAt }) {
  look.oldest = Math.min(look.oldest, since);
  look.section[number] = key;
  look.saidAt[number] = saidAt;
  return number;
}
