/* Follows the live app: by a stream where the way to it lets one through, otherwise by long polls. */

import { keepPolling, pollAnew } from './polls.js';
import { StreamClient } from './streaming.js';

/**
 * A client that knows how to poll; the widget's learns it when it must. One option more than those of StreamClient:
 *
 * - `poll(signal)`: makes one long poll, and resolves when its answer is dealt with. Its errors may have `wait`, too.
 */
export class LiveClient extends StreamClient {
  constructor(options) {
    super(Object.assign({ startPolls: (run) => keepPolling(this, run) }, options));
  }

  /** Ends the poll on its way and begins another, which asks with what is known now. */
  pollAnew() {
    pollAnew(this);
  }
}
