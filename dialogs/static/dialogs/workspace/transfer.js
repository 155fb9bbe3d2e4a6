/* Handing a dialog on: a list of operators, departments and the queue, in a box of its own (Q10). */

import { find, findAll, makeButton, parse } from '../page/dom.js';
import { readSoon } from '../page/readers.js';
import { askForHtml } from '../page/server.js';
import { toast } from '../page/toast.js';
import { words } from '../page/words.js';
import { postAction } from './actions.js';
import { showDialog } from './dialog.js';
import { dialog, openNumber } from './places.js';

const ASK_AFTER = 250; // milliseconds after the last key

const box = find('#transfer');
const targets = find('#targets');

let number = ''; // of the dialog that is handed on
let requests = 0; // so far: an answer that comes late is of an older one
let typing = 0;

const searchBox = () => find('#targets-q', targets);

/* What can be chosen, as far as it is shown. */
const choices = () => findAll('.target, .targets-queue .button', targets).filter((button) => button.offsetParent);

function openBox(form) {
  number = form.dataset.choose;
  targets.textContent = '';
  find('#transfer-title').textContent = words.transfer.replace('%s', number);
  if (!box.open) box.showModal();
  loadTargets(form.action, true);
}

/* Loads the list; with `isWhole` all that stands in the box, else the list without the search above it. */
async function loadTargets(url, isWhole) {
  requests += 1;
  const ours = requests;
  try {
    const { body } = parse(await askForHtml(url));
    if (ours !== requests || !box.open) return;
    if (isWhole) {
      targets.replaceChildren(...body.childNodes);
      const first = searchBox() || choices()[0];
      if (first) first.focus();
    } else {
      find('.targets', targets).replaceWith(find('.targets', body));
    }
  } catch (refusal) {
    if (ours === requests) showLoadingFailure(url);
  }
}

function showLoadingFailure(url) {
  const note = Object.assign(document.createElement('p'), { className: 'targets-none', textContent: `${words.loadFailed} ` });
  note.setAttribute('role', 'alert');
  note.append(makeButton(words.tryAgain, 'button button--line', () => loadTargets(url, true)));
  targets.replaceChildren(note);
}

/* What is typed narrows the list at once; where more people were left out, the server is asked for them. */
function narrow({ target: input }) {
  const text = input.value.trim().toLowerCase();
  const { more, asked } = find('.targets', targets).dataset;
  findAll('.targets li', targets).forEach((item) => {
    item.hidden = !find('.target-name', item).textContent.toLowerCase().includes(text);
  });
  findAll('.targets :is(h2, h3)', targets).forEach((heading) => {
    heading.hidden = !find('li:not([hidden])', heading.nextElementSibling);
  });
  find('.targets .targets-none', targets).hidden = Boolean(find('.targets li:not([hidden])', targets));
  clearTimeout(typing);
  if (more || asked) {
    typing = setTimeout(() => loadTargets(`${input.form.action}?q=${encodeURIComponent(input.value)}`), ASK_AFTER);
  }
}

function moveFocus(event) {
  if (event.code !== 'ArrowDown' && event.code !== 'ArrowUp') return;
  event.preventDefault();
  const all = choices();
  const at = all.indexOf(document.activeElement);
  if (event.code === 'ArrowUp' && at === 0 && searchBox()) {
    searchBox().focus();
    return;
  }
  const next = all[Math.max(0, Math.min(all.length - 1, at + (event.code === 'ArrowDown' ? 1 : -1)))];
  if (next) next.focus();
}

async function transfer(form, button) {
  const ours = number;
  if (!button.value || button.getAttribute('aria-busy')) return;
  const data = new FormData(form);
  data.set('to', button.value);
  button.setAttribute('aria-busy', 'true');
  try {
    const html = await postAction(form.action, data, words.transferAnyway);
    box.close();
    toast(words.given.replace('%s', ours));
    readSoon();
    if (ours === openNumber()) showDialog(html, true);
  } catch (refusal) {
    button.removeAttribute('aria-busy');
    if (refusal.isDeclined) {
      button.focus();
      return;
    }
    box.close();
    toast(refusal.message);
    readSoon();
  }
}

/* By the selector of the form that is sent. */
const SENT = {
  '[data-choose]': openBox,
  '[data-transfer]': (form, event) => transfer(form, event.submitter || document.activeElement),
  '#targets .targets-search'() {
    const [first] = choices();
    if (first) first.focus();
  },
};

export function startTransfer() {
  document.addEventListener('submit', (event) => {
    const selector = Object.keys(SENT).find((one) => event.target.matches(one));
    if (!selector) return;
    event.preventDefault();
    SENT[selector](event.target, event);
  });
  targets.addEventListener('input', narrow);
  box.addEventListener('keydown', moveFocus);
  box.addEventListener('close', () => {
    requests += 1;
    (find('#transfer-open') || dialog()).focus();
  });
}
