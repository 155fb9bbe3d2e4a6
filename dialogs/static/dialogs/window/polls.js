/* Where no stream gets through, one tab polls for all of this browser (P2, W1). */

import { pause } from '../live/pauses.js';
import { keepPolling, pollOnce } from '../live/polls.js';
import { on } from '../shared/signals.js';
import { guarded } from '../widget/guard.js';
import { beat, callLive, hear, live } from '../widget/presence.js';
import { readConversation } from '../widget/reading.js';
import { markOf, site } from '../widget/site.js';
import { setConnected, state } from '../widget/state.js';
import { storedToken } from '../widget/storage.js';

const POLL_TIMEOUT = 32e3; // milliseconds, all of these
const LEADER_SILENT = 30e3;
const LEADER_WATCH = 10e3;

let tabs = null; // a channel among the tabs of this browser, while one of them polls for all

async function pollNews(signal) {
  const answer = await callLive('poll', { since: live.since, service: state.service }, { timeout: POLL_TIMEOUT, signal });
  hear(answer);
  if (tabs) tabs.postMessage(answer);
}

/* A browser has six connections to one host: one tab polls, and the others answer its every word with a beat. */
function pollForAllTabs() {
  const run = state.pollingRun;
  const poll = () => keepPolling(live.client, run);
  if (!navigator.locks || !window.BroadcastChannel || !storedToken()) {
    poll();
    return;
  }
  const name = [markOf(site.account), state.session.language, site.department, state.token].join(':');
  const isStopped = () => run !== live.client.run;
  const quietly = (promise) => promise.catch(() => {});
  let isLeader = false;
  tabs = new BroadcastChannel(name);
  tabs.onmessage = guarded((event) => {
    if (event.data === 'look') {
      readConversation();
      return;
    }
    hear(event.data);
    quietly(beat().then(() => setConnected(true)));
  });
  navigator.locks.request(name, () => {
    isLeader = true;
    return isStopped() ? undefined : poll();
  }).catch(poll);
  quietly(beat());
  live.heardAt = Date.now();
  watchLeader(() => isStopped() || isLeader, quietly);
}

/* The tab that polls may be frozen: then this one speaks for itself. */
async function watchLeader(isOver, quietly) {
  while (!isOver()) {
    await pause(LEADER_WATCH);
    if (!isOver() && Date.now() - live.heardAt > LEADER_SILENT) await quietly(pollOnce(live.client));
  }
}

function leaveTabs() {
  if (tabs) tabs.close();
  tabs = null;
}

/** Takes over at once when the first part waits for it, and whenever it says so. */
export function preparePolls() {
  Object.assign(live.client.options, { poll: pollNews });
  on('polls', pollForAllTabs);
  on('stop', leaveTabs);
  on('sent', () => {
    if (tabs) tabs.postMessage('look');
  });
  if (state.pollingRun === live.client.run) pollForAllTabs();
}
