/* The workspace: the list, one open dialog, its visitor, the keyboard. Everything that may have changed is registered here, and
   read again when the live app hints at it.

   Signals (shared/signals.js): `act` (page/server.js), `connected` (page/readers.js), and `panel`: the list was read; the detail is
   { fresh, askedAt }, the document and the moment of the question in milliseconds. */

import { find } from '../page/dom.js';
import { startFollowing } from '../page/following.js';
import { addReader, readSoon } from '../page/readers.js';
import { toast } from '../page/toast.js';
import { words } from '../page/words.js';
import { startRings } from '../rings/main.js';
import { startActions } from './actions.js';
import { rove } from './cards.js';
import { writeWaits } from './clocks.js';
import { startComposer } from './composer.js';
import { openDialog, refreshDialog, startDialog } from './dialog.js';
import { startKeys } from './keys.js';
import { startMenus } from './menus.js';
import { finish, refreshPanel, startPanel } from './panel.js';
import { list } from './places.js';
import { startStatus } from './status.js';
import { startTransfer } from './transfer.js';

startPanel();
startDialog();
startComposer();
startActions();
startTransfer();
startStatus();
startMenus();
startKeys();
finish();

list.addEventListener('focusin', (event) => {
  if (event.target.classList.contains('card')) rove(event.target);
});
find('#lost-again').onclick = () => readSoon();
setInterval(writeWaits, 1000);
if (words.welcome) toast(words.welcome);

addReader('panel', refreshPanel);
addReader('dialog', refreshDialog);
startRings(openDialog);
startFollowing();
