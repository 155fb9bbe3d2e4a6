/* The places of the workspace. The open dialog's element is replaced when another dialog is opened; the others stay. */

import { find } from '../page/dom.js';

export const workspace = find('.workspace');
export const list = find('#list');

export const dialog = () => find('#dialog');

/** The number of the dialog that is open, as text; empty when none is. */
export const openNumber = () => dialog().dataset.number || '';

/** The box for the reply, if this dialog is one's own. */
export const replyBox = () => find('#reply');

/** The list of messages and what scrolls in it, if a dialog is open. */
export const messageLog = () => find('.log', dialog());
export const messageLogInner = () => find('.log-inner', dialog());

export const csrfToken = () => find('input[name=csrfmiddlewaretoken]').value;
