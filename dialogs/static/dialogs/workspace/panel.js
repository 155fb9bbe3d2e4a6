/* The list on the left. A live update changes the same elements in place, and moves nothing under the hand or the focus. */

import { tell } from '../shared/signals.js';
import { adopt, find, findAll, setText } from '../page/dom.js';
import { dialogsBeyond } from '../page/beyond.js';
import { askForPanel, rememberPanel } from '../page/panel_source.js';
import { readSoon } from '../page/readers.js';
import { forgetTold, isNews, noteTold } from '../page/told.js';
import { words } from '../page/words.js';
import { cards, markCurrent, markLoudest, numberOf } from './cards.js';
import { writeWaits } from './clocks.js';
import { handIsOnList, ignoreHand, touchedCard, watchHand } from './hand.js';
import { glide, positions } from './movement.js';
import { list, openNumber } from './places.js';
import { followStatus } from './status.js';
import { sayPositions, sectionOf, startWindows, windowsWanted } from './windows.js';

const RELEASE_EVERY = 400; // milliseconds

let shownAt = 0; // when the list that is shown was asked for
let held = null; // an update whose moves wait for the hand to rest

/** Reads the list from the server, and shows it. */
export async function refreshPanel() {
  const card = touchedCard();
  const askedAt = Date.now();
  const about = `&open=${openNumber()}&under=${card ? numberOf(card) : ''}${windowsWanted()}`;
  const { panel: fresh, response } = await askForPanel(about);
  if (askedAt < shownAt) return; // a later question was answered first
  shownAt = askedAt;
  followStatus(response.headers.get('X-Status'), askedAt);
  showPanel(fresh);
  tell('panel', { fresh, askedAt });
}

function showPanel(fresh) {
  const isHeld = handIsOnList();
  if (isHeld) fixHeights();
  findAll('.card-list > li', fresh).forEach((item) => {
    const own = document.getElementById(item.id);
    if (own && list.contains(own)) updateCard(find('.card', own), find('.card', item));
  });
  if (isHeld) fitHeights();
  arrange(fresh, isHeld);
  sayWhoTook(fresh);
  finish();
}

/** Brings marks and waits in line with the list. */
export function finish() {
  markCurrent();
  markLoudest();
  writeWaits();
  sayPositions();
}

function updateCard(card, fresh) {
  card.className = fresh.className + (card.classList.contains('card--loud') ? ' card--loud' : '');
  ['data-away', 'href'].forEach((name) => {
    if (fresh.hasAttribute(name)) card.setAttribute(name, fresh.getAttribute(name));
    else card.removeAttribute(name);
  });
  const html = fresh.innerHTML;
  if (!isNews(card, html)) return;
  const times = findAll('time', card).map((time) => time.textContent);
  card.innerHTML = html;
  noteTold(card, html);
  findAll('time', card).forEach((time, index) => {
    if (times[index]) time.textContent = times[index];
  });
}

/* What a card says anew must not push those below it away from the hand: all keep their heights as long as it is there. */
function fixHeights() {
  const heights = cards().map((card) => [card, card.offsetHeight]);
  heights.forEach(([card, height]) => {
    card.style.height = `${height}px`;
  });
}

function fitHeights() {
  cards().forEach((card) => card.classList.remove('card--still'));
  cards().filter((card) => card.scrollHeight > card.clientHeight).forEach((card) => card.classList.add('card--still'));
}

function freeHeights() {
  cards().forEach((card) => {
    card.classList.remove('card--still');
    card.style.height = '';
  });
}

/* Puts cards where the server says they are. While the hand is on the list, the sections only say how many cards wait to come. */
function arrange(fresh, isHeld) {
  const before = isHeld ? null : positions(cards());
  if (!isHeld) freeHeights();
  const focused = document.activeElement;
  const wanted = new Set(findAll('.card-list > li', fresh).map((item) => item.id));
  const isBeyond = new Set(findAll('.section', fresh).flatMap(dialogsBeyond).map(({ number }) => `card-${number}`));
  const stays = (item) => !wanted.has(item.id) && item.contains(focused); // it is gone, but the focus is on it
  findAll('.section', fresh).forEach((section) => {
    const own = document.getElementById(section.id);
    if (isHeld) showAskedFor(own, section);
    sayHeldBack(own, section, isHeld);
    if (!isHeld) arrangeSection(own, section, stays);
  });
  findAll('.card-list > li', list).forEach((item) => {
    if (wanted.has(item.id)) return;
    const hasFocus = item.contains(document.activeElement);
    if (isBeyond.has(item.id)) {
      if (!isHeld && !hasFocus) item.remove();
    } else if (isHeld || hasFocus) {
      markGone(find('.card', item), fresh);
    } else {
      item.remove();
    }
  });
  held = isHeld ? fresh : null;
  if (isHeld) return;
  if (focused && focused !== document.activeElement && list.contains(focused)) focused.focus({ preventScroll: true });
  glide(before);
}

