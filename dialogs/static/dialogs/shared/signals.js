/* What modules of a script tell each other when the one that knows is below the one that acts. Which signals there are stands in
   the `main.js` of a script, or of the part that sends them. */

const listeners = {};

export function on(name, listener) {
  (listeners[name] = listeners[name] || []).push(listener);
}

/** Calls the listeners in turn; resolves when those that take their time are done. */
export function tell(name, detail) {
  return Promise.all((listeners[name] || []).map((listener) => listener(detail)));
}
