/* A word at the edge of the page about what has happened, for a while, with Undo where it can be undone. */

import { find, makeButton } from './dom.js';
import { words } from './words.js';

const SHOWN_FOR = 6000; // milliseconds

export function toast(text, undo) {
  const box = Object.assign(document.createElement('div'), { className: 'toast', textContent: text });
  const undoAndLeave = () => {
    box.remove();
    undo();
  };
  if (undo) box.append(makeButton(words.undo, 'button', undoAndLeave));
  find('.toasts').replaceChildren(box);
  setTimeout(() => box.remove(), SHOWN_FOR);
}
