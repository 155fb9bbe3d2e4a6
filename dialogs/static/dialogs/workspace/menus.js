/* What opens and closes on the page: the menu, the drawer with the visitor, and boxes above the page. */

import { find } from '../page/dom.js';
import { currentCard, focusCard } from './cards.js';
import { showList } from './dialog.js';
import { workspace } from './places.js';

export const openMenu = () => find('.menu[open]');

function setSide(isOpen) {
  workspace.dataset.side = isOpen ? 'open' : '';
  const button = find(isOpen ? '#side-close' : '#side-open');
  if (button) button.focus();
}

export const closeSide = () => setSide(false);

/* By the selector of what was pressed. */
const PRESSED = {
  '[data-close], #keys-close': (button) => button.closest('dialog').close(),
  '#side-open': () => setSide(true),
  '#side-close': closeSide,
  '#to-list'(link, event) {
    event.preventDefault();
    showList();
    focusCard(currentCard());
  },
};

export function startMenus() {
  document.addEventListener('click', (event) => {
    const selector = Object.keys(PRESSED).find((one) => event.target.closest(one));
    if (selector) PRESSED[selector](event.target.closest(selector), event);
    const menu = openMenu();
    if (menu && !menu.contains(event.target)) menu.open = false;
  });
}
