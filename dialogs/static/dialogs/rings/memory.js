/* What all tabs of this browser know: when a dialog sounded, was told of on the desktop, or was acted on. To a tab that looked
   before that moment, it is no news. */

import { storedItem, storeItem } from '../page/storage.js';
import { me } from './settings.js';

const KEPT_AS = `rings-${me}`;
const MOST = 300; // moments

export const SOUNDED = 's';
export const NOTIFIED = 'd';
export const ACTED = 'a';

let kept = {}; // where the storage is blocked, this tab alone remembers

function moments() {
  try {
    return JSON.parse(storedItem(KEPT_AS)) || kept;
  } catch (error) {
    return kept;
  }
}

const nameOf = (part, { kind, number }) => part + kind[0] + number;

/** Whether this has happened since that moment, in any tab. */
export const hasHappened = (part, news, since) => moments()[nameOf(part, news)] > since;

/** Remembers that these parts (SOUNDED, ...) of these news have happened now. */
export function rememberNews(list, parts) {
  const all = moments();
  const now = Date.now();
  list.forEach((news) => parts.forEach((part) => {
    all[nameOf(part, news)] = now;
  }));
  keepMoments(all);
}

/** When any tab last made a sound; undefined when none did. */
export const lastSoundAt = () => moments().sound;

export function rememberSound() {
  keepMoments(Object.assign(moments(), { sound: Date.now() }));
}

function keepMoments(all) {
  kept = {};
  Object.keys(all).sort((a, b) => all[b] - all[a]).slice(0, MOST).forEach((name) => {
    kept[name] = all[name];
  });
  storeItem(KEPT_AS, JSON.stringify(kept));
}
