/* The windows of the sections: a section shows its first hundred cards, and more when the person comes to their end, by scrolling,
   by a key or by its button. */

import { dialogsBeyond } from '../page/beyond.js';
import { find, findAll } from '../page/dom.js';
import { readSoon } from '../page/readers.js';
import { list } from './places.js';

const STEP = 100;
const AHEAD = '800px 0px'; // more is read before its place comes in sight

const wanted = {}; // by the key of a section, how many cards it shall have

let readAgain = null; // reads the panel and shows it
let reading = Promise.resolve(); // the last time that more was asked for

const keyOf = (section) => section.id.slice('section-'.length);
const itemsOf = (section) => findAll('.card-list > li', section);
const buttonOf = (section) => find('.section-on', section);

/** What the address of the panel says of the windows. */
export const windowsWanted = () => Object.keys(wanted).map((key) => `&${key}=${wanted[key]}`).join('');

/** Whether the section has dialogs whose cards are not on the page. */
export const goesOn = (section) => !buttonOf(section).hidden;

/** The section of a card. */
export const sectionOf = (card) => card.closest('.section');

/** The last section that has anything to show; null when none has. */
export const lastSection = () => findAll('.section', list).filter((section) => itemsOf(section).length).pop() || null;

/** Shows more of a section, `toEnd` all of it; resolves when that is done, or could not be. */
export function showMore(section, { toEnd = false } = {}) {
  const key = keyOf(section);
  const beyond = dialogsBeyond(section).length;
  const size = itemsOf(section).length + (toEnd ? beyond : Math.min(STEP, beyond));
  if (!(size <= wanted[key])) reading = readWindow(key, size);
  return reading;
}

async function readWindow(key, size) {
  const before = wanted[key];
  wanted[key] = size;
  try {
    await readAgain();
  } catch (error) {
    if (before) wanted[key] = before;
    else delete wanted[key];
    readSoon({ panel: true }); // says that the connection is lost, and heals it
  }
}

/** Tells assistive technology of how many dialogs a card is one, where not all of them are on the page. */
export function sayPositions() {
  findAll('.section', list).forEach((section) => {
    const items = itemsOf(section);
    const size = String(items.length + dialogsBeyond(section).length);
    items.forEach((item, index) => {
      if (goesOn(section)) {
        item.setAttribute('aria-setsize', size);
        item.setAttribute('aria-posinset', String(index + 1));
      } else if (item.hasAttribute('aria-setsize')) {
        item.removeAttribute('aria-setsize');
        item.removeAttribute('aria-posinset');
      }
    });
  });
}

/** Begins to show more where the end of a window comes near; `read()` reads the panel and shows it. */
export function startWindows(read) {
  readAgain = read;
  const observer = new IntersectionObserver((entries) => {
    entries.filter((entry) => entry.isIntersecting).forEach(({ target }) => showMore(sectionOf(target)));
  }, { root: list, rootMargin: AHEAD });
  findAll('.section', list).forEach((section) => observer.observe(buttonOf(section)));
  list.addEventListener('click', (event) => {
    const button = event.target.closest('.section-on');
    if (button) showMore(sectionOf(button));
  });
}
