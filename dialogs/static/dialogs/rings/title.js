/* The count in the title, and the mark on the tab's icon. */

import { find, setText } from '../page/dom.js';
import { now } from '../page/time.js';

const MARKED_HOT_AFTER = 300000; // milliseconds that the oldest has waited, as on the loud card

const icon = find('link[rel=icon]');
const title = document.title;
const tokens = getComputedStyle(document.documentElement);
const colour = (name) => tokens.getPropertyValue(name).trim();

function svgOf(mark) {
  const bubble = 'M6 4h20a4 4 0 0 1 4 4v12a4 4 0 0 1-4 4H15l-7 6v-6H6a4 4 0 0 1-4-4V8a4 4 0 0 1 4-4z';
  const ring = `stroke="${colour('--surface')}" stroke-width="2"`;
  const dot = mark && `<circle cx="24" cy="8" r="8" fill="${colour(mark)}" ${ring}/>`;
  const path = `<path fill="${colour('--accent')}" d="${bubble}"/>`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">${path}${dot}</svg>`;
}

/** Shows how many there are, and since when (milliseconds) the oldest of those on the site waits. */
export function showCount(count, oldest) {
  const tab = find('#ringing'); // beside the link to the workspace, on other pages
  const warm = count ? '--warm' : '';
  const mark = now() - oldest >= MARKED_HOT_AFTER ? '--hot' : warm;
  document.title = (count ? `(${count}) ` : '') + title;
  if (tab) {
    setText(tab, String(count));
    tab.hidden = !count;
  }
  if (icon.dataset.mark === mark) return;
  icon.dataset.mark = mark;
  icon.href = `data:image/svg+xml,${encodeURIComponent(svgOf(mark))}`;
}
