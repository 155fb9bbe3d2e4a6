/* The column of the visitor, block by block: a block that did not change keeps its focus and what is unfolded in it. */

import { adopt, find, findAll } from '../page/dom.js';
import { isNews, noteTold } from '../page/told.js';

const blockOf = (block, root) => find(`[id="${block.id}"]`, root);

/** Remembers what the blocks say, after the whole column was replaced. */
export function rememberBlocks() {
  findAll('#visitor .block').forEach((block) => noteTold(block, block.innerHTML));
}

/** A live update of the column. */
export function updateVisitor(fresh) {
  const panel = find('#visitor .panel');
  let last = null;
  findAll('.block', panel).forEach((block) => {
    if (!blockOf(block, fresh)) block.remove();
  });
  findAll('.block', fresh).forEach((block) => {
    let own = blockOf(block, panel);
    if (own) {
      updateBlock(own, block.innerHTML);
    } else {
      own = adopt(block);
      noteTold(own, block.innerHTML);
      panel.insertBefore(own, last ? last.nextSibling : panel.firstChild);
    }
    last = own;
  });
}

function updateBlock(block, html) {
  const focused = document.activeElement;
  const hasFocus = block.contains(focused);
  // the focus can be given back to what has an id; a block whose focus could not be, changes later
  if (!isNews(block, html) || (hasFocus && !focused.id)) return;
  const unfolded = findAll('details[open]', block).map(({ id }) => id);
  block.innerHTML = html;
  noteTold(block, html);
  unfolded.forEach((id) => {
    const details = document.getElementById(id);
    if (details) details.open = true;
  });
  const again = hasFocus && document.getElementById(focused.id);
  if (again) again.focus({ preventScroll: true });
}
