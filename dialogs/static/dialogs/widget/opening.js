/* Brings the window, the second part of the widget, when somebody is about to open it, or when an earlier page has left messages
   to send. What was typed on an earlier page waits in the browser's storage meanwhile. */

import { backOff, pause, requestedPause, wakeAll } from '../live/pauses.js';
import { contract } from './contract.js';
import { guarded, report } from './guard.js';
import { parts } from './launcher.js';
import { beat, leave, live } from './presence.js';
import { askSession } from './session.js';
import { on, tell } from '../shared/signals.js';
import { markOf, site } from './site.js';
import { state } from './state.js';

const COMES_WITHIN = 20e3; // milliseconds, both
const BEAT_EVERY = 10e3; // milliseconds
const SAY_AFTER = 400; // nothing is said of a window that comes at once

let begin = null; // begins the second part with a session, once it is here
let hasBegun = false;
let attempt = null; // on its way
let isInsisting = false;
let policy = null;
let focusedThen = null;

/** The second part is here: `start` gets the contract and returns what begins it. Only the first one that comes counts. */
export function take(start, config) {
  if (!begin) begin = start(contract).bind(null, config);
}

/* This part makes way for another one, because the server does not speak its contract any more. Says whether the visitor waits
   for the window. This and the attributes of the script's element never change, whatever the contract. */
function retire() {
  const { isAwaited } = state;
  leave();
  if (parts.host) parts.host.remove();
  window[markOf(site.account)] = false;
  Object.assign(state, { session: null, isAwaited: false, outbox: [], isRetired: true });
  return isAwaited;
}

/* A page that demands Trusted Types takes the address of a script from a policy only. Where it does not allow ours by its name, its
   own default policy decides. */
function trusted(address) {
  const { trustedTypes } = window;
  try {
    policy = policy || (trustedTypes && trustedTypes.createPolicy('webim_offline', { createScriptURL: (url) => url }));
  } catch (error) {
    return address;
  }
  return policy ? policy.createScriptURL(address) : address;
}

function addScript() {
  return new Promise((resolve, reject) => {
    const script = document.createElement('script');
    const end = () => {
      script.remove();
      if (begin) resolve();
      else reject(Error('no window'));
    };
    Object.assign(script.dataset, { account: site.account, department: site.department, language: site.language });
    script.webimOffline = { take, retire };
    script.nonce = site.nonce;
    script.onload = end;
    script.onerror = end;
    setTimeout(end, COMES_WITHIN);
    script.src = trusted(`${site.base}/widget/window/${site.window}.js`);
    (document.head || document.documentElement).append(script);
  });
}

async function bringOnce() {
  const [session] = await Promise.all([askSession(false), begin || addScript()]);
  if (hasBegun || state.isRetired) return;
  hasBegun = true;
  begin(session);
}

/* One attempt at a time; all who ask meanwhile wait for it. */
function bring() {
  const forget = () => {
    attempt = null;
  };
  if (!attempt) {
    attempt = bringOnce();
    attempt.then(forget, forget);
  }
  return attempt;
}

const isNeeded = () => state.isAwaited || state.outbox.length > 0 || state.pollingRun === live.client.run;

/* Tries until the window is here, or until nobody needs it any more. A network that comes back wakes it at once. */
async function insist() {
  wakeAll(); // it may wait between two attempts already
  if (isInsisting) return;
  isInsisting = true;
  let failures = 0;
  while (isNeeded() && !hasBegun) {
    try {
      await bring();
    } catch (error) {
      failures += 1;
      if (failures === 1) report(error);
      state.opening = 'failed';
      tell('change');
      await pause(requestedPause(error) || backOff(failures));
    }
  }
  isInsisting = false;
  if (hasBegun && state.isAwaited) arrive();
}

function arrive() {
  const { activeElement } = document;
  const isElsewhere = activeElement !== focusedThen && activeElement !== parts.host && activeElement !== document.body;
  state.isAwaited = false;
  tell('open', { keepsFocus: isElsewhere }); // whoever has gone on in the page meanwhile is not interrupted
}

/** Opens the window. */
export function open() {
  if (hasBegun) {
    tell('open', {});
    return;
  }
  focusedThen = document.activeElement;
  Object.assign(state, { isAwaited: true, opening: '' });
  setTimeout(() => {
    state.opening = state.opening || 'opening';
    tell('change');
  }, SAY_AFTER);
  tell('change');
  insist().catch(report);
}

function stopWaiting() {
  state.isAwaited = false;
  tell('change');
}

function toggle() {
  if (state.isOpen) tell('close');
  else if (state.isAwaited) stopWaiting();
  else open();
}

/* Again at once, and said to be so. */
function tryAgain() {
  state.opening = 'opening';
  tell('change');
  parts.launch.focus(); // the button that was pressed is not there any more
  wakeAll();
}

/** Listens to the button. Whoever comes near it is about to open the window. */
export function listenToLauncher() {
  const listen = (target, names, handler) => {
    names.forEach((name) => target.addEventListener(name, guarded(handler), { passive: true }));
  };
  const prepare = () => hasBegun || bring().catch(() => {}); // whoever opens the window is told
  listen(parts.launch, ['mouseenter', 'focus', 'touchstart'], prepare);
  listen(parts.launch, ['click'], toggle);
  listen(parts.peek, ['click'], open);
  listen(parts.again, ['click'], tryAgain);
  // the page's own keyboard shortcuts are not meant while somebody types here
  listen(parts.root, ['keydown', 'keyup', 'keypress'], (event) => {
    event.stopPropagation();
    if (!state.isAwaited || event.type !== 'keydown' || event.key !== 'Escape') return;
    stopWaiting();
    parts.launch.focus();
  });
}

function insistIfNeeded() {
  if (isNeeded()) insist().catch(report);
}

on('ready', insistIfNeeded);
/* Where no stream gets through, the page says by itself that it lives until the part that polls is here (P2). */
on('polls', async () => {
  const run = state.pollingRun;
  insistIfNeeded();
  while (!hasBegun && run === live.client.run) {
    beat().catch(() => {});
    await pause(BEAT_EVERY);
  }
});
