/* Whether the window is a chat. */

import { state } from '../widget/state.js';

/** Whether the next message goes on in this conversation: also in a closed one, for a while (Q9). */
export const goesOn = () => Boolean(state.conversation && (state.conversation.open || state.conversation.reopens));

/** Whether the window shows the chat with its one line, not the first form. */
export function isChat() {
  const { outbox, conversation, service, mode } = state;
  if (outbox.length) return true;
  return Boolean(conversation && (goesOn() || service === 'online' || !conversation.missing.length || mode === 'plain'));
}
