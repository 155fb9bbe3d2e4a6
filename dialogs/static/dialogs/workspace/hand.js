/* Where the hand is. Nothing moves under it: a list that changes while the pointer moves over it waits for a moment. */

import { list } from './places.js';

const STILL_AFTER = 1500; // milliseconds without a movement of the pointer

let movedAt = 0;
let cardUnderPointer = null;

export const handIsOnList = () => Date.now() - movedAt < STILL_AFTER;

/** The card that the hand or the focus is on. */
export function touchedCard() {
  const focused = document.activeElement;
  return (handIsOnList() && cardUnderPointer) || (list.contains(focused) ? focused.closest('.card') : null);
}

/** The hand asks for what waits: the list may change at once. */
export function ignoreHand() {
  movedAt = 0;
}

/** Follows the pointer; `onLeave` is called when it leaves the list. */
export function watchHand(onLeave) {
  list.addEventListener('pointermove', (event) => {
    if (event.pointerType === 'touch') return;
    movedAt = Date.now();
    cardUnderPointer = event.target.closest('.card') || cardUnderPointer;
  });
  list.addEventListener('pointerleave', () => {
    movedAt = 0;
    cardUnderPointer = null;
    onLeave();
  });
}
