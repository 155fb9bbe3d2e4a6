/* The chat on a customer's page (behaviour.md W, P1, P2), its first part: presence, the button, and what brings the second part,
   the window (../window/). The server calls `startWidget` with a configuration: `account`, `css`, and `window`, the name of the
   second part in its address. When this part replaces an older one (opening.js), the configuration also has `part` and `partCss`,
   the second part itself, and `opens`, whether the window is to be opened.

   Signals of the widget (shared/signals.js), of both parts:

   first-session   the first answer of the server is here: the widget may be built
   ready           the session has begun, and the page is present
   change          something that is drawn is different now
   service         the service went online or offline
   open            the window is to be opened; the detail is { keepsFocus }
   close           the window is to be closed
   hide            the page goes away
   polls           no stream gets through: polls are to take over
   stop            the stream or the polls end
   sent            the server has accepted a message, or the end of the chat
   refused         the server refused a message; the detail is { entry, answer } */

import { backOff, pause, requestedPause, wakeAll } from '../live/pauses.js';
import { guarded, report } from './guard.js';
import { buildLauncher } from './launcher.js';
import { listenToLauncher, take } from './opening.js';
import { leave, preparePresence, presenceRun, startPresence, watchPresence } from './presence.js';
import { greet } from './session.js';
import { on, tell } from '../shared/signals.js';
import { markOf, readSite } from './site.js';
import { newKey, setConnected, state } from './state.js';
import { storedToken } from './storage.js';

const NOT_SHOWN = [400, 403, 404]; // the server does not know this account, or not for this site

/** Shows the widget on this page, once, in browsers that can. */
export function startWidget(config) {
  const script = document.currentScript || document.querySelector(`script[src*="/widget/${config.account}.js"]`);
  const mark = markOf(config.account);
  if (!script || window[mark] || !window.fetch || !window.AbortController || !Element.prototype.attachShadow) return;
  window[mark] = true;
  try {
    readSite(config, script);
    state.token = storedToken();
    preparePresence();
    if (config.part) take(config.part, { css: config.partCss });
    state.isAwaited = !!config.opens; // somebody waited for the window of the part whose place this one takes
    window.addEventListener('pagehide', guarded(onHide));
    window.addEventListener('pageshow', guarded(onShow));
    window.addEventListener('online', guarded(wakeAll));
    document.addEventListener('visibilitychange', guarded(onVisibility));
    const begin = () => follow().catch(report);
    if (document.body) begin();
    else document.addEventListener('DOMContentLoaded', guarded(begin));
  } catch (error) {
    report(error);
  }
}

/* Begins the session, however long that takes; then is present, and sends what an earlier page has left. */
async function follow() {
  const run = presenceRun();
  let failures = 0;
  while (run === presenceRun()) {
    try {
      await greet();
      break;
    } catch (refusal) {
      if (NOT_SHOWN.includes(refusal.status)) {
        console.warn(`webim_offline: ${refusal.answer.detail || refusal.status}`);
        return;
      }
      failures += 1;
      setConnected(false);
      await pause(requestedPause(refusal) || backOff(failures));
    }
  }
  if (run !== presenceRun()) return;
  setConnected(true);
  startPresence();
  tell('ready');
}

function onHide() {
  tell('hide');
  leave();
}

/* The page comes back from the browser's page cache: another visit. */
function onShow(event) {
  if (!event.persisted || state.isRetired) return;
  state.visit = newKey();
  follow().catch(report);
}

function onVisibility() {
  if (document.hidden) return;
  watchPresence();
  wakeAll();
}

on('first-session', () => {
  buildLauncher();
  listenToLauncher();
});
