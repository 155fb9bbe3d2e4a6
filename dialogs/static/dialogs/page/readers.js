/* Reading again what may have changed. A hint carries no data: what a page has registered is read anew, each part once a second at
   most, and all of it in a slow round that heals what was lost.

   Signals: `connected` with true or false, whenever that is known, so mostly with what it was before. */

import { tell } from '../shared/signals.js';
import { find } from './dom.js';

const ONCE_IN = 1000; // milliseconds
const SLOW_ROUND = 30000;

const readers = [];
let isReading = false;
let readAt = 0;
let failures = 0; // in a row

/** Registers work to do when a hint says that `hint` has changed; it returns a promise. */
export function addReader(hint, work) {
  readers.push({ hint, work, isDue: false });
}

/** Reads what the hint names; everything without one. */
export function readSoon(hint) {
  readers.forEach((reader) => {
    reader.isDue = reader.isDue || !hint || hint[reader.hint];
  });
  read();
}

async function read() {
  const due = readers.filter((reader) => reader.isDue);
  if (isReading || !due.length) return;
  isReading = true;
  const wait = readAt + ONCE_IN - Date.now();
  if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
  else await readNow(due);
  isReading = false;
  read();
}

async function readNow(due) {
  due.forEach((reader) => {
    reader.isDue = false;
  });
  try {
    await Promise.all(due.map((reader) => reader.work()));
    failures = 0;
    setConnected(true);
  } catch (error) {
    failures += 1;
    if (failures > 1) setConnected(false);
    due.forEach((reader) => {
      reader.isDue = true;
    });
  }
  readAt = Date.now();
}

/** Shows whether the page is connected. */
function setConnected(isConnected) {
  const lost = find('#lost');
  if (lost) lost.hidden = isConnected;
  document.body.classList.toggle('is-stale', !isConnected);
  tell('connected', isConnected);
}

/** The live app answers, or does not: that it does says nothing of the pages, which could not be read a moment ago. */
export function setLiveConnected(isConnected) {
  if (!isConnected || !failures) setConnected(isConnected);
}

/** Begins the slow round, and reads when the network or the person comes back. */
export function startReading() {
  window.addEventListener('offline', () => setConnected(false));
  window.addEventListener('online', () => readSoon());
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) readSoon();
  });
  setInterval(() => readSoon(), SLOW_ROUND);
}
