/* The page of operators: live figures, and a status that is set for somebody. What the hand or the focus is on stays. */

import { on } from '../shared/signals.js';
import { adopt, find, findAll, parse, setText } from '../page/dom.js';
import { startFollowing } from '../page/following.js';
import { addReader, readSoon } from '../page/readers.js';
import { askForHtml, askForJson } from '../page/server.js';
import { duration, now } from '../page/time.js';
import { toast } from '../page/toast.js';
import { isNews, noteTold, withoutTokens } from '../page/told.js';
import { goToDialog } from '../page/visit.js';
import { words } from '../page/words.js';
import { startRings } from '../rings/main.js';

const KEYS_WITHIN = 500; // milliseconds: a choice that follows a key sooner was made by it
const KEYS_REST = 700; // arrow keys pass over statuses that are not meant: the choice waits for the last of them

const table = find('#table');
const choosing = {}; // timers by the id of the control; there while a choice is not stored yet
let shownAt = Date.now();
let keyAt = 0;

function writeWaits() {
  findAll('.wait[data-since]', table).forEach((wait) => setText(wait, duration((now() - wait.dataset.since) / 1000)));
}

/* ----- the table: the same cells, changed where the server says something else ----- */

const wordsOf = (cell) => withoutTokens(cell.innerHTML);
const noteCells = (root) => findAll('td, th', root).forEach((cell) => noteTold(cell, wordsOf(cell)));

function updateTable(fresh) {
  const rows = find('tbody', table);
  const wanted = findAll('tbody tr', fresh);
  const ids = new Set(wanted.map(({ id }) => id));
  let next = rows.firstElementChild;
  wanted.forEach((row) => {
    let own = document.getElementById(row.id);
    if (own) {
      Array.from(row.children).forEach((cell, index) => updateCell(own.children[index], cell));
    } else {
      own = adopt(row);
      noteCells(own);
    }
    if (next === own) next = next.nextElementSibling;
    else rows.insertBefore(own, next);
  });
  findAll('tbody tr', table).filter(({ id }) => !ids.has(id)).forEach((row) => row.remove());
  const more = find('.team-more', table);
  const freshMore = find('.team-more', fresh);
  setText(more, freshMore.textContent);
  more.hidden = freshMore.hidden;
  writeWaits();
}

function updateCell(cell, fresh) {
  const html = wordsOf(fresh);
  if (!isNews(cell, html)) return;
  const select = find('select', cell);
  if (select) { // the same element: it may be open, or in the middle of a choice
    const { chosen } = find('select', fresh).dataset;
    if (!choosing[select.id]) select.value = chosen;
    select.dataset.chosen = chosen;
  } else {
    const hadFocus = cell.contains(document.activeElement);
    cell.innerHTML = fresh.innerHTML;
    const link = hadFocus && find('a', cell);
    if (link) link.focus({ preventScroll: true });
  }
  noteTold(cell, html);
}

/* ----- choosing ----- */

async function choose(select) {
  const data = new FormData(select.form);
  const ours = choosing[select.id];
  try {
    const { said } = await askForJson(select.form.action, data);
    toast(said);
    select.dataset.chosen = data.get('status');
  } catch (refusal) {
    if (choosing[select.id] === ours) select.value = select.dataset.chosen;
    toast(`${words.statusFailed} ${refusal.status ? refusal.message : ''}`);
  }
  if (choosing[select.id] === ours) delete choosing[select.id];
  readSoon();
}

table.addEventListener('keydown', () => {
  keyAt = Date.now();
});
table.addEventListener('change', ({ target }) => {
  clearTimeout(choosing[target.id]);
  choosing[target.id] = setTimeout(() => choose(target), Date.now() - keyAt < KEYS_WITHIN ? KEYS_REST : 0);
});

/* ----- live ----- */

on('connected', () => {
  const format = { hour: '2-digit', minute: '2-digit' };
  find('#lost-at').textContent = new Date(shownAt).toLocaleTimeString(document.documentElement.lang, format);
});
addReader('panel', async () => {
  const fresh = parse(await askForHtml(document.body.dataset.table));
  shownAt = Date.now();
  updateTable(fresh);
});
noteCells(table);
writeWaits();
setInterval(writeWaits, 1000);
startRings(goToDialog);
startFollowing();
