/* Notifications on the desktop. */

import { find } from '../page/dom.js';
import { NOTIFIED, rememberNews } from './memory.js';
import { form, isOn } from './settings.js';

/** 'granted', 'denied' or 'default', which is not asked yet; 'none' where there are no notifications. */
export const permission = () => (window.Notification ? Notification.permission : 'none');

/** Tells of the first of these news, and how many there are; `open` opens a dialog. */
export function notify(list, open) {
  if (!list.length || !isOn('on_desktop') || permission() !== 'granted') return;
  rememberNews(list, [NOTIFIED]);
  const [{ kind, number, card }] = list;
  const texts = form.dataset;
  const isOne = list.length === 1;
  const who = card ? `#${number} ${find('.card-name', card).textContent}` : `#${number}`;
  const title = isOne ? texts[kind].replace('%s', who) : texts.many.replace('%s', list.length);
  const text = card ? find('.card-text', card).textContent.trim() : '';
  const body = isOne ? text : who;
  try {
    const notification = new Notification(title, { body, tag: `workspace-${number}`, silent: true });
    notification.onclick = () => {
      window.focus();
      if (isOne) open(number);
      notification.close();
    };
  } catch (error) {
    // a browser that only notifies from workers
  }
}
