/* The parts of the scripts that need no page. Run them with `make test-js`. */

import assert from 'node:assert/strict';
import test from 'node:test';

import { backOff, pause, wakeAll } from '../../dialogs/static/dialogs/live/pauses.js';
import { durationText } from '../../dialogs/static/dialogs/page/duration.js';
import { isNews, noteTold, withoutTokens } from '../../dialogs/static/dialogs/page/told.js';
import { newsBetween } from '../../dialogs/static/dialogs/rings/news.js';
import { contactProblems, characters } from '../../dialogs/static/dialogs/window/checks.js';
import { merge } from '../../dialogs/static/dialogs/window/conversation.js';
import { logLines } from '../../dialogs/static/dialogs/window/log_lines.js';
import { dropContacts } from '../../dialogs/static/dialogs/window/sending.js';
import { state } from '../../dialogs/static/dialogs/widget/state.js';
import { fill } from '../../dialogs/static/dialogs/widget/texts.js';

test('pauses grow with failures, are spread, and end', () => {
  for (let failures = 1; failures < 20; failures += 1) {
    const usual = Math.min(30000, 500 * 2 ** Math.min(failures, 6));
    const wait = backOff(failures);
    assert.ok(wait >= usual / 2 && wait < usual * 1.5, `${failures}: ${wait}`);
  }
});

test('whoever waits can be woken', async () => {
  const beganAt = Date.now();
  const waiting = Promise.all([pause(60000), pause(60000)]);
  wakeAll();
  await waiting;
  assert.ok(Date.now() - beganAt < 1000);
});

test('durations', () => {
  const say = (seconds) => durationText(seconds, { hour: 'h', minute: 'min' }, (days) => `${days} days`).replace(/\u00a0/g, ' ');
  const expected = { 0: '0:00', 9.9: '0:09', 249: '4:09', 3599: '59:59', 3600: '1 h', 48000: '13 h 20 min', 86399: '23 h 59 min', 86400: '1 days' };
  Object.entries(expected).forEach(([seconds, text]) => assert.equal(say(Number(seconds)), text));
  assert.equal(say(-5), '0:00');
});

test('a part says the same, whatever token its forms carry', () => {
  const form = (token) => `<form><input name="csrfmiddlewaretoken" value="${token}"><button>Take</button></form>`;
  const part = {};
  noteTold(part, withoutTokens(form('aB3')));
  assert.equal(isNews(part, withoutTokens(form('zz9'))), false);
  assert.equal(isNews(part, withoutTokens(form('aB3').replace('Take', 'Send'))), true);
});

/* A look at the panel: numbers by section, and when visitors last wrote. */
function look(sections, { saidAt = {}, rings = { waiting: true, mine: true, general: true, offline: true }, last = {} } = {}) {
  const all = { section: {}, saidAt, rings, card: {}, last: {} };
  Object.entries(sections).forEach(([key, numbers]) => {
    all.last[key] = key in last ? last[key] : Infinity;
    numbers.forEach((number) => {
      all.section[number] = key;
    });
  });
  return all;
}
const told = (before, after) => newsBetween(before, after).map(({ kind, number }) => `${kind} ${number}`);

test('a new dialog in a queue is news, one that moves between queues is not', () => {
  const before = look({ general: [1, 2], offline: [] });
  assert.deepEqual(told(before, look({ general: [1, 3], offline: [2] })), ['queues 3']);
});

test('what comes up at the end of a cut section is no news', () => {
  const before = look({ general: [1, 2] }, { last: { general: 2 } });
  assert.deepEqual(told(before, look({ general: [2, 3] })), []);
});

test('an assigned dialog is news once, and a message in an own one', () => {
  const before = look({ general: [4], mine: [5] }, { saidAt: { 5: 100 } });
  const after = look({ waiting: [4, 5] }, { saidAt: { 4: 90, 5: 200 } });
  assert.deepEqual(told(before, after), ['assigned 4', 'messages 5']);
  assert.deepEqual(told(after, after), []);
});

test('sections that do not ring have no news', () => {
  const rings = { waiting: true, mine: true, general: false };
  assert.deepEqual(told(look({ general: [] }), look({ general: [1] }, { rings })), []);
});

const TEXTS = { fill_in: 'Fill in', bad_email: 'Bad', fill_either: 'One of both', here: 'here', sending: 'sending', waiting: 'waiting' };

