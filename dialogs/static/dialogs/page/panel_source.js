/* Reading the left panel. The server sends only what this page does not have (docs/scripts.md, "The panel"): other cards are empty
   items, and what a section said of the dialogs beyond its window is a mark. Both are filled in here, so whoever reads a panel
   always gets a whole one. */

import { findAll, parse } from './dom.js';
import { ask } from './server.js';

const SAME = '=';

/* What this page has: `cursor` names it for the server, `cards` is the HTML of each card, by the id of its item, and `beyond` what
   is said of the dialogs beyond a window, by the id of its section. Never changed: an answer is filled in from what the page had
   when it asked. */
let had = { cursor: '', cards: {}, beyond: {} };

const items = (panel) => findAll('.card-list > li', panel);
const lists = (panel) => findAll('.card-list[data-beyond]', panel);

/** Remembers the panel that came with the page, before anything in it was changed. */
export function rememberPanel(panel) {
  remember(panel, panel.dataset.cursor);
}

function remember(panel, cursor) {
  const cards = Object.fromEntries(items(panel).map((item) => [item.id, item.innerHTML]));
  const beyond = Object.fromEntries(lists(panel).map((list) => [list.parentNode.id, list.dataset.beyond]));
  had = { cursor, cards, beyond };
}

/* Fills in what the server has left out; says whether the page had all of it. */
function complete(panel, { cards, beyond }) {
  const same = lists(panel).filter((list) => list.dataset.beyond === SAME);
  same.forEach((list) => {
    list.dataset.beyond = beyond[list.parentNode.id] || SAME;
  });
  const empty = items(panel).filter((item) => !item.firstElementChild);
  empty.filter(({ id }) => cards[id]).forEach((item) => {
    item.innerHTML = cards[item.id];
  });
  return empty.every(({ id }) => cards[id]) && same.every((list) => list.dataset.beyond !== SAME);
}

/** Reads the panel; resolves to { panel, response }, a whole panel as a document. `about` is what else the address says. */
export async function askForPanel(about = '') {
  const address = (has) => `${document.body.dataset.panel}?has=${has}${about}`;
  const before = had;
  let response = await ask(address(before.cursor));
  let panel = parse(await response.text());
  if (!complete(panel, before)) {
    response = await ask(address(''));
    panel = parse(await response.text());
  }
  remember(panel, response.headers.get('X-Panel') || '');
  return { panel, response };
}
