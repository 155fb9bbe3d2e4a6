/* Times on the page: moments, and how long somebody has waited. The server sends moments; the words for them are made here. */

import { find, findAll, setText } from '../page/dom.js';
import { duration, now } from '../page/time.js';
import { list } from './places.js';

const WARM_AFTER = 180; // seconds
const HOT_AFTER = 300;

const { lang } = document.documentElement;

/* In the account's time zone, as in its letters; in the browser's own where that does not know it. */
function makeFormat(options) {
  try {
    return new Intl.DateTimeFormat(lang, Object.assign({ timeZone: document.body.dataset.zone }, options));
  } catch (error) {
    return new Intl.DateTimeFormat(lang, options);
  }
}

const time = makeFormat({ hour: '2-digit', minute: '2-digit' });
const dateAndTime = makeFormat({ day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });
const dayName = makeFormat({ weekday: 'long', day: 'numeric', month: 'long' });
const date = makeFormat({ year: 'numeric', month: 'numeric', day: 'numeric' });

/** Writes all moments: the time alone for those of today, or of the day of the moment that they go on from. */
export function writeClocks() {
  const today = date.format(now());
  findAll('[data-clock]').forEach((node) => {
    if (!node.dataset.clock) return;
    const moment = new Date(Number(node.dataset.clock));
    const near = node.dataset.from ? date.format(Number(node.dataset.from)) : today;
    setText(node, (date.format(moment) === near ? time : dateAndTime).format(moment));
    if (!node.dateTime) node.dateTime = moment.toISOString();
  });
  findAll('[data-day]').forEach((node) => setText(node, dayName.format(new Date(Number(node.dataset.day)))));
}

/** Writes all waits and the seconds that are left; called each second. */
export function writeWaits() {
  const moment = now();
  findAll('.wait[data-since]', list).forEach((wait) => {
    const seconds = (moment - wait.dataset.since) / 1000;
    const isOffline = wait.closest('#section-offline');
    setText(wait, duration(seconds));
    wait.classList.toggle('wait--warm', !isOffline && seconds >= WARM_AFTER && seconds < HOT_AFTER);
    wait.classList.toggle('wait--hot', !isOffline && seconds >= HOT_AFTER);
  });
  findAll('[data-until]').forEach((node) => setText(node, duration(Math.ceil((node.dataset.until - moment) / 1000))));
}

/** The element of a card that says how long its visitor has waited; null when nobody waits there. */
export const waitOf = (card) => find('.wait[data-since]', card);
