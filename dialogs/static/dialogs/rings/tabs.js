/* The tabs of this browser. They take turns, and know whether the workspace is in sight in any of them. */

import { me } from './settings.js';

const HIDDEN_LATER = 300; // milliseconds, where there are no locks
const SPREAD = 200;
const STORED_WITHIN = 150; // milliseconds in which what one tab has stored reaches the others, which may be processes of their own

const { locks } = navigator;

/** Does the work in one tab after the other; without locks (a page without TLS) those in sight go first. */
export function inTurn(work) {
  if (locks) locks.request(`rings-${me}`, () => new Promise((resolve) => setTimeout(resolve, STORED_WITHIN)).then(work));
  else setTimeout(work, (document.hidden ? HIDDEN_LATER : 0) + Math.random() * SPREAD);
}

const isHere = (isWorkspace) => isWorkspace && !document.hidden;

let leave = null;

/* Each tab in which the workspace is in sight shares a lock. The browser takes it back, whatever becomes of the tab. */
function shareSight(isWorkspace) {
  if (leave) leave();
  leave = null;
  if (!locks || !isHere(isWorkspace)) return;
  locks.request(`shown-${me}`, { mode: 'shared' }, () => new Promise((resolve) => {
    leave = resolve;
  }));
}

export function watchSight(isWorkspace) {
  document.addEventListener('visibilitychange', () => shareSight(isWorkspace));
  shareSight(isWorkspace);
}

/** Whether the workspace is in sight in any tab; resolves to true or false. */
export function isInSight(isWorkspace) {
  if (isHere(isWorkspace) || !locks) return Promise.resolve(isHere(isWorkspace));
  return locks.request(`shown-${me}`, { ifAvailable: true }, (lock) => !lock);
}
