/* One stream of the live app, from its opening to its end. */

/** Why a stream was closed: the codes of dialogs/live/streams.py. */
export const CLOSED = { dropped: 0, refused: 1008, tryLater: 1013, ticket: 4401, replaced: 4409 };

const OPEN_WITHIN = 10e3; // milliseconds
const SILENT_AFTER = 25e3; // the server pings every 10 s: a stream that is silent for longer has lost its network

/**
 * Opens a stream. `hello()` gives the object that is said first. `onOpen()` is called when the stream stands, `onSign()` for
 * every frame, and `onMessage(text)` for every frame that is no ping; `guarded` wraps them so that nothing is thrown.
 *
 * Returns the stream: `ended` resolves to `{ wasHeard, code }`, `send(object)` says whether it could be sent, `drop()` ends it
 * at once, `isOpen()`, and `isSilent()`: a network that is gone says no goodbye, but its pings stop coming.
 */
export function openStream(url, { hello, onOpen, onSign, onMessage, guarded }) {
  let heardAt = Date.now() - SILENT_AFTER + OPEN_WITHIN;
  let wasHeard = false;
  let socket = null;
  let end = null;
  const ended = new Promise((resolve) => {
    end = (code) => resolve({ wasHeard, code });
  });
  const finish = (code) => {
    socket.onopen = null;
    socket.onmessage = null;
    socket.onclose = null;
    end(code);
  };
  const stream = {
    ended,
    isOpen: () => socket !== null && socket.readyState === WebSocket.OPEN,
    isSilent: () => Date.now() - heardAt >= SILENT_AFTER,
    send(object) {
      if (!stream.isOpen()) return false;
      socket.send(JSON.stringify(object));
      return true;
    },
    drop() {
      if (!socket) return;
      finish(CLOSED.dropped);
      socket.close();
    },
  };
  try {
    socket = new WebSocket(url);
  } catch (error) {
    // some browsers say so when the page's policy forbids it
    end(CLOSED.refused);
    return stream;
  }
  socket.onopen = guarded(() => {
    heardAt = Date.now();
    stream.send(hello());
    onOpen();
  });
  socket.onmessage = guarded((event) => {
    const isPing = event.data === 'ping';
    // the sign of life first, from this handler: timers sleep in hidden tabs
    if (isPing) socket.send('pong');
    wasHeard = true;
    heardAt = Date.now();
    onSign();
    if (!isPing) onMessage(event.data);
  });
  socket.onclose = (event) => finish(event.code);
  return stream;
}
