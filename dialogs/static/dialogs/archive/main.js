/* The archive by keyboard: / to the search, arrows or j and k over the hits, Enter opens, back from a dialog to its hit. */

import { find, findAll } from '../page/dom.js';
import { startFollowing } from '../page/following.js';
import { storedItem, storeItem } from '../page/storage.js';
import { goToDialog } from '../page/visit.js';
import { startRings } from '../rings/main.js';

const PLACE = `archive:${location.search}`; // under this name a tab remembers the hit that was opened
const AREA = 'sessionStorage';

const searchBox = find('#q');
const hits = findAll('.hit');

function focusHit(hit) {
  if (!hit) return;
  hit.focus();
  hit.scrollIntoView({ block: 'nearest' });
}

function step(by) {
  const at = hits.indexOf(document.activeElement);
  focusHit(at < 0 ? hits[0] : hits[Math.max(0, Math.min(hits.length - 1, at + by))]);
}

const rememberedHit = () => document.getElementById(storedItem(PLACE, AREA));

/* What a key does, told by its place, so that it is the same under ЙЦУКЕН; null when it is not one of ours. */
function actionOf({ code, target, shiftKey }) {
  const isField = /INPUT|TEXTAREA|SELECT/.test(target.tagName);
  const isHit = hits.includes(target);
  if (code === 'Escape' && isField) return () => (hits.length ? focusHit(rememberedHit() || hits[0]) : target.blur());
  if (code === 'ArrowDown' && (target === searchBox || isHit)) return () => step(1);
  if (code === 'ArrowUp' && isHit) return () => (target === hits[0] ? searchBox.focus() : step(-1));
  if (code === 'Home' && isHit) return () => focusHit(hits[0]);
  if (code === 'End' && isHit) return () => focusHit(hits[hits.length - 1]);
  if (isField || shiftKey || storedItem('single-keys') === 'off') return null;
  const toSearch = () => {
    searchBox.focus();
    searchBox.select();
  };
  return { KeyJ: () => step(1), KeyK: () => step(-1), Slash: toSearch }[code];
}

document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  const action = actionOf(event);
  if (!action) return;
  event.preventDefault();
  action();
});

/* On a phone the filters are open when they were asked for, or when one is set. */
const filters = find('.fold');
if (window.matchMedia('(max-width: 760px)').matches && !('kept' in filters.dataset)) filters.open = false;

hits.forEach((hit) => hit.addEventListener('click', () => storeItem(PLACE, hit.id, AREA)));

/* Back from a dialog: where the hand was. */
const [navigation] = performance.getEntriesByType('navigation');
window.addEventListener('pageshow', ({ persisted }) => {
  if (persisted || (navigation && navigation.type === 'back_forward')) focusHit(rememberedHit());
});

startRings(goToDialog);
startFollowing();
