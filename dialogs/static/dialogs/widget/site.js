/* What the page that shows the widget says about itself. */

const LONGEST_DEPARTMENT = 100;
const LONGEST_LANGUAGE = 35;

export const site = {
  account: '', // the account's short name
  css: '', // the styles of the button
  window: '', // what stands for the second part of the widget in its address
  base: '', // the address of the server, without a path
  department: '', // a department's short name; empty for none
  language: '', // the page's own choice; empty for the browser's
  nonce: '', // by which the page's policy allows the script, if it does so
};

/** Takes the server's configuration, and the attributes of the element that loads the script. */
export function readSite(config, script) {
  Object.assign(site, config, {
    base: script.src.slice(0, script.src.lastIndexOf('/widget/')),
    department: (script.dataset.department || '').slice(0, LONGEST_DEPARTMENT),
    language: (script.dataset.language || '').slice(0, LONGEST_LANGUAGE),
    nonce: script.nonce || '',
  });
}

/** The name that marks what belongs to the widget of this account: in storages, among tabs, and on the window. */
export const markOf = (account) => `webim_offline:${account}`;

/** The page that the visitor looks at, as the server stores it. */
export const currentPage = () => ({ url: location.href.slice(0, 1000), title: document.title.slice(0, 200) });

/** The languages of the browser, the preferred one first. */
export const browserLanguages = () =>
  Array.from(navigator.languages || [navigator.language || '']).slice(0, 10).map((tag) => tag.slice(0, LONGEST_LANGUAGE));
