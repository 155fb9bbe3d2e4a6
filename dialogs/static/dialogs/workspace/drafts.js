/* What is typed and not sent, by dialog. */

import { openNumber, replyBox } from './places.js';

const TALLEST = 0.4; // of the window's height

const drafts = {};

export function keepDraft() {
  if (replyBox() && openNumber()) drafts[openNumber()] = replyBox().value;
}

export function forgetDraft() {
  drafts[openNumber()] = '';
}

export function restoreDraft() {
  if (!replyBox()) return;
  replyBox().value = drafts[openNumber()] || replyBox().value;
  growReplyBox();
}

/** The box is as high as its text, up to a part of the window. */
export function growReplyBox() {
  const { style } = replyBox();
  style.height = 'auto';
  style.height = `${Math.min(replyBox().scrollHeight, innerHeight * TALLEST)}px`;
}
