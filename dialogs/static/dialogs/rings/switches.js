/* The switches: kept on the server, for every browser of this person. */

import { find } from '../page/dom.js';
import { ask } from '../page/server.js';
import { storeItem } from '../page/storage.js';
import { toast } from '../page/toast.js';
import { permission } from './notifications.js';
import { form, isOn, me } from './settings.js';

const SWITCHED = `switch-${me}`; // how a tab tells the others which switch it has switched

function showPermission() {
  const isWanted = isOn('on_desktop');
  find('#rings-allow').hidden = !(isWanted && permission() === 'default');
  find('#rings-denied').hidden = !(isWanted && permission() === 'denied');
}

function requestPermission() {
  if (permission() === 'default') Promise.resolve(Notification.requestPermission()).then(showPermission);
}

async function save({ target: box }) {
  const data = new FormData();
  data.set('csrfmiddlewaretoken', form.elements.csrfmiddlewaretoken.value);
  data.set(box.name, box.checked ? '1' : '0');
  if (box.checked && box.name === 'rings_on_desktop') requestPermission();
  showPermission();
  try {
    await ask(form.action, data);
    storeItem(SWITCHED, JSON.stringify([box.name, box.checked, Date.now()]));
  } catch (refusal) {
    box.checked = !box.checked;
    showPermission();
    toast(refusal.message);
  }
}

export function startSwitches() {
  find('#rings-allow').onclick = requestPermission;
  form.addEventListener('change', save);
  window.addEventListener('storage', ({ key, newValue }) => {
    if (key !== SWITCHED || !newValue) return;
    const [name, isChecked] = JSON.parse(newValue);
    form.elements[name].checked = isChecked;
    showPermission();
  });
  showPermission();
  form.hidden = false;
}
