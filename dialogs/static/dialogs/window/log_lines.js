/* What stands in the log, as data: each line has an `id`, by which its element is kept when the log is drawn again. */

import { sayNumbered, timeOf } from './words.js';
import { say } from '../widget/texts.js';

const ONE_HEAD_WITHIN = 120e3; // milliseconds: messages of one author that follow each other sooner share a head

const system = (id, text, style = '') => ({ id, kind: 'line', style: `w-sys${style}`, text });
const bubble = (id, text, isMine) => ({ id, kind: 'bubble', text, isMine });
const foot = (id, icon, text, isBad = false) => ({ id, kind: 'foot', icon, text, isBad });

/** The lines of what `known` (state.js) holds. Kinds: line, done, bubble, foot, retry. */
export function logLines(known, texts) {
  return [...headLines(known, texts), ...messageLines(known, texts), ...outboxLines(known, texts), ...lastLines(known, texts)];
}

function headLines({ conversation }, texts) {
  if (!conversation) return [];
  const { number } = conversation;
  const first = conversation.started_offline
    ? { id: `done${number}`, kind: 'done', title: sayNumbered('received'), text: conversation.way || texts.here }
    : system(`number${number}`, `${sayNumbered('inquiry')} · ${timeOf(conversation.created_at)}`);
  return conversation.cut ? [first, system(`cut${number}`, texts.earlier)] : [first];
}

function messageLines({ conversation, messages, awayFrom, outbox }, texts) {
  const number = conversation ? conversation.number : 0;
  const lines = [];
  let before = null;
  let isMarked = false;
  messages.forEach((message) => {
    const { mine, revision, name, at, text, key } = message;
    if (!mine && revision > awayFrom && !isMarked) {
      isMarked = true;
      lines.push(system(`away${number}`, texts.away, ' w-sys--line'));
    }
    const sharesHead = before && before.name === name && new Date(at) - new Date(before.at) < ONE_HEAD_WITHIN;
    if (!mine && !sharesHead) {
      lines.push({ id: `who${number}.${revision}`, kind: 'line', style: 'w-who', text: `${name} · ${timeOf(at)}` });
    }
    lines.push(bubble(mine ? `k${key || revision}` : `r${number}.${revision}`, text, mine));
    before = message;
  });
  if (before && before.mine && !outbox.length) lines.push(foot('delivered', 'done', say('delivered', { time: timeOf(before.at) })));
  return lines;
}

function outboxLines({ outbox }, texts) {
  const lines = [];
  outbox.forEach((entry) => {
    const { key, text, refused, wait, waits } = entry;
    lines.push(bubble(`k${key}`, text, true));
    if (refused) lines.push(foot(`bad.${key}`, 'warn', refused, true), { id: `again.${key}`, kind: 'retry', entry });
    else if (wait) lines.push(foot(`slow.${key}`, 'warn', say('too_fast', { seconds: wait }), true));
    else lines.push(foot(`wait.${key}`, 'clock', waits ? texts.waiting : texts.sending));
  });
  return lines;
}

function lastLines({ conversation, messages, outbox }, texts) {
  if (!conversation) return [];
  const { number, open, operator, reopens } = conversation;
  const lines = [];
  if (open && conversation.started_offline && !operator && messages.every((message) => message.mine)) {
    lines.push(system(`more${number}`, texts.more));
  }
  if (!open && !outbox.length) {
    lines.push(system(`end${number}`, texts[(conversation.closed_by_visitor ? 'ended' : 'closed') + (reopens ? '_reopens' : '')]));
  }
  return lines;
}
