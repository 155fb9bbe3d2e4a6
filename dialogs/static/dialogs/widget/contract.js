/* What the window, the second part of the widget, gets from the first: all that its modules import from here.

   A page may hold a first part that is older than the second one, since a release happens while it is open. Whoever changes a name
   here, what it means, or a signal that crosses from one part to the other (main.js) raises CONTRACT in dialogs/views/widget.py.
   See docs/decisions/0026-the-widget-in-two-parts.md. */

import { backOff, pause, requestedPause } from '../live/pauses.js';
import { acceptConversation, keeper, seenRevision, unreadMessages } from './conversation.js';
import { addStyles, element, icon, icons, setIcon, setShown, setText } from './elements.js';
import { guarded, report } from './guard.js';
import { isOnline, parts } from './launcher.js';
import { call } from './network.js';
import { beat, callLive, hear, live } from './presence.js';
import { readConversation } from './reading.js';
import { acceptSession, greet, knownFields, visitorFields } from './session.js';
import { on, tell } from '../shared/signals.js';
import { markOf, site } from './site.js';
import { newKey, setConnected, state } from './state.js';
import { load, remember, save, storedToken } from './storage.js';
import { say } from './texts.js';

export const contract = {
  acceptConversation,
  acceptSession,
  addStyles,
  backOff,
  beat,
  call,
  callLive,
  element,
  greet,
  guarded,
  hear,
  icon,
  icons,
  isOnline,
  keeper,
  knownFields,
  live,
  load,
  markOf,
  newKey,
  on,
  parts,
  pause,
  readConversation,
  remember,
  report,
  requestedPause,
  save,
  say,
  seenRevision,
  setConnected,
  setIcon,
  setShown,
  setText,
  site,
  state,
  storedToken,
  tell,
  unreadMessages,
  visitorFields,
};
