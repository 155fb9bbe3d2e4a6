/* Elements of the window alone. */

import { element, icon, icons, setShown } from '../widget/elements.js';

Object.assign(icons, {
  down: 'm5 8 5 5 5-5',
  done: 'm4 10.5 4 4 8-9',
  warn: 'M10 3 2.5 16.5h15zM10 8.5V12M10 14.200v.1',
  lost: 'M3 8.5a10 10 0 0 1 14 0M5.5 11.5a6.5 6.5 0 0 1 9 0M10 15v.1M3 3l14 14',
  clock: 'M10 3a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM10 6v4l2.5 2',
  go: 'M3.5 10h12M10.5 4.5 16 10l-5.5 5.5',
});

/** Shows a text with the sign of a warning; hides the node when there is none. */
export function setWarning(node, text) {
  setShown(node, text);
  if (text) node.replaceChildren(icon('warn'), element('span', {}, text));
}
