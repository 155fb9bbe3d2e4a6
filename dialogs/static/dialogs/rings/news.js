/* What is new between two looks at the panel (Q12). */

export const QUEUES = 'queues'; // a new dialog that one can take
export const ASSIGNED = 'assigned'; // a dialog that was assigned to oneself
export const MESSAGES = 'messages'; // a message in a dialog of one's own

export const isQueue = (key) => key === 'general' || key === 'offline';
const isOwn = (key) => key === 'waiting' || key === 'mine';

/** The news of the later look, as { kind, number, card }; of sections that do not ring, nothing is news. */
export function newsBetween(before, after) {
  return Object.keys(after.section)
    .map((number) => ({ kind: kindOfNews(number, before, after), number, card: after.card[number] }))
    .filter(({ kind, number }) => kind && after.rings[after.section[number]]);
}

function kindOfNews(number, before, after) {
  const key = after.section[number];
  const was = before.section[number];
  if (isQueue(key) && !isQueue(was) && Number(number) <= before.last[key]) return QUEUES;
  if (key === 'waiting' && !isOwn(was)) return ASSIGNED;
  if (isOwn(key) && (isOwn(was) || !was) && after.saidAt[number] > (before.saidAt[number] || 0)) return MESSAGES;
  return '';
}
