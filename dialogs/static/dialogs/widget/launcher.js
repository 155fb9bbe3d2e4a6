/* The button on the page; the line above it that shows a new message; and what stands there while the window is on its way. The
   elements are made once, in one open shadow root; later they are only changed. */

import { unreadMessages } from './conversation.js';
import { addStyles, element, setIcon, setShown, setText } from './elements.js';
import { report } from './guard.js';
import { restoreOutbox } from './outbox.js';
import { on } from '../shared/signals.js';
import { site } from './site.js';
import { state } from './state.js';
import { say } from './texts.js';

const PEEK = 160; // characters of a new message beside the button

/** All elements that change or listen, by their names; the window adds its own. `root` is there as soon as the widget is built. */
export const parts = {};

/** Makes the elements; whoever listens to them adds the listeners. */
export function buildLauncher() {
  restoreOutbox();
  const host = element('div');
  host.dataset.webimOffline = site.account;
  const shadow = host.attachShadow({ mode: 'open' });
  addStyles(shadow, site.css, 'widget.css');
  const count = element('span', { class: 'w-unread', hidden: true });
  const label = element('span');
  const launchIcon = element('span', { class: 'w-mark' });
  const launch = element('button', { type: 'button', class: 'w-launch', 'aria-expanded': 'false' }, launchIcon, label, count);
  const peekWho = element('b');
  const peekText = element('span');
  const peek = element('p', { class: 'w-peek', role: 'status', hidden: true }, peekWho, peekText);
  const cardText = element('p', { role: 'status' });
  const again = element('button', { type: 'button', class: 'w-again' });
  const card = element('div', { class: 'w-peek w-card', role: 'dialog', hidden: true }, cardText, again);
  const root = element('div', { class: 'w w-fixed' }, card, peek, launch);
  Object.assign(parts, { host, root, count, label, launchIcon, launch, peekWho, peekText, peek, card, cardText, again });
  shadow.append(root);
}

export const isOnline = () => state.service === 'online';

function drawLauncher() {
  const { session, isOpen, isAwaited, opening, outbox, conversation } = state;
  const { texts } = session;
  const page = document.body || document.documentElement;
  if (!parts.host.isConnected && page) page.append(parts.host);
  parts.root.lang = session.spoken;
  parts.root.toggleAttribute('data-open', isOpen);

  const isOffered = isOnline() || session.offline_mode !== 'hidden';
  const hasButton = isOffered || isOpen || isAwaited || outbox.length > 0 || Boolean(conversation && conversation.open);
  setShown(parts.launch, hasButton);
  parts.launch.setAttribute('aria-expanded', String(isOpen || isAwaited));
  parts.launch.classList.toggle('w-launch--off', !isOnline());
  setText(parts.label, isOnline() ? texts.chat : texts.leave);
  setIcon(parts.launchIcon, isOnline() ? 'chat' : 'mail');
  setShown(parts.card, isAwaited && opening);
  if (isAwaited && opening) {
    parts.card.setAttribute('aria-label', parts.label.textContent);
    setText(parts.cardText, texts[opening]);
    setText(parts.again, texts.retry);
    setShown(parts.again, opening === 'failed');
  }
  drawNews(hasButton);
}

function drawNews(hasButton) {
  const { session, isOpen, isAwaited, conversation } = state;
  const unread = unreadMessages();
  const hasNews = unread.length > 0 && !isOpen;
  setShown(parts.count, hasNews);
  setShown(parts.peek, hasNews && hasButton && !isAwaited);
  if (!unread.length) return;
  parts.count.replaceChildren(String(unread.length), element('span', { class: 'w-hide' }, ` ${session.texts.unread}`));
  const last = unread[unread.length - 1];
  setText(parts.peekWho, say('answered', { name: last.name, number: `#${conversation.number}` }));
  setText(parts.peekText, last.text.length > PEEK ? `${last.text.slice(0, PEEK)}…` : last.text);
}

on('change', () => {
  if (!state.session || !parts.root || state.isRetired) return;
  try {
    drawLauncher();
  } catch (error) {
    report(error);
  }
});
