/* The cards of the list: which one is open, which one is loud, and the one that Tab stops at. */

import { find, findAll } from '../page/dom.js';
import { waitOf } from './clocks.js';
import { handIsOnList } from './hand.js';
import { list, openNumber } from './places.js';
import { goesOn, lastSection, sectionOf, showMore } from './windows.js';

/* A list that was asked for before another card was opened does not know which one is open: the page does. */
let current = openNumber();

export const cards = () => findAll('.card', list);

/** The number of a card's dialog, as text. */
export const numberOf = (card) => card.parentNode.id.slice('card-'.length);

/** The card of the open dialog. */
export const currentCard = () => find('.card[aria-current]', list);

/** Marks the card of the dialog that is open. */
export function markCurrent(number = current) {
  current = number;
  cards().forEach((card) => {
    if (numberOf(card) === number) {
      card.setAttribute('aria-current', 'true');
      card.classList.remove('card--unread');
    } else {
      card.removeAttribute('aria-current');
    }
  });
  rove();
}

/** The list is one stop for Tab: the given card, or the one with the focus, or the open one, or the first. */
export function rove(to) {
  const all = cards();
  const focused = all.find((card) => card === document.activeElement);
  const stop = to || focused || currentCard() || all[0];
  all.forEach((card) => {
    card.tabIndex = card === stop ? 0 : -1;
  });
}

export function focusCard(card) {
  if (!card) return;
  rove(card);
  card.focus();
  card.scrollIntoView({ block: 'nearest' });
}

/** Moves the focus by so many cards, from the focused or the open one. What lies beyond a window is shown first. */
export async function step(by) {
  const all = cards();
  let at = all.indexOf(document.activeElement);
  if (at < 0) at = all.findIndex((card) => card.hasAttribute('aria-current'));
  if (at < 0 && by > 0) {
    focusCard(all[0]);
    return;
  }
  const to = all[Math.max(0, Math.min(all.length - 1, at + by))];
  if (to) focusCard((await revealBetween(all[at] || to, to, by)) || to);
}

/* Between the last card of a window and the first one after it lie those that are not on the page yet: shows them, and returns the
   one that comes next. */
async function revealBetween(from, to, by) {
  const upper = by > 0 ? from : to;
  const leaves = from === to || sectionOf(from) !== sectionOf(to);
  if (!leaves || !isAtEnd(upper)) return null;
  const { parentNode: item } = upper;
  await showMore(sectionOf(upper), { toEnd: by < 0 });
  if (by < 0) return find('.card-list > li:last-child > .card', sectionOf(upper));
  return item.nextElementSibling && find('.card', item.nextElementSibling);
}

const isAtEnd = (card) => goesOn(sectionOf(card)) && !card.parentNode.nextElementSibling;

/** Moves the focus to the last card of all. */
export async function focusLast() {
  const last = lastSection();
  if (!last) return;
  if (goesOn(last)) await showMore(last, { toEnd: true });
  focusCard(cards().pop());
}

/** One card is loud: of the visitors who are on the site, the one who waits longest. */
export function markLoudest() {
  if (handIsOnList()) return; // it is larger than the others: choosing another one would move them
  let loudest = null;
  let since = Infinity;
  findAll('#section-waiting .card, #section-mine .card, #section-general .card').forEach((card) => {
    const wait = waitOf(card);
    if (!wait || card.dataset.away || Number(wait.dataset.since) >= since) return;
    since = Number(wait.dataset.since);
    loudest = card;
  });
  cards().forEach((card) => {
    const wait = find('.wait', card);
    card.classList.toggle('card--loud', card === loudest);
    if (wait) wait.classList.toggle('wait--loud', card === loudest);
  });
}