test('contacts: required ones, an address, one of two', () => {
  const check = (given, options) => contactProblems(Object.assign({ names: ['name', 'email', 'phone'], given, required: [], texts: TEXTS }, options));
  assert.deepEqual(check({}), {});
  assert.deepEqual(check({}, { required: ['name'] }), { name: 'Fill in' });
  assert.deepEqual(check({ email: 'a@b' }), { email: 'Bad' });
  assert.deepEqual(check({}, { needsEither: true }), { email: 'One of both' });
  assert.deepEqual(check({ phone: '1' }, { needsEither: true }), {});
  assert.deepEqual(check({ email: 'a@b' }, { names: ['name'] }), {});
});

test('an address in any alphabet is left to the server', () => {
  const check = (email) => contactProblems({ names: ['email'], given: { email }, required: [], texts: TEXTS });
  ['анна@пример.рф', 'a@例え.中', 'a@mail.example', '用户@例子.广告'].forEach((email) => assert.deepEqual(check(email), {}));
  ['a@b.c', 'a@b', 'a b@mail.example', '@mail.example'].forEach((email) => assert.ok(check(email).email));
});

test('characters are counted as people see them', () => {
  assert.equal(characters('  😀я '), 2);
  assert.equal(characters('e\u0301и\u0306'), 2);
});

test('texts are filled, and unknown places stay', () => {
  assert.equal(fill('%(name)s: %(what)s', { name: 'Anna' }), 'Anna: %(what)s');
  assert.equal(fill('%(name)s'), '%(name)s');
});

test('contacts that the server refuses are dropped', () => {
  const contacts = { email: 'x', phone: '1' };
  assert.equal(dropContacts(contacts, { email: 'Bad', text: 'Long' }), true);
  assert.deepEqual(contacts, { phone: '1' });
  assert.equal(dropContacts(contacts, undefined), false);
});

const message = (revision, more) => Object.assign({ revision, text: `text ${revision}`, at: '2026-03-01T10:00:00Z', mine: true }, more);
const answer = (number, revision, messages, more) => Object.assign({ number, revision, messages, cut: false }, more);
const NOTHING = { conversation: null, messages: [] };
const revisions = ({ messages }) => messages.map(({ revision }) => revision);

test('answers add what is new, in order, and once', () => {
  const first = merge(NOTHING, answer(7, 2, [message(1), message(2)], { cut: true }));
  const second = merge(first, answer(7, 4, [message(2), message(4)]));
  assert.deepEqual(revisions(second), [1, 2, 4]);
  assert.equal(second.conversation.cut, true, 'what was cut once stays cut');
  assert.equal(second.isSame, true);
});

test('an answer that was overtaken changes nothing but missing messages', () => {
  const now = merge(NOTHING, answer(7, 5, [message(5)], { open: false }));
  const late = merge(now, answer(7, 3, [message(3)], { open: true }));
  assert.equal(late.isStale, true);
  assert.equal(late.conversation.open, false);
  assert.deepEqual(revisions(late), [5]);
});

test('another conversation, or the same one anew, begins from nothing', () => {
  const known = merge(NOTHING, answer(7, 5, [message(5)]));
  assert.deepEqual(revisions(merge(known, answer(8, 1, [message(1)]))), [1]);
  const anew = merge(known, answer(7, 2, [message(2)], { anew: true }));
  assert.deepEqual(revisions(anew), [2]);
  assert.equal(anew.isStale, false);
});

test('the log: heads, what was sent, and what waits', () => {
  state.session = { texts: Object.assign({ received: 'Got %(number)s', delivered: 'Sent' }, TEXTS), spoken: 'en' };
  state.conversation = { number: 7, open: true, started_offline: true, operator: 'Anna', way: '' };
  const known = {
    conversation: state.conversation,
    awayFrom: 2,
    outbox: [{ key: 'k3', text: 'third' }, { key: 'k4', text: 'fourth', refused: 'Too long' }],
    messages: [
      message(1, { key: 'k1' }),
      message(2, { mine: false, name: 'Anna' }),
      message(3, { mine: false, name: 'Anna', at: '2026-03-01T10:01:00Z' }),
      message(4, { mine: false, name: 'Anna', at: '2026-03-01T10:04:00Z' }),
    ],
  };
  const ids = logLines(known, state.session.texts).map(({ id }) => id);
  assert.deepEqual(ids, [
    'done7', 'kk1', 'who7.2', 'r7.2', 'away7', 'r7.3', 'who7.4', 'r7.4', 'kk3', 'wait.k3', 'kk4', 'bad.k4', 'again.k4',
  ]);
});
