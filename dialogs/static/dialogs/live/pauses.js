/* Waiting between two attempts. Browsers let timers sleep in hidden tabs, therefore everything that waits here can be woken at
   once: by a network that comes back, or by a tab that somebody looks at again. */

const LONGEST_BACK_OFF = 30e3; // milliseconds, before the random part

const wakers = new Set();

/** Resolves after that many milliseconds, or as soon as `wakeAll` is called. */
export function pause(milliseconds) {
  return new Promise((resolve) => {
    const wake = () => {
      clearTimeout(timer);
      wakers.delete(wake);
      resolve();
    };
    const timer = setTimeout(wake, milliseconds);
    wakers.add(wake);
  });
}

export function wakeAll() {
  Array.from(wakers).forEach((wake) => wake());
}

/** Milliseconds to wait after so many failures in a row: twice as long each time, and spread: pages must not come back together. */
export function backOff(failures) {
  return Math.min(LONGEST_BACK_OFF, 500 * 2 ** Math.min(failures, 6)) * (0.5 + Math.random());
}

/** Milliseconds that the server has asked for with an error; 0 for none. */
export const requestedPause = (error) => (error.wait || 0) * 1000;
