/* The operator's own status. */

import { find } from '../page/dom.js';
import { ask, askForJson } from '../page/server.js';
import { toast } from '../page/toast.js';
import { words } from '../page/words.js';
import { csrfToken } from './places.js';

const status = find('#status');

let chosen = status.value;
let chosenAt = 0; // while a choice is on its way to the server: Infinity

const MARKS = { online: '', offline: ' presence--off', invisible: ' presence--off' };

function showMark() {
  const mark = status.value in MARKS ? MARKS[status.value] : ' presence--break';
  status.previousElementSibling.className = `presence${mark}`;
}

async function choose() {
  const { value } = status;
  const data = new FormData();
  data.set('status', value);
  data.set('csrfmiddlewaretoken', csrfToken());
  showMark();
  chosenAt = Infinity;
  try {
    await ask(status.form.action, data);
    chosen = value;
  } catch (refusal) {
    status.value = chosen;
    showMark();
    toast(`${words.statusFailed} ${refusal.status ? refusal.message : ''}`);
  }
  chosenAt = Date.now();
}

/** Shows what was chosen in another tab, or by a supervisor, who is named. An answer asked for before one's own choice is old. */
export function followStatus(value, askedAt) {
  if (!value || value === chosen || askedAt < chosenAt) return;
  chosen = value;
  status.value = value;
  showMark();
  askForJson(status.form.action).then(({ said }) => {
    if (said) toast(said);
  }, () => {});
}

export function startStatus() {
  status.addEventListener('change', choose);
  showMark();
}
