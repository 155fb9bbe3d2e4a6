/* Building and changing elements. No inline style and no HTML from text: a strict policy of the page holds. */

import { site } from './site.js';

const SVG = 'http://www.w3.org/2000/svg';
/** The paths of the icons, by name. The window adds its own. */
export const icons = {
  chat: 'M3 5.5A2.5 2.5 0 0 1 5.5 3h9A2.5 2.5 0 0 1 17 5.5v6a2.5 2.5 0 0 1-2.5 2.5H9l-4 3v-3a2 2 0 0 1-2-2z',
  mail: 'M4.5 4h11a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2h-11a2 2 0 0 1-2-2V6a2 2 0 0 1 2-2zM3 5.5l7 5.5 7-5.5',
};

/** A new element. Attributes that are empty are left out, empty children are skipped. */
export function element(tag, attributes, ...children) {
  const node = document.createElement(tag);
  Object.entries(attributes || {}).forEach(([name, value]) => {
    if (value === true) node.setAttribute(name, '');
    else if (value || value === 0) node.setAttribute(name, value);
  });
  children.filter(Boolean).forEach((child) => node.append(child));
  return node;
}

export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '0 0 20 20');
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS(SVG, 'path');
  path.setAttribute('d', icons[name]);
  svg.append(path);
  return svg;
}

export function setIcon(holder, name) {
  if (holder.dataset.icon === name) return;
  holder.dataset.icon = name;
  holder.replaceChildren(icon(name));
}

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setShown(node, isShown) {
  if (node.hidden === Boolean(isShown)) node.hidden = !isShown;
}

/** Gives the widget's shadow root styles; `file` is the same sheet at the server, for Safari before 16.4. */
export function addStyles(shadow, css, file) {
  try {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(css);
    shadow.adoptedStyleSheets = [...shadow.adoptedStyleSheets, sheet];
  } catch (error) {
    shadow.append(element('link', { rel: 'stylesheet', href: `${site.base}/widget/${file}` }));
  }
}
