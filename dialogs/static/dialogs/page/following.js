/* Following the hints of the live app. While the page follows, its person is at work (A2). */

import { LiveClient } from '../live/client.js';
import { wakeAll } from '../live/pauses.js';
import { CLOSED } from '../live/stream.js';
import { find } from './dom.js';
import { readSoon, setLiveConnected, startReading } from './readers.js';
import { askForJson, Refusal } from './server.js';

const RENEW_AFTER = 40000; // milliseconds: long polls carry a ticket each, and it is void some time later
const PAUSE_AFTER_CUT = 500; // and up to twice as much again

const addresses = document.body.dataset;

/* The element that carries the ticket: the dialog that is open, or the page. A fragment of a dialog brings a fresh one. */
const holder = () => find('#dialog') || document.body;

let since = ''; // the position in the live app's news
let ticketHolder = holder();
let ticketAt = Date.now();

function ageOfTicket() {
  if (ticketHolder !== holder()) {
    ticketHolder = holder();
    ticketAt = Date.now();
  }
  return Date.now() - ticketAt;
}

async function renewTicket() {
  const number = holder().dataset.number || '';
  const { ticket } = await askForJson(`${addresses.tickets}?open=${number}`);
  if (number !== (holder().dataset.number || '')) return; // another dialog was opened meanwhile
  ticketHolder = holder();
  ticketHolder.dataset.ticket = ticket;
  ticketAt = Date.now();
}

/* Seconds since the server was asked for this page, by the clock that shows more: one of them may stand still while the machine
   sleeps. */
const age = () => Math.max(performance.now(), Date.now() - performance.timeOrigin) / 1000;

/* What came before the page was read is on it, so it is not read again because it begins to follow. */
const hello = () => Object.assign({ ticket: holder().dataset.ticket }, since ? { since } : { age: age() });

/** A hint says which parts have changed: { since, panel, dialog }. */
function hear(hint) {
  since = hint.since;
  setLiveConnected(true);
  readSoon(hint);
}

async function poll(signal) {
  const response = await fetch(addresses.poll, { signal, method: 'POST', credentials: 'omit', body: JSON.stringify(hello()) });
  if (response.status === 401) {
    await renewTicket();
    since = '';
    return;
  }
  if (!response.ok) throw new Refusal('', { status: response.status, wait: Number(response.headers.get('Retry-After')) });
  hear(await response.json());
  if (ageOfTicket() > RENEW_AFTER) await renewTicket();
}

const client = new LiveClient({
  streamUrl: location.origin.replace(/^http/, 'ws') + addresses.stream,
  hello,
  onMessage: (text) => hear(JSON.parse(text)),
  poll,
  probe: renewTicket,
  renewTicket,
  onConnection: setLiveConnected,
  pauseAfterCut: (code) => (code === CLOSED.ticket ? 0 : PAUSE_AFTER_CUT * (1 + 2 * Math.random())),
});

/** Another dialog is open now: the live app must know whose news to tell. */
export function followOpenDialog() {
  if (!client.send({ ticket: holder().dataset.ticket })) client.pollAnew();
}

/** Begins, when the page has registered what it reads. */
export function startFollowing() {
  startReading();
  window.addEventListener('online', wakeAll);
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) return;
    client.watch();
    wakeAll();
  });
  client.start();
}
