/* The keyboard. Keys are told by their place (`event.code`), so that they are the same under ЙЦУКЕН. */

import { storedItem, storeItem } from '../page/storage.js';
import { find } from '../page/dom.js';
import { cards, currentCard, focusCard, focusLast, numberOf, step } from './cards.js';
import { sendReply } from './composer.js';
import { openDialog } from './dialog.js';
import { closeSide, openMenu } from './menus.js';
import { list, replyBox, workspace } from './places.js';

const keyMap = find('#keys');
const singleKeys = find('#single-keys');

const press = (selector) => {
  if (find(selector)) find(selector).click();
};

function openLongestWaiting() {
  const waiting = find('.card--loud') || find('.card .wait[data-since]', list);
  if (!waiting) return;
  const card = waiting.closest('.card');
  focusCard(card);
  openDialog(numberOf(card));
}

/* From anywhere but a field, when single keys are on. */
const SINGLE = {
  KeyJ: () => step(1),
  KeyK: () => step(-1),
  KeyN: openLongestWaiting,
  KeyT: () => press('#take'),
  KeyR: () => replyBox() && replyBox().focus(),
  KeyP: () => press('#transfer-open'),
  KeyE: () => press('#close'),
  Slash: () => location.assign(find('#archive').href),
};

/* While the focus is in the list. */
const IN_LIST = {
  ArrowDown: () => step(1),
  ArrowUp: () => step(-1),
  Home: () => focusCard(cards()[0]),
  End: focusLast,
};

const cameFromArchive = () => !history.state && /\/workspace\/archive\/(\?|$)/.test(document.referrer);

/* What Escape does, from the inside out; null when it does nothing here. */
function escapeAction(target) {
  const menu = openMenu();
  if (menu) {
    return () => {
      menu.open = false;
      find('summary', menu).focus();
    };
  }
  if (workspace.dataset.side === 'open') return closeSide;
  if (target.id === 'reply') return () => focusCard(currentCard() || cards()[0]);
  return null;
}

/* What a key does; null when it is not one of ours. */
function actionOf(event) {
  const { code, target } = event;
  const isTyping = /INPUT|TEXTAREA|SELECT/.test(target.tagName);
  const hasModifier = event.ctrlKey || event.metaKey || event.altKey;
  if ((event.ctrlKey || event.metaKey) && code === 'Enter' && target.id === 'reply') return () => sendReply(target.form);
  if (find('dialog[open]')) return null;
  const closing = code === 'Escape' && escapeAction(target);
  if (closing) return closing;
  if (hasModifier || isTyping) return null;
  if (code === 'Escape') return cameFromArchive() ? () => history.back() : null;
  return listAction(code, target) || singleAction(event);
}

const listAction = (code, target) => (list.contains(target) ? IN_LIST[code] : null);

function singleAction({ code, key, shiftKey }) {
  if (!singleKeys.checked) return null;
  if (key === '?' || (shiftKey && code === 'Slash')) return () => keyMap.showModal();
  return shiftKey ? null : SINGLE[code];
}

export function startKeys() {
  singleKeys.checked = storedItem('single-keys') !== 'off';
  singleKeys.onchange = () => storeItem('single-keys', singleKeys.checked ? 'on' : 'off');
  find('#keys-open').onclick = () => keyMap.showModal();
  document.addEventListener('keydown', (event) => {
    const action = actionOf(event);
    if (!action) return;
    if (event.code !== 'Escape') event.preventDefault();
    action();
  });
}
