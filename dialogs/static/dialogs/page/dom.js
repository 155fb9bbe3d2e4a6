/* Finding and changing parts of an operators' page. The server renders every fragment; scripts put in place what has changed. */

export const find = (selector, root = document) => root.querySelector(selector);

export const findAll = (selector, root = document) => Array.from(root.querySelectorAll(selector));

/** Changes a text only when it is another one: screen readers and selections keep what did not change. */
export function setText(node, text) {
  if (node && node.textContent !== text) node.textContent = text;
}

/** A document of what the server rendered. */
export const parse = (html) => new DOMParser().parseFromString(html, 'text/html');

/** A copy of a node of another document, for this one. */
export const adopt = (node) => document.importNode(node, true);

export function makeButton(text, className, onclick) {
  return Object.assign(document.createElement('button'), { type: 'button', textContent: text, className, onclick });
}
