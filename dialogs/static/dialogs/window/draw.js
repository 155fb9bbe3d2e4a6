/* Drawing the window: every call brings it up to date, and touches only what has changed. */

import { isChat } from './chat.js';
import { buildFields, fields, moveField, setOption, typedContacts } from './fields.js';
import { decideMode, keepTextBetweenForms } from './form.js';
import { drawLog } from './log.js';
import { setIcon, setShown, setText } from '../widget/elements.js';
import { report } from '../widget/guard.js';
import { isOnline, parts } from '../widget/launcher.js';
import { state } from '../widget/state.js';
import { say } from '../widget/texts.js';

export function draw() {
  if (!state.session) return;
  try {
    setShown(parts.window, state.isOpen);
    if (state.isOpen) drawWindow();
  } catch (error) {
    report(error);
  }
}

function drawWindow() {
  const { session, conversation, outbox } = state;
  const { texts } = session;
  const chat = isChat();
  keepTextBetweenForms();
  drawHead(texts);
  drawBar(texts);
  buildFields();
  const hasLog = Boolean(conversation || outbox.length);
  setShown(parts.log, hasLog);
  parts.log.setAttribute('aria-label', texts.log);
  parts.log.classList.toggle('w-log--short', hasLog && !chat);
  if (hasLog) drawLog();
  const asks = chat && conversation && conversation.open && conversation.started_offline && conversation.missing.length
    && !conversation.operator && !outbox.length;
  setShown(parts.ask, asks);
  if (asks) drawAsk(texts);
  setShown(parts.form, !chat);
  if (!chat) drawForm(texts);
  setShown(parts.write, chat);
  parts.line.placeholder = texts.placeholder;
  parts.line.setAttribute('aria-label', texts.message);
  parts.go.setAttribute('aria-label', texts.send);
}

function drawHead(texts) {
  const { session, conversation, isConnected } = state;
  const service = isOnline() ? texts.online : texts.offline;
  parts.window.setAttribute('aria-label', say('window', { account: session.account }));
  setText(parts.title, conversation && conversation.operator ? `${conversation.operator}, ${session.account}` : session.account);
  setText(parts.service, isConnected ? service : texts.disconnected);
  parts.dot.classList.toggle('w-dot--off', !isOnline() || !isConnected);
  setText(parts.end, texts.end);
  setShown(parts.end, conversation && conversation.open);
  parts.minimise.setAttribute('aria-label', texts.minimise);
}

const BAR_ICONS = { lost: 'lost', now_online: 'done', now_offline: 'warn' };

function drawBar(texts) {
  const bar = state.isConnected ? state.banner : 'lost';
  setShown(parts.bar, bar);
  if (!bar) return;
  parts.bar.classList.toggle('w-bar--ok', bar === 'now_online');
  setIcon(parts.barIcon, BAR_ICONS[bar]);
  setText(parts.barText, texts[bar]);
}

function drawForm(texts) {
  decideMode();
  const { session, conversation, mode, banner } = state;
  const { either } = session.form;
  const wantsContacts = mode === 'form';
  const isKept = banner === 'now_online' && Object.keys(typedContacts()).length > 0;
  const onlineLead = isKept ? texts.lead_kept : texts.lead_online;
  setText(parts.lead, wantsContacts ? session.offline_text || texts.lead_offline : onlineLead);
  setShown(parts.lead, wantsContacts || isOnline());
  Object.entries(fields).forEach(([name, field]) => {
    const isWanted = !conversation || conversation.missing.includes(name) || (either && name === 'phone');
    const isOneOfTwo = either && name !== 'name' && !name.startsWith('own_');
    const optional = isOneOfTwo ? texts.either : texts.optional;
    moveField(field, parts.fields);
    setShown(field.wrap, wantsContacts && isWanted);
    setOption(field, field.isRequired ? '' : optional);
  });
  setShown(parts.fields, wantsContacts && Object.keys(fields).length);
  setText(parts.textLabel, texts.message);
  setText(parts.send, texts.send);
  setShown(parts.privacyLine, wantsContacts && session.privacy_url);
  if (session.privacy_url) {
    parts.privacy.href = session.privacy_url;
    setText(parts.privacy, texts.privacy);
  }
}

function drawAsk(texts) {
  const { either } = state.session.form;
  const { missing } = state.conversation;
  const wanted = either && fields.phone && missing.includes('email') ? [...missing, 'phone'] : missing;
  setText(parts.askLead, texts.ask);
  setText(parts.save, texts.save);
  Object.entries(fields).forEach(([name, field]) => {
    const isWanted = wanted.includes(name);
    if (isWanted) {
      moveField(field, parts.askFields);
      setOption(field, either && ['email', 'phone'].includes(name) && !field.isRequired ? texts.either : '');
    }
    setShown(field.wrap, isWanted);
  });
}
