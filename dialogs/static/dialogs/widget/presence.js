/* Presence and news: each tab holds a stream (P2, W1). Where none gets through, the polls of the second part take over. */

import { guarded } from './guard.js';
import { call } from './network.js';
import { readConversation, readNowAndThen } from './reading.js';
import { greet, renewTicket } from './session.js';
import { StreamClient } from '../live/streaming.js';
import { tell } from '../shared/signals.js';
import { currentPage, site } from './site.js';
import { setConnected, state } from './state.js';

const BEAT_TIMEOUT = 10e3; // milliseconds, all of these
const RESTART_SPREAD = 10e3; // a restart cuts all streams in one moment: pages come back over this time
const RESTART_SPREAD_OPEN = 2e3; // those whose window is open
const GREET_AFTER = 2; // failures in a row: the session may be another one by now

/** `client`; `since`, the position in the live app's news up to which this page has heard them; `heardAt`, when that was. */
export const live = { client: null, since: null, heardAt: 0 };

/** A request to the live app, with a fresh ticket when the old one is void. */
export async function callLive(path, body, options) {
  const send = () => {
    const message = Object.assign({ ticket: state.session.ticket, page: currentPage() }, body);
    return call(`/live/visit/${path}`, message, options);
  };
  try {
    return await send();
  } catch (refusal) {
    if (refusal.status !== 401) throw refusal;
    await renewTicket();
    return send();
  }
}

export const beat = () => callLive('beat', {}, { timeout: BEAT_TIMEOUT });

/** Deals with an answer of the live app: { since, service, changed }. */
export function hear(news) {
  // a position names every live process that has answered this page, the one that speaks first
  const knewNothing = !String(live.since).includes(String(news.since).split('.')[0]);
  live.since = news.since;
  if (news.service !== state.service) {
    state.service = news.service;
    tell('service');
    tell('change');
  }
  if (news.changed && (state.conversation || !knewNothing)) readConversation();
  signOfLife();
}

function signOfLife() {
  live.heardAt = Date.now();
  readNowAndThen();
}

function onMessage(text) {
  const said = JSON.parse(text);
  if (said.ticket) state.session.ticket = said.ticket; // to come back with, when the stream is cut
  else hear(said);
}

async function probe(failures) {
  await beat();
  if (failures > GREET_AFTER) await greet();
}

/** The number of the present run: another one after every stop. */
export const presenceRun = () => live.client.run;

/** Prepares to be present; `startPresence` begins it. */
export function preparePresence() {
  live.client = new StreamClient({
    streamUrl: `${site.base.replace(/^http/, 'ws')}/live/visit/stream`,
    hello: () => ({ ticket: state.session.ticket, since: live.since, service: state.service, page: currentPage() }),
    onMessage,
    onSign: signOfLife,
    onConnection: setConnected,
    probe,
    renewTicket,
    pauseAfterCut: () => Math.random() * (state.isOpen ? RESTART_SPREAD_OPEN : RESTART_SPREAD),
    startPolls(run) {
      state.pollingRun = run;
      tell('polls');
    },
    onStop: () => tell('stop'),
    guarded,
  });
  document.addEventListener('securitypolicyviolation', guarded((event) => {
    const isOurs = event.effectiveDirective === 'connect-src' && event.blockedURI.startsWith(site.base.replace(/^http/, 'ws'));
    if (isOurs) live.client.forbidStreams();
  }));
}

export function startPresence() {
  live.client.start();
}

/** Checks at once whether the stream still lives, as when somebody looks at the page again. */
export function watchPresence() {
  live.client.watch();
}

/** Stops, and tells the server when the page goes (P2). */
export function leave() {
  live.client.stop();
  live.since = null;
  if (state.session) navigator.sendBeacon(`${site.base}/live/visit/bye`, JSON.stringify({ ticket: state.session.ticket }));
}
