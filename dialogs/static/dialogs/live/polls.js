/* Long polls, for where the way to the live app lets no stream through. */

import { backOff, pause, requestedPause } from './pauses.js';

const CUT_POLL = 5e3; // milliseconds, all of these; a poll that failed later was cut on the way, and is no further failure in a row
const LONGEST_PAUSE = 45e3;
const LONGEST_PAUSE_ALIVE = 8e3; // between polls that are cut although short requests are answered

/** Makes one long poll, by the client's option `poll(signal)`, which resolves when the answer is dealt with. */
export function pollOnce(client) {
  const held = new AbortController();
  Object.assign(client, { held, isInterrupted: false });
  return client.options.poll(held.signal);
}

/** Ends the poll on its way and begins another, which asks with what is known now. */
export function pollAnew(client) {
  Object.assign(client, { isInterrupted: true });
  if (client.held) client.held.abort();
}

/** One poll after the other, until the client is stopped. */
export async function keepPolling(client, run) {
  const { probe, onConnection } = client.options;
  let failures = 0;
  while (run === client.run) {
    const beganAt = Date.now();
    let isAnswered = false;
    try {
      if (failures) {
        await probe(failures);
        isAnswered = true;
        onConnection(true);
      }
      await pollOnce(client);
      failures = 0;
      onConnection(true);
    } catch (error) {
      if (run !== client.run) return;
      if (client.isInterrupted) {
        client.isInterrupted = false;
        continue;
      }
      if (failures && !isAnswered) onConnection(false);
      failures = Date.now() - beganAt > CUT_POLL ? 1 : failures + 1;
      await pause(requestedPause(error) || Math.min(backOff(failures), isAnswered ? LONGEST_PAUSE_ALIVE : LONGEST_PAUSE));
    }
  }
}
