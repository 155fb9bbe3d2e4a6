/* What the operator does with a dialog besides answering: Take and Close dialog, and the question before what needs one. */

import { find, setText } from '../page/dom.js';
import { readSoon } from '../page/readers.js';
import { askForHtml } from '../page/server.js';
import { toast } from '../page/toast.js';
import { words } from '../page/words.js';
import { cards, focusCard, numberOf } from './cards.js';
import { refreshDialog, showDialog, showList } from './dialog.js';
import { refreshPanel } from './panel.js';
import { csrfToken, dialog, list, openNumber } from './places.js';

const nothing = () => {};

/**
 * Posts an action; resolves to the dialog as it is then. What the rules allow after a warning only is asked about first, and sent
 * again with the answer; `anyway` is the word on the button. A refusal of the person has `isDeclined`.
 */
export async function postAction(url, data, anyway, signal) {
  try {
    return await askForHtml(url, data, signal);
  } catch (refusal) {
    if (!refusal.asks) throw refusal;
    if (!(await confirmAnyway(refusal.message, anyway))) {
      refusal.isDeclined = true;
      throw refusal;
    }
    data.set('confirmed', '1');
    return postAction(url, data, anyway, signal);
  }
}

function confirmAnyway(text, anyway) {
  const box = find('#confirm');
  const yes = find('#confirm-yes');
  let isConfirmed = false;
  setText(find('#confirm-text'), text);
  setText(yes, anyway);
  box.showModal();
  yes.focus();
  return new Promise((resolve) => {
    yes.onclick = () => {
      isConfirmed = true;
      box.close();
    };
    box.onclose = () => resolve(isConfirmed);
  });
}

async function act(form) {
  const number = openNumber();
  const button = find('button', form);
  const isTake = form.dataset.act === 'take';
  if (button.getAttribute('aria-busy')) return;
  button.setAttribute('aria-busy', 'true');
  const undo = dialog().dataset.mode === 'free' ? () => giveBack(number) : null;
  try {
    const html = await postAction(form.action, new FormData(form), form.dataset.anyway);
    toast((isTake ? words.isYours : words.closed).replace('%s', number), isTake && undo);
    readSoon();
    if (number !== openNumber()) return;
    showDialog(html, true);
    if (!isTake) goOnAfter(number);
  } catch (refusal) {
    button.removeAttribute('aria-busy');
    if (refusal.isDeclined) {
      button.focus();
      return;
    }
    toast(refusal.message);
    refreshDialog().catch(nothing);
    refreshPanel().catch(nothing);
  }
}

/* Undoes a Take from a queue. */
async function giveBack(number) {
  const data = new FormData();
  data.set('to', 'queue');
  data.set('csrfmiddlewaretoken', csrfToken());
  try {
    const html = await postAction(`/workspace/${number}/transfer/`, data);
    readSoon();
    if (number === openNumber()) showDialog(html, true);
  } catch (refusal) {
    toast(refusal.message);
  }
}

/* After Close dialog: the next card; on a phone the list. */
function goOnAfter(number) {
  const all = cards();
  const at = all.findIndex((card) => numberOf(card) === number);
  const next = all[at + 1] || all[at - 1];
  if (!list.offsetParent) showList();
  focusCard(next);
}

export function startActions() {
  document.addEventListener('submit', (event) => {
    if (!event.target.dataset.act) return;
    event.preventDefault();
    act(event.target);
  });
}
