/* The log of messages. Elements are kept by their lines' ids, so that a screen reader hears only what is new. */

import { logLines } from './log_lines.js';
import { sendOutbox } from './sending.js';
import { tell } from '../shared/signals.js';
import { element, icon, setText } from '../widget/elements.js';
import { guarded } from '../widget/guard.js';
import { parts } from '../widget/launcher.js';
import { state } from '../widget/state.js';

const AT_END = 40; // pixels
const FEW_MESSAGES = 3;

const nodes = new Map();
const spans = new WeakMap(); // the parts of an element whose texts change

function withSpans(node, ...changing) {
  spans.set(node, changing);
  return node;
}

const makers = {
  line: ({ style }) => element('p', { class: style }),
  done() {
    const title = element('span');
    const text = element('span');
    return withSpans(element('div', { class: 'w-done' }, element('b', {}, icon('done'), title), text), title, text);
  },
  bubble: ({ text, isMine }) => element('p', { class: isMine ? 'w-msg w-msg--me' : 'w-msg' }, text),
  foot(line) {
    const text = element('span');
    return withSpans(element('p', { class: line.isBad ? 'w-foot w-foot--bad' : 'w-foot' }, icon(line.icon), text), text);
  },
  retry({ entry }) {
    const again = () => {
      entry.refused = '';
      tell('change');
      sendOutbox();
    };
    const button = element('button', { type: 'button' }, state.session.texts.again);
    button.addEventListener('click', guarded(again));
    return element('p', { class: 'w-foot w-foot--bad' }, button);
  },
};

const updaters = {
  line: (node, { text }) => setText(node, text),
  done(node, { title, text }) {
    const [titleSpan, textSpan] = spans.get(node);
    setText(titleSpan, title);
    setText(textSpan, text);
  },
  foot: (node, { text }) => setText(spans.get(node)[0], text),
};

/** Brings the log up to date; whoever was at its end stays there. */
export function drawLog() {
  const { log } = parts;
  const { conversation, messages, outbox, session } = state;
  const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < AT_END;
  const lines = logLines(state, session.texts);
  const used = new Set(lines.map(({ id }) => id));
  nodes.forEach((node, id) => {
    if (used.has(id)) return;
    node.remove();
    nodes.delete(id);
  });
  lines.forEach((line, index) => {
    let node = nodes.get(line.id);
    if (!node) {
      node = makers[line.kind](line);
      nodes.set(line.id, node);
    }
    if (updaters[line.kind]) updaters[line.kind](node, line);
    if (log.children[index] !== node) log.insertBefore(node, log.children[index] || null);
  });
  log.classList.toggle('w-log--top', Boolean(conversation && conversation.started_offline && messages.length < FEW_MESSAGES));
  if (isAtEnd || outbox.length) log.scrollTop = log.scrollHeight;
}
