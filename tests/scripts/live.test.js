/* The client of the live app, against a network that the test plays. */

import assert from 'node:assert/strict';
import test, { afterEach, beforeEach, mock } from 'node:test';

import { LiveClient } from '../../dialogs/static/dialogs/live/client.js';
import { CLOSED } from '../../dialogs/static/dialogs/live/stream.js';

const turns = async (count = 50) => {
  for (let i = 0; i < count; i += 1) await Promise.resolve();
};
/* Lets time pass, second by second, with what follows from it. */
async function pass(seconds) {
  for (let i = 0; i < seconds; i += 1) {
    mock.timers.tick(1000);
    await turns();
  }
}

let sockets = [];
class Socket {
  static OPEN = 1;

  constructor(url) {
    Object.assign(this, { url, readyState: 0, sent: [] });
    sockets.push(this);
  }

  open() {
    this.readyState = 1;
    this.onopen();
  }

  send(text) {
    this.sent.push(text);
  }

  hear(data) {
    this.onmessage({ data });
  }

  cut(code) {
    this.readyState = 3;
    if (this.onclose) this.onclose({ code });
  }

  close() {
    this.readyState = 3;
  }
}

let said = null;
let current = null;
function client(options) {
  said = { heard: [], connected: [], polls: 0, probes: 0, renewals: 0 };
  current = new LiveClient(Object.assign({
    streamUrl: 'ws://chat.example/live',
    hello: () => ({ ticket: 'one' }),
    onMessage: (text) => said.heard.push(text),
    poll: () => {
      said.polls += 1;
      return new Promise(() => {});
    },
    probe: async () => {
      said.probes += 1;
    },
    renewTicket: async () => {
      said.renewals += 1;
    },
    onConnection: (is) => said.connected.push(is),
    pauseAfterCut: () => 1000,
  }, options));
  return current;
}
const last = () => sockets[sockets.length - 1];

beforeEach(() => {
  mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'] });
  sockets = [];
  globalThis.WebSocket = Socket;
  globalThis.window = { WebSocket: Socket };
});
afterEach(async () => {
  current.stop();
  await turns();
  mock.timers.reset();
});

test('it says its ticket, answers pings, and hears', async () => {
  client().start();
  last().open();
  last().hear('ping');
  last().hear('{"panel":true}');
  assert.deepEqual(last().sent, ['{"ticket":"one"}', 'pong']);
  assert.deepEqual(said.heard, ['{"panel":true}']);
  assert.ok(said.connected.every(Boolean));
});

test('a stream that is cut is opened again after a pause', async () => {
  client().start();
  last().open();
  last().hear('ping');
  last().cut(1001);
  await turns();
  assert.equal(sockets.length, 1);
  await pass(2);
  assert.equal(sockets.length, 2);
  assert.equal(said.probes, 0);
});

test('a void ticket is renewed', async () => {
  client().start();
  last().open();
  last().cut(CLOSED.ticket);
  await pass(2);
  assert.equal(said.renewals, 1);
  assert.equal(sockets.length, 2);
});

test('where no stream gets through it polls, and tries a stream later', async () => {
  client().start();
  last().cut(1006);
  await pass(2);
  last().cut(1006);
  await turns();
  assert.equal(said.polls, 1);
  assert.equal(said.probes, 2);
  await pass(400);
  assert.equal(sockets.length, 3);
});

test('a lost network is no reason to give streams up', async () => {
  client({ probe: () => Promise.reject(new Error('no network')) }).start();
  for (let i = 0; i < 4; i += 1) {
    last().cut(1006);
    await pass(60);
  }
  assert.equal(said.polls, 0);
  assert.ok(sockets.length > 4);
  assert.equal(said.connected[said.connected.length - 1], false);
});

test('a silent stream is dropped at once, and another is opened', async () => {
  client().start();
  last().open();
  last().hear('ping');
  await pass(31);
  assert.equal(sockets[0].readyState, 3);
  assert.equal(sockets.length, 2);
  assert.ok(said.connected.includes(false));
});

test('a page whose place was taken comes back much later', async () => {
  client().start();
  last().open();
  last().hear('ping');
  last().cut(CLOSED.replaced);
  await pass(25);
  assert.equal(sockets.length, 1);
  await pass(70);
  assert.ok(sockets.length > 1);
});

test('a policy that forbids streams is final', async () => {
  const one = client();
  one.start();
  one.forbidStreams();
  await turns();
  assert.equal(said.polls, 1);
  await pass(1000);
  assert.equal(sockets.length, 1);
});

test('a poll is made anew when another dialog is opened, without a pause', async () => {
  globalThis.window = {};
  const one = client({
    poll: (signal) => {
      said.polls += 1;
      return new Promise((resolve, reject) => signal.addEventListener('abort', () => reject(new Error('aborted'))));
    },
  });
  one.start();
  await turns();
  one.pollAnew();
  await turns();
  assert.equal(said.polls, 2);
  assert.ok(!said.connected.includes(false));
});

test('polls that fail are probed, and wait as long as the server asks', async () => {
  globalThis.window = {};
  const one = client({
    poll: () => {
      said.polls += 1;
      return Promise.reject(Object.assign(new Error('busy'), { wait: 30 }));
    },
  });
  one.start();
  await turns();
  await pass(29);
  assert.equal(said.polls, 1);
  await pass(2);
  assert.equal(said.polls, 2);
  assert.equal(said.probes, 1);
});

test('nothing goes on after a stop', async () => {
  const one = client();
  one.start();
  last().open();
  one.stop();
  await pass(100);
  assert.equal(sockets.length, 1);
  assert.equal(one.send({}), false);
});
