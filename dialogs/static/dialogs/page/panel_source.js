/* Reading the left panel. The server sends only the cards that this page does not have (docs/scripts.md, "The panel"): the others
   are empty items, which are filled in here. So whoever reads a panel always gets a whole one. */

import { findAll, parse } from './dom.js';
import { ask } from './server.js';

/* What this page has: `cursor` names the cards for the server, `cards` is the HTML of each, by the id of its item. Never changed:
   an answer is filled in from what the page had when it asked. */
let had = { cursor: '', cards: {} };

const items = (panel) => findAll('.card-list > li', panel);

/** Remembers the panel that came with the page, before anything in it was changed. */
export function rememberPanel(panel) {
  remember(panel, panel.dataset.cursor);
}

function remember(panel, cursor) {
  had = { cursor, cards: Object.fromEntries(items(panel).map((item) => [item.id, item.innerHTML])) };
}

/* Fills in the empty items; says whether the page had all of them. */
function complete(panel, { cards }) {
  const empty = items(panel).filter((item) => !item.firstElementChild);
  empty.filter(({ id }) => cards[id]).forEach((item) => {
    item.innerHTML = cards[item.id];
  });
  return empty.every(({ id }) => cards[id]);
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
