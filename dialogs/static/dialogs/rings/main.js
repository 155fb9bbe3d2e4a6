/* Rings (Q12): one sound, a desktop notification, the count in the title and the mark on the tab, whatever the number of tabs, and
   on every page of an operator. Pages without the panel read it for this alone. Each look at the panel is compared with the one
   before (docs/decisions/0015). */

import { on, tell } from '../shared/signals.js';
import { find } from '../page/dom.js';
import { askForPanel } from '../page/panel_source.js';
import { addReader, readSoon } from '../page/readers.js';
import { storeItem } from '../page/storage.js';
import { lookAt } from './look.js';
import { ACTED, hasHappened, lastSoundAt, NOTIFIED, rememberNews, rememberSound, SOUNDED } from './memory.js';
import { ASSIGNED, isQueue, MESSAGES, newsBetween, QUEUES } from './news.js';
import { notify } from './notifications.js';
import { isOn, me } from './settings.js';
import { canSound, playSound } from './sound.js';
import { startSwitches } from './switches.js';
import { inTurn, isInSight, watchSight } from './tabs.js';
import { showCount } from './title.js';

const QUIET = 5000; // milliseconds between two sounds
const SEEN_AFTER = 1000; // whoever moves or types that long after a dialog came has looked at it
const HAS_LOOKED = `looked-${me}`; // how a tab tells the others that somebody has

const panel = find('#list'); // the workspace has one
let before = panel && lookAt(panel, performance.timeOrigin);
let fresh = {}; // numbers of new dialogs in the queues that nobody has looked at
let freshAt = 0;

function count() {
  showCount(before ? before.waiting + Object.keys(fresh).length : 0, before ? before.oldest : Infinity);
}

function compare(after, open) {
  const found = before ? newsBetween(before, after) : [];
  const since = before && before.askedAt;
  before = after;
  found.filter((news) => news.kind === QUEUES && !hasHappened(ACTED, news, since)).forEach(({ number }) => {
    fresh[number] = true;
    freshAt = Date.now();
  });
  Object.keys(fresh).filter((number) => !isQueue(after.section[number])).forEach((number) => delete fresh[number]);
  count();
  if (found.length) inTurn(() => ring(found, since, open));
}

async function ring(found, since, open) {
  const isSeen = await isInSight(Boolean(panel));
  const list = found.filter(({ kind }) => kind !== MESSAGES || !isSeen);
  notify(list.filter((news) => !hasHappened(NOTIFIED, news, since)), open);
  const loud = list.filter((news) => isOn(`for_${news.kind}`) && !hasHappened(SOUNDED, news, since));
  if (!loud.length || !(await canSound())) return; // another tab may sound
  const isDue = !(Date.now() - lastSoundAt() < QUIET);
  rememberNews(loud, [SOUNDED]);
  if (!isDue) return;
  rememberSound();
  playSound(loud.every(({ kind }) => kind === MESSAGES));
}

/* What one did oneself rings in none of the own tabs, whenever they hear of it. */
function rememberOwnAct(address) {
  const [, number] = address.match(/\/workspace\/(\d+)\/\w+\/$/) || [];
  if (number) rememberNews([QUEUES, ASSIGNED].map((kind) => ({ kind, number })), [SOUNDED, NOTIFIED, ACTED]);
}

function forgetFresh() {
  fresh = {};
  count();
}

function onHand() {
  if (Date.now() - freshAt < SEEN_AFTER || !Object.keys(fresh).length) return;
  forgetFresh();
  storeItem(HAS_LOOKED, Date.now());
}

async function readPanel() {
  const askedAt = Date.now();
  const read = await askForPanel();
  tell('panel', { fresh: read.panel, askedAt });
}

/** Begins to ring; `open(number)` opens the dialog that a notification tells of. */
export function startRings(open) {
  on('panel', (read) => compare(lookAt(read.fresh, read.askedAt), open));
  on('act', rememberOwnAct);
  if (panel) {
    const signs = ['pointermove', 'pointerdown', 'keydown', 'wheel'];
    signs.forEach((kind) => document.addEventListener(kind, onHand, { passive: true }));
  } else {
    addReader('panel', readPanel);
    readSoon();
  }
  window.addEventListener('storage', ({ key }) => {
    if (key === HAS_LOOKED) forgetFresh();
  });
  watchSight(Boolean(panel));
  startSwitches();
  setInterval(count, 1000);
  count();
}
