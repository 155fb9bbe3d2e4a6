/* The dialog that is open: opening another one, and live updates of it. What is typed, focused or scrolled stays. */

import { adopt, find, findAll, makeButton, parse, setText } from '../page/dom.js';
import { followOpenDialog } from '../page/following.js';
import { readSoon } from '../page/readers.js';
import { askForHtml } from '../page/server.js';
import { isNews, noteTold, withoutTokens } from '../page/told.js';
import { words } from '../page/words.js';
import { markCurrent, numberOf } from './cards.js';
import { writeClocks, writeWaits } from './clocks.js';
import { keepDraft, restoreDraft } from './drafts.js';
import { dialog, list, messageLog, messageLogInner, openNumber, replyBox, workspace } from './places.js';
import { rememberBlocks, updateVisitor } from './visitor.js';

const SLOW_AFTER = 300; // milliseconds until the page shows that a dialog is on its way
const AT_BOTTOM = 60; // pixels

const addressOf = (number) => `/workspace/${number}/`;
const fragmentOf = (number) => `/workspace/${number}/fragment/`;

/* ----- the end of the log ----- */

function isAtBottom() {
  const log = messageLog();
  return !log || log.scrollHeight - log.scrollTop - log.clientHeight < AT_BOTTOM;
}

export function scrollToBottom() {
  const log = messageLog();
  if (log) log.scrollTop = log.scrollHeight;
  const button = find('.new-below');
  if (button) button.remove();
}

function sayNewBelow() {
  if (!find('.new-below')) messageLogInner().append(makeButton(words.newBelow, 'new-below', scrollToBottom));
}

/* ----- the bar with Take ----- */

const takeBar = (root) => find('.take-bar', root);

function rememberTakeBar() {
  const bar = takeBar(dialog());
  if (bar) noteTold(bar, withoutTokens(bar.outerHTML));
}

function updateTakeBar(fresh) {
  const bar = takeBar(dialog());
  if (!bar || !fresh || !isNews(bar, withoutTokens(fresh.outerHTML))) return;
  const hasFocus = bar.contains(document.activeElement);
  bar.replaceWith(adopt(fresh));
  rememberTakeBar();
  if (hasFocus && find('#take')) find('#take').focus({ preventScroll: true });
}

/* ----- showing a dialog ----- */

/** Shows a dialog and its visitor as the server rendered them. With `withFocus` it is what the person asked for. */
export function showDialog(html, withFocus) {
  keepDraft();
  const fresh = parse(html);
  const freshDialog = fresh.getElementById('dialog');
  const freshVisitor = fresh.getElementById('visitor');
  const isSame = openNumber() && freshDialog.dataset.number === openNumber() && dialog().dataset.mode !== 'coming';
  const unsent = isSame ? findAll('[data-pending]', dialog()) : [];
  dialog().replaceWith(adopt(freshDialog));
  rememberTakeBar();
  if (isSame) {
    updateVisitor(freshVisitor);
  } else {
    find('#visitor').replaceWith(adopt(freshVisitor));
    rememberBlocks();
  }
  const number = openNumber();
  markCurrent(number);
  workspace.dataset.view = number ? 'dialog' : 'list';
  if (!number) history.replaceState({}, '', '/workspace/');
  if (withFocus) workspace.dataset.side = '';
  writeClocks();
  writeWaits();
  restoreDraft();
  unsent.forEach((message) => messageLogInner().append(message));
  if (withFocus) (find('#take') || replyBox() || dialog()).focus({ preventScroll: true });
  scrollToBottom();
}

/** A live update of the dialog that is open, or of its log alone, as it comes back after an answer. */
export function updateDialog(html) {
  const fresh = parse(html);
  const freshDialog = fresh.getElementById('dialog');
  if (!freshDialog) {
    updateLog(fresh);
    return;
  }
  if (freshDialog.dataset.number !== openNumber()) return;
  if (find('.take-bar:active')) {
    readSoon({ dialog: true }); // a button that is replaced between its press and its release is not clicked
    return;
  }
  if (freshDialog.dataset.mode !== dialog().dataset.mode || !messageLog()) {
    showDialog(html, dialog().contains(document.activeElement));
    return;
  }
  dialog().dataset.ticket = freshDialog.dataset.ticket;
  updateContent(find('.dialog-title', dialog()), find('.dialog-title', freshDialog));
  updateTakeBar(takeBar(freshDialog));
  updateContent(find('#route'), find('#route', freshDialog));
  updateLog(freshDialog);
  updateVisitor(fresh.getElementById('visitor'));
  writeClocks();
  writeWaits();
}

