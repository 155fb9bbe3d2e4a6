/* Follows the live app by a stream, and says when the way to it lets none through: then long polls take over (polls.js). The widget
   and the pages of operators use the same client; what they say and hear is theirs. */

import { backOff, pause, requestedPause, wakeAll } from './pauses.js';
import { CLOSED, openStream } from './stream.js';

const WATCH_EVERY = 5e3; // milliseconds, all of these
const REPLACED_AGAIN = 60e3;
const STREAMS_AGAIN = 180e3;

const DEFAULTS = {
  onSign() {},
  onStop() {},
  guarded: (handler) => handler,
};

/**
 * A client of the live app. Its options are:
 *
 * - `streamUrl`: the address of the stream;
 * - `hello()`: the object that is said first on a stream;
 * - `onMessage(text)`: called for each frame of a stream that is no ping;
 * - `probe(failures)`: makes one short request. It tells a lost network from a way that lets no stream or no long poll through;
 * - `renewTicket()`: gets a fresh ticket when the stream's was void;
 * - `onConnection(isConnected)`: called whenever that is known, so mostly with what it was before;
 * - `pauseAfterCut(code)`: milliseconds to wait when a stream that was heard is cut;
 * - `startPolls(run)`: called when no stream gets through; the polls end when the client's `run` is another one.
 *
 * And, not needed: `onSign()`, called for each frame of a stream; `onStop()`; `guarded(handler)`, which wraps handlers of events.
 * Errors that `probe` and `renewTicket` reject with may have `wait`, the seconds that the server asked for.
 */
export class StreamClient {
  constructor(options) {
    this.options = Object.assign({}, DEFAULTS, options);
    this.run = 0; // grows with every start and stop: whatever belongs to an older run ends by itself
    this.failedStreams = 0; // in a row, that came to nothing while the network was there
    this.stream = null;
    this.held = null; // the AbortController of the poll on its way
    this.watching = 0;
  }

  start() {
    this.run += 1;
    this.watching = this.watching || setInterval(this.options.guarded(() => this.watch()), WATCH_EVERY);
    this.follow();
  }

  /** Ends the stream or the poll; whoever waits is woken, and finds that it belongs to an older run. */
  stop() {
    this.run += 1;
    if (this.held) this.held.abort();
    if (this.stream) this.stream.drop();
    this.options.onStop();
    wakeAll();
  }

  /** Says something on the stream that is open; false when there is none. */
  send(object) {
    return this.stream !== null && this.stream.send(object);
  }

  /** Ends a stream that is silent for too long; called regularly, and when somebody looks at the page. */
  watch() {
    if (!this.stream || !this.stream.isSilent()) return;
    if (this.stream.isOpen()) this.options.onConnection(false);
    this.stream.drop();
  }

  /** The page's policy forbids streams, as Chromium says in an event only: it never closes what it did not open. */
  forbidStreams() {
    this.failedStreams = Infinity;
    if (this.stream) this.stream.drop();
  }

  follow() {
    const run = this.run;
    if (window.WebSocket && this.failedStreams < 2) {
      this.keepStreaming(run);
      return;
    }
    this.options.startPolls(run);
    // a proxy or a server may learn streams meanwhile; a policy of the page never does
    if (!window.WebSocket || this.failedStreams === Infinity) return;
    const tryStreams = () => {
      if (run !== this.run) return;
      this.stop();
      this.failedStreams = 1;
      this.start();
    };
    setTimeout(this.options.guarded(tryStreams), STREAMS_AGAIN * (1 + Math.random()));
  }

  /* One stream after the other, until the client is stopped or streams do not get through. */
  async keepStreaming(run) {
    let failures = 0;
    while (run === this.run) {
      this.stream = this.openStream();
      const { wasHeard, code } = await this.stream.ended;
      if (run !== this.run) return;
      this.stream = null;
      failures = wasHeard ? 0 : failures + 1;
      if (wasHeard) this.failedStreams = 0;
      const wait = await this.recover(wasHeard, code, failures);
      if (run !== this.run) return;
      if (this.failedStreams > 1) {
        this.follow();
        return;
      }
      await pause(wait);
    }
  }

  openStream() {
    const { streamUrl, hello, onMessage, onSign, onConnection, guarded } = this.options;
    return openStream(streamUrl, {
      hello,
      onMessage,
      guarded,
      onOpen: () => onConnection(true),
      onSign() {
        onConnection(true);
        onSign();
      },
    });
  }

  /* After the end of a stream: finds out why, and resolves to the milliseconds to wait before the next one. */
  async recover(wasHeard, code, failures) {
    const { renewTicket, probe, onConnection } = this.options;
    try {
      if (code === CLOSED.ticket) {
        await renewTicket();
      } else if (!wasHeard && code !== CLOSED.replaced) {
        await probe(failures);
        this.failedStreams += code === CLOSED.tryLater || code === CLOSED.refused ? 2 : 1;
      }
      if (!wasHeard) onConnection(true);
    } catch (error) {
      if (failures > 1) onConnection(false);
      return requestedPause(error) || backOff(failures);
    }
    return this.pauseAfter(wasHeard, code, failures);
  }

  pauseAfter(wasHeard, code, failures) {
    // somebody holds a stream for this very page: two that took each other's place would never end
    if (code === CLOSED.replaced) return REPLACED_AGAIN * (0.5 + Math.random());
    if (wasHeard) return code === CLOSED.dropped ? 0 : this.options.pauseAfterCut(code);
    return failures > 1 ? backOff(failures) : 0;
  }
}
