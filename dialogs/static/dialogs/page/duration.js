/* How long something lasts, in words. */

const MINUTE = 60; // seconds
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** "4:09" under an hour, then "13 h 20 min", from a day on what `formatDays` makes of whole days. `units`: { hour, minute }. */
export function durationText(seconds, units, formatDays) {
  const whole = Math.max(0, Math.floor(seconds));
  const hours = Math.floor(whole / HOUR);
  const minutes = Math.floor((whole % HOUR) / MINUTE);
  if (!hours) return `${minutes}:${String(whole % MINUTE).padStart(2, '0')}`;
  if (whole >= DAY) return formatDays(Math.floor(whole / DAY));
  return `${hours}\u00a0${units.hour}${minutes ? ` ${minutes}\u00a0${units.minute}` : ''}`;
}