/* Follows the new messages, if the log was at its end; else says that there are some. */
function updateLog(fresh) {
  const isFollowing = isAtBottom();
  if (!messageLog() || !addMessages(fresh)) return;
  writeClocks();
  if (isFollowing) scrollToBottom();
  else sayNewBelow();
}

/** The revision of the newest message that the log shows; 0 when it shows none. */
export function newestRevision() {
  const [newest] = findAll('[id^="m-"]', messageLogInner()).slice(-1);
  return newest ? newest.id.slice(2) : 0;
}

function updateContent(node, fresh) {
  if (node && fresh && node.innerHTML !== fresh.innerHTML) node.innerHTML = fresh.innerHTML;
}

/* Adds the messages that are not there yet, before those that are still being sent; says whether there were any. */
function addMessages(fresh) {
  const inner = messageLogInner();
  const added = findAll('.log-inner > [id]', fresh).filter((message) => !document.getElementById(message.id));
  added.forEach((message) => {
    const sent = message.dataset.key && find(`[data-pending="${message.dataset.key}"]`, inner);
    if (sent) sent.remove();
    inner.insertBefore(adopt(message), find('[data-pending]', inner));
  });
  return added.length > 0;
}

/** Reads the open dialog from the server; one that is not visible any more leads back to the list. */
export async function refreshDialog() {
  const number = openNumber();
  if (!number) return;
  try {
    updateDialog(await askForHtml(fragmentOf(number)));
  } catch (refusal) {
    if (refusal.status === 404 && openNumber() === number) location.assign('/workspace/');
    throw refusal;
  }
}

/* ----- opening another one ----- */

let openings = 0; // so far: an answer that comes late is of an older one

/** Opens a dialog; `isInHistory` says that its address stands in the address bar already. */
export async function openDialog(number, isInHistory) {
  openings += 1;
  const ours = openings;
  const slow = setTimeout(() => showComing(number), SLOW_AFTER);
  markCurrent(number);
  keepDraft();
  try {
    const html = await askForHtml(fragmentOf(number));
    clearTimeout(slow);
    if (ours !== openings) return;
    if (!isInHistory) history.pushState({ number }, '', addressOf(number));
    showDialog(html, true);
    readSoon();
    followOpenDialog();
  } catch (refusal) {
    clearTimeout(slow);
    if (ours !== openings) return;
    if (refusal.status === 404) location.assign(addressOf(number));
    else showComing(number, true);
  }
}

/* Until the dialog is here: its head from the card, and lines where the messages will be; or that it did not come. */
function showComing(number, hasFailed) {
  const title = find(`#card-${number} .card-who`, list);
  const coming = dialog().cloneNode(false);
  const details = find('#visitor .panel');
  keepDraft();
  Object.assign(coming.dataset, { mode: 'coming', number });
  coming.append(adopt(find('#coming').content));
  if (title) find('h1', coming).innerHTML = title.innerHTML;
  else setText(find('h1', coming), `#${number}`);
  find(hasFailed ? '.log' : '.empty', coming).remove();
  if (hasFailed) find('.empty button', coming).onclick = () => openDialog(number, true);
  if (details) details.replaceChildren();
  dialog().replaceWith(coming);
  workspace.dataset.view = 'dialog';
}

/** On a phone: from the dialog to the list. */
export function showList() {
  workspace.dataset.view = 'list';
  history.pushState({}, '', '/workspace/');
}

export function startDialog() {
  list.addEventListener('click', (event) => {
    const card = event.target.closest('.card');
    if (!card || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    if (!card.classList.contains('card--gone')) openDialog(numberOf(card));
  });
  window.addEventListener('popstate', () => {
    const [, number] = location.pathname.match(/^\/workspace\/(\d+)\/$/) || [];
    if (number) openDialog(number, true);
    else location.reload();
  });
  rememberBlocks();
  rememberTakeBar();
  writeClocks();
  restoreDraft();
  scrollToBottom();
}
