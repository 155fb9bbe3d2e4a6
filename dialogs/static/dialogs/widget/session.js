/* Who this visitor is: the token that names them, and the ticket with which the page speaks to the live app. */

import { acceptConversation } from './conversation.js';
import { call } from './network.js';
import { tell } from '../shared/signals.js';
import { browserLanguages, currentPage, site } from './site.js';
import { state } from './state.js';
import { load, remember, storedToken } from './storage.js';

/** What every request says of the visitor and the page. */
export const visitorFields = () => ({
  account: site.account,
  token: state.token,
  visit: state.visit,
  department: site.department,
  page: currentPage(),
  language: state.session ? state.session.language : site.language,
  languages: browserLanguages(),
});

/**
 * What every request says of what is known already, so that the answer tells the rest only. Before the window is there, what was
 * seen counts as known: the button needs only what was not.
 */
export function knownFields() {
  const { conversation, isWhole } = state;
  const { seen } = load('localStorage');
  const [number, after] = isWhole ? [conversation && conversation.number, conversation && conversation.revision] : seen || [];
  return { number: number || 0, after: after || 0 };
}

/** Asks who this visitor is. A token that the server refuses is forgotten, and a new visitor begins. */
export async function askSession(isBrief) {
  state.token = storedToken() || state.token;
  const brief = isBrief ? Object.assign({ brief: true }, knownFields()) : {};
  let answer;
  try {
    answer = await call('/widget/api/session', Object.assign(visitorFields(), { language: site.language }, brief));
  } catch (refusal) {
    if (refusal.status !== 401 || !state.token) throw refusal;
    forgetVisitor();
    return askSession(isBrief);
  }
  if (answer.token) {
    if (storedToken()) return askSession(isBrief); // another tab of this browser was faster: one visitor, not two
    state.token = answer.token;
    remember((kept) => {
      kept.token = state.token;
    });
  }
  return answer;
}

/** The page has a session. A short answer after a whole one leaves what it does not tell as it was. */
export function acceptSession(answer) {
  const before = state.session;
  const texts = Object.assign({}, before && before.texts, answer.texts);
  state.session = Object.assign({}, before, answer, { texts });
  state.isWhole = Boolean(state.session.form);
  // a live app that is heard tells what changes, and may have told it since this was asked for
  if (!before || !state.isConnected) state.service = answer.service;
  acceptConversation(answer.conversation);
  if (!before) tell('first-session');
  return tell('change');
}

/** Begins, or takes up, the visitor's session. */
export async function greet() {
  return acceptSession(await askSession(!state.isWhole));
}

function forgetVisitor() {
  const refused = state.token;
  Object.assign(state, { token: '', conversation: null, messages: [] });
  remember((kept) => {
    if (kept.token === refused) delete kept.token;
  });
}

/** Gets a new ticket; where the server does not know the visitor any more, a new session. */
export async function renewTicket() {
  try {
    state.session.ticket = (await call('/widget/api/ticket', visitorFields())).ticket;
  } catch (refusal) {
    if (refusal.status !== 401) throw refusal;
    await greet();
  }
}