/* More of a section was asked for, and comes below what stands there: that moves nothing under a hand that is not further down. */
function showAskedFor(section, fresh) {
  const items = find('.card-list', section);
  const sections = findAll('.section', list);
  const card = touchedCard();
  if (card && sections.indexOf(sectionOf(card)) > sections.indexOf(section)) return;
  const wasBeyond = new Set(dialogsBeyond(section).map(({ number }) => `card-${number}`));
  const asked = findAll('.card-list > li', fresh).filter((item) => wasBeyond.has(item.id) && !document.getElementById(item.id));
  if (!asked.length) return;
  asked.forEach((item) => items.append(adopt(item)));
  sayBeyond(section, fresh);
}

function sayBeyond(section, fresh) {
  const items = find('.card-list', section);
  const { beyond } = find('.card-list', fresh).dataset;
  if (beyond) items.dataset.beyond = beyond;
  else delete items.dataset.beyond;
  const button = find('.section-on', section);
  const freshButton = find('.section-on', fresh); // a release from before, which may still answer, has none
  button.hidden = !freshButton || freshButton.hidden;
  if (freshButton) setText(button, freshButton.textContent);
}

function sayHeldBack(section, fresh, isHeld) {
  const items = find('.card-list', section);
  const missing = findAll('.card-list > li', fresh).filter((item) => {
    const own = document.getElementById(item.id);
    return !own || own.parentNode !== items;
  }).length;
  const button = find('.section-held', section);
  button.hidden = !(isHeld && missing);
  setText(button, `+${missing}`);
}

function arrangeSection(section, fresh, stays) {
  const items = find('.card-list', section);
  const wanted = findAll('.card-list > li', fresh);
  let next = items.firstElementChild;
  wanted.forEach((item) => {
    const own = document.getElementById(item.id);
    const node = own && list.contains(own) ? own : arrival(item);
    const card = find('.card', node);
    card.classList.remove('card--gone');
    card.removeAttribute('aria-disabled');
    while (next && stays(next)) next = next.nextElementSibling;
    if (next === node) next = next.nextElementSibling;
    else items.insertBefore(node, next);
  });
  items.hidden = !wanted.length && !Array.from(items.children).some(stays);
  sayBeyond(section, fresh);
  const count = find('.count', section);
  const freshCount = find('.count', fresh);
  setText(count, freshCount.textContent);
  count.className = freshCount.className;
  ['.section-empty', '.section-more'].forEach((selector) => {
    const note = find(selector, section);
    const freshNote = find(selector, fresh);
    if (note.innerHTML !== freshNote.innerHTML) note.innerHTML = freshNote.innerHTML;
    note.hidden = freshNote.hidden;
  });
}

function arrival(item) {
  const node = adopt(item);
  find('.card', node).classList.add('card--arrived');
  return node;
}

/* Taken, closed or moved by somebody else: the card stays as long as it is touched, and says what became of it. */
function markGone(card, fresh) {
  if (card.classList.contains('card--gone')) return;
  card.classList.add('card--gone');
  card.setAttribute('aria-disabled', 'true');
  forgetTold(card);
  setText(find('.card-text', card), words.gone);
  const wait = find('.wait', card);
  setText(wait, '');
  setText(find('.card-meta', card), '');
  if (wait) wait.removeAttribute('data-since');
  if (touchedCard() === card && !find('#gone', fresh)) lookSoon();
}

function sayWhoTook(fresh) {
  const said = find('#gone', fresh);
  const card = said && find(`#card-${said.dataset.number} .card--gone`, list);
  if (card) setText(find('.card-text', card), said.textContent);
}

const lookSoon = () => setTimeout(() => readSoon({ panel: true }), 0);

function release() {
  if (!held) return;
  arrange(held, false);
  finish();
}

/** Begins to hold updates back while the hand is on the list. */
export function startPanel() {
  rememberPanel(list);
  startWindows(refreshPanel);
  watchHand(release);
  setInterval(() => {
    if (!handIsOnList()) release();
  }, RELEASE_EVERY);
  list.addEventListener('click', (event) => {
    if (!event.target.closest('.section-held')) return;
    ignoreHand();
    release();
  });
  list.addEventListener('focusout', (event) => {
    if (event.target.closest('.card--gone')) lookSoon();
  });
}
