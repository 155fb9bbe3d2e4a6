/* Cards that get another place glide there from their old one. */

const EASING = 'cubic-bezier(.2,.7,.2,1)';

const top = (card) => card.getBoundingClientRect().top;

/** Where the cards are now, as pairs. */
export const positions = (cards) => cards.map((card) => [card, top(card)]);

/** Lets cards glide from where they were; with reduced motion they are there at once (--t-move is 0 then). */
export function glide(before) {
  const duration = parseFloat(getComputedStyle(document.documentElement).getPropertyValue('--t-move')) || 0;
  if (!duration) return;
  before.forEach(([card, was]) => {
    if (!card.isConnected || !card.animate) return;
    const distance = was - top(card);
    if (distance) card.animate([{ transform: `translateY(${distance}px)` }, { transform: 'none' }], { duration, easing: EASING });
  });
}
