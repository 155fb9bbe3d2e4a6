/* The chat on a customer's page (behaviour.md W, P1, P2). No dependencies, no build step; the server calls this function
   with the account's short name and the styles. It never throws into the page, sets no inline style and no HTML from text. */
(function webimOffline(config) {
  'use strict';

  const script = document.currentScript || document.querySelector(`script[src*="/widget/${config.account}.js"]`);
  const mark = `webim_offline:${config.account}`;
  if (!script || window[mark] || !window.fetch || !window.AbortController || !Element.prototype.attachShadow) return;
  window[mark] = true;
  const base = script.src.slice(0, script.src.lastIndexOf('/widget/'));
  const asked = {
    department: (script.dataset.department || '').slice(0, 100),
    language: (script.dataset.language || '').slice(0, 35),
  };

  const SVG = 'http://www.w3.org/2000/svg';
  const ICONS = {
    chat: 'M3 5.5A2.500 2.500 0 0 1 5.500 3h9A2.500 2.500 0 0 1 17 5.500v6a2.500 2.500 0 0 1-2.500 2.500H9l-4 3v-3a2 2 0 0 1-2-2z',
    mail: 'M4.500 4h11a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2h-11a2 2 0 0 1-2-2V6a2 2 0 0 1 2-2zM3 5.500l7 5.500 7-5.500',
    down: 'm5 8 5 5 5-5',
    done: 'm4 10.500 4 4 8-9',
    warn: 'M10 3 2.500 16.500h15zM10 8.500V12M10 14.200v.1',
    lost: 'M3 8.500a10 10 0 0 1 14 0M5.500 11.500a6.500 6.500 0 0 1 9 0M10 15v.1M3 3l14 14',
    clock: 'M10 3a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM10 6v4l2.500 2',
    go: 'M3.500 10h12M10.500 4.500 16 10l-5.500 5.500',
  };
  const POLL_TIMEOUT = 32e3, BEAT_TIMEOUT = 10e3, TIMEOUT = 20e3, SLOW_LOOK = 60e3, LEADER_SILENT = 30e3;
  const DEAD_AFTER = 25e3;    // a stream is pinged every 10 s: one that is silent for longer has lost its network
  const OPEN_WITHIN = 10e3;
  const RESTART_SPREAD = 10e3, RESTART_SPREAD_OPEN = 2e3;  // the pages of a restarted service come back over this time
  const STREAMS_AGAIN = 180e3;
  const REPLACED_AGAIN = 60e3;
  const TICKET = 4401, REPLACED = 4409, TRY_LATER = 1013, REFUSED = 1008;
  const EMAIL = /^[^\s@]+@[^\s@]+\.[^\s@]{2,}$/;

  // ----- what is known -----

  let session = null;       // the answer to the page's first request
  let service = 'offline';
  let talk = null;          // the conversation without its messages
  let messages = [];
  let token = '';
  let visit = newKey();
  let since = null;
  let run = 0;              // grows when the page goes into the page cache: everything older stops
  let outbox = [];          // messages not yet accepted, each with the key that makes it happen once (B1)
  let isOpen = false;
  let isConnected = true;
  let mode = '';            // what the start form asks for: 'form' or 'plain' (W3)
  let banner = '';
  let awayFrom = 0;         // the revision after which everything came while the visitor was away
  let lastLook = 0;

  function newKey() {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  }

  // ----- storage: it may be blocked; then this page alone remembers (W5) -----

  const memory = {};
  function load(area) {
    try {
      return JSON.parse(window[area].getItem(mark) || '{}') || {};
    } catch (error) {
      return memory[area] || {};
    }
  }
  function save(area, change) {
    const kept = load(area);
    change(kept);
    memory[area] = kept;
    try {
      window[area].setItem(mark, JSON.stringify(kept));
    } catch (error) { /* kept in memory */ }
  }
  const remember = (change) => save('localStorage', change);
  const storedToken = () => { const kept = load('localStorage').token; return typeof kept === 'string' ? kept : ''; };

  // ----- the network -----

  class Refusal extends Error {
    constructor(status, answer, wait) {
      super(`webim_offline: ${status}`);
      this.status = status;
      this.answer = answer || {};
      this.wait = wait;
    }
  }

  // Simple requests only (text/plain, no cookies): no preflight, no rights by themselves.
  async function call(path, body, timeout, stop) {
    const control = stop || new AbortController();
    const timer = setTimeout(() => control.abort(), timeout || TIMEOUT);
    let response = null, answer = null;
    try {
      response = await fetch(base + path, {
        method: 'POST', body: JSON.stringify(body), credentials: 'omit', cache: 'no-store', signal: control.signal,
      });
      if (response.status === 204) return null;
      answer = await response.json();
    } catch (error) {
      if (!response || response.ok) throw new Refusal(0);
    } finally {
      clearTimeout(timer);
    }
    if (response.ok && answer) return answer;
    // 408: it did not arrive in time, as when the network is lost
    throw new Refusal(response.status === 408 ? 0 : response.status, answer, Number(response.headers.get('Retry-After')) || 0);
  }

  // Timers sleep in hidden tabs: a network that comes back, or a tab that is looked at, wakes at once.
  const wakers = new Set();
  function pause(milliseconds) {
    return new Promise((resolve) => {
      const wake = () => { clearTimeout(timer); wakers.delete(wake); resolve(); };
      const timer = setTimeout(wake, milliseconds);
      wakers.add(wake);
    });
  }
  const wakeAll = () => Array.from(wakers).forEach((wake) => wake());
  const backOff = (failures) => Math.min(30e3, 500 * 2 ** Math.min(failures, 6)) * (0.5 + Math.random());

  const page = () => ({ url: location.href.slice(0, 1000), title: document.title.slice(0, 200) });
  const place = () => ({
    account: config.account, visit, department: asked.department, page: page(),
    language: session ? session.language : asked.language,
    languages: Array.from(navigator.languages || [navigator.language || '']).slice(0, 10).map((tag) => tag.slice(0, 35)),
  });
  const mine = () => Object.assign(place(), { token });
  const known = () => ({ number: talk ? talk.number : 0, after: talk ? talk.revision : 0 });

  async function greet() {
    token = storedToken() || token;
    let answer;
    try {
      answer = await call('/widget/api/session', Object.assign(place(), { token, language: asked.language }));
    } catch (refusal) {
      if (refusal.status !== 401 || !token) throw refusal;
      const refused = token;
      token = '';
      talk = null;
      messages = [];
      remember((kept) => { if (kept.token === refused) delete kept.token; });
      return greet();
    }
    if (answer.token) {
      const other = storedToken();
      if (other) return greet();  // another tab of this browser was faster: one visitor, not two
      token = answer.token;
      remember((kept) => { kept.token = token; });
    }
    const first = !session;
    session = answer;
    service = answer.service;
    take(answer.conversation);
    if (first) begin();
    render();
    return undefined;
  }

  async function freshTicket() {
    try {
      session.ticket = (await call('/widget/api/ticket', mine())).ticket;
    } catch (refusal) {
      if (refusal.status !== 401) throw refusal;
      await greet();
    }
  }

  // ----- presence and news: a stream in every tab; where none gets through, one tab polls for all (P2, W1) -----

  let socket = null;
  let noStreams = 0;        // attempts in a row that came to nothing while the network was there
  let polling = null;
  let tabs = null;
  let heardAt = 0;

  async function live(path, body, timeout, stop) {
    const send = () => call(`/live/visit/${path}`, Object.assign({ ticket: session.ticket, page: page() }, body), timeout, stop);
    try {
      return await send();
    } catch (refusal) {
      if (refusal.status !== 401) throw refusal;
      await freshTicket();
      return send();
    }
  }

  function hear(news) {
    // a position names every live process that has answered this page, the one that speaks first
    const knewNothing = !String(since).includes(String(news.since).split('.')[0]);
    since = news.since;
    if (news.service !== service) {
      service = news.service;
      serviceChanged();
    }
    if (news.changed && (talk || !knewNothing)) look();
    heal();
  }
  // Hints may get lost: an open conversation is read slowly, too.
  function heal() {
    heardAt = Date.now();
    if (talk && talk.open && heardAt - lastLook > SLOW_LOOK) look();
  }

  // Resolves when the stream has ended: was it ever heard, and how did it close?
  function stream() {
    return new Promise((resolve) => {
      let heard = false;
      let mine;
      try {
        mine = new WebSocket(`${base.replace(/^http/, 'ws')}/live/visit/stream`);
      } catch (error) {  // some browsers say so when the page's policy forbids it
        resolve({ heard, code: REFUSED });
        return;
      }
      const over = (code) => {
        mine.onopen = mine.onmessage = mine.onclose = socket = null;
        resolve({ heard, code });
      };
      socket = { drop() { over(0); mine.close(); } };
      heardAt = Date.now() - DEAD_AFTER + OPEN_WITHIN;
      mine.onopen = guarded(() => {
        heardAt = Date.now();
        socket.isOpen = true;
        mine.send(JSON.stringify({ ticket: session.ticket, since, service, page: page() }));
        connected(true);
      });
      mine.onmessage = guarded((event) => {
        // the sign of life first, from this handler: timers sleep in hidden tabs
        if (event.data === 'ping') mine.send('pong');
        heard = true;
        connected(true);
        if (event.data === 'ping') { heal(); return; }
        const said = JSON.parse(event.data);
        if (said.ticket) session.ticket = said.ticket;  // to come back with, when the stream is cut
        else hear(said);
      });
      mine.onclose = (event) => over(event.code);
    });
  }
  // A network that is gone says no goodbye: pings that stop coming do.
  function watch() {
    if (!socket || Date.now() - heardAt < DEAD_AFTER) return;
    if (socket.isOpen) connected(false);
    socket.drop();
  }

  async function keepStream(mineRun) {
    let failures = 0;
    while (mineRun === run) {
      const { heard, code } = await stream();
      if (mineRun !== run) return;
      failures = heard ? 0 : failures + 1;
      if (heard) noStreams = 0;
      // a restart cuts everybody's stream in one moment
      let wait = heard && code ? Math.random() * (isOpen ? RESTART_SPREAD_OPEN : RESTART_SPREAD)
        : failures > 1 ? backOff(failures) : 0;
      // somebody holds a stream for this very page: two that took each other's place would never end
      if (code === REPLACED) wait = REPLACED_AGAIN * (0.5 + Math.random());
      try {
        if (code === TICKET) await freshTicket();
        else if (!heard && code !== REPLACED) {
          await live('beat', {}, BEAT_TIMEOUT);  // tells a lost network from one that lets no stream through
          noStreams += code === TRY_LATER || code === REFUSED ? 2 : 1;
        }
        if (!heard) connected(true);
      } catch (refusal) {
        wait = refusal.wait * 1000 || backOff(failures);
        if (failures > 1) connected(false);
      }
      if (mineRun !== run) return;
      if (noStreams > 1) { present(mineRun); return; }
      await pause(wait);
    }
  }

  function present(mineRun) {
    if (window.WebSocket && noStreams < 2) {
      keepStream(mineRun);
      return;
    }
    presentByPolls(mineRun);
    // a proxy or a server may learn streams meanwhile; a policy of the page never does
    if (window.WebSocket && noStreams < Infinity) setTimeout(guarded(() => {
      if (mineRun !== run) return;
      halt();
      noStreams = 1;
      present(run);
    }), STREAMS_AGAIN * (1 + Math.random()));
  }
  function policySays(event) {
    if (event.effectiveDirective !== 'connect-src' || !event.blockedURI.startsWith(base.replace(/^http/, 'ws'))) return;
    noStreams = Infinity;
    if (socket) socket.drop();  // Chromium never closes what it did not open
  }

  async function poll() {
    polling = new AbortController();
    const answer = await live('poll', { since, service }, POLL_TIMEOUT, polling);
    hear(answer);
    if (tabs) tabs.postMessage(answer);
  }

  async function keepPolling(mineRun) {
    let failures = 0;
    while (mineRun === run) {
      const began = Date.now();
      let lives = false;
      try {
        if (failures) {
          await live('beat', {}, BEAT_TIMEOUT);  // answered at once: tells a lost network from a poll that something on the way cuts
          lives = true;
          connected(true);
          if (failures > 2) await greet();
        }
        await poll();
        failures = 0;
        connected(true);
      } catch (refusal) {
        if (mineRun !== run) return;
        if (failures && !lives) connected(false);
        failures = Date.now() - began > 5e3 ? 1 : failures + 1;
        await pause(refusal.wait ? refusal.wait * 1000 : Math.min(backOff(failures), lives ? 8e3 : 45e3));
      }
    }
  }

  // One tab polls, the others answer its every word with a beat: a browser has six connections to one host.
  function presentByPolls(mineRun) {
    const locks = navigator.locks;
    if (!locks || !window.BroadcastChannel || !storedToken()) {
      keepPolling(mineRun);
      return;
    }
    const name = [mark, session.language, asked.department, token].join(':');
    const quietly = (promise) => promise.catch(() => {});
    let leads = false;
    tabs = new BroadcastChannel(name);
    tabs.onmessage = guarded((event) => {
      if (event.data === 'look') { look(); return; }
      hear(event.data);
      quietly(live('beat').then(() => connected(true)));
    });
    locks.request(name, () => {
      leads = true;
      return mineRun === run ? keepPolling(mineRun) : undefined;
    }).catch(() => keepPolling(mineRun));
    quietly(live('beat'));
    heardAt = Date.now();
    (async () => {
      while (mineRun === run && !leads) {
        await pause(10e3);
        // the tab that polls may be frozen: then this one speaks for itself
        if (mineRun === run && !leads && Date.now() - heardAt > LEADER_SILENT) await quietly(poll());
      }
    })();
  }

  async function start() {
    const mineRun = run;
    let failures = 0;
    while (mineRun === run) {
      try {
        await greet();
        break;
      } catch (refusal) {
        if ([400, 403, 404].includes(refusal.status)) {
          console.warn(`webim_offline: ${refusal.answer.detail || 'the widget is not shown'}`);
          return;
        }
        failures += 1;
        connected(false);
        await pause(refusal.wait ? refusal.wait * 1000 : backOff(failures));
      }
    }
    if (mineRun !== run) return;
    connected(true);
    present(mineRun);
    flush();
  }

  function halt() {
    run += 1;
    if (polling) polling.abort();
    if (tabs) tabs.close();
    tabs = null;
    if (socket) socket.drop();
    wakeAll();
  }

  function leave() {
    halt();
    if (ui.root) keepDraft();
    if (session) navigator.sendBeacon(`${base}/live/visit/bye`, JSON.stringify({ ticket: session.ticket }));
  }

  function comeBack(event) {
    if (!event.persisted) return;
    visit = newKey();
    since = null;
    start();
  }

  function connected(is) {
    if (is === isConnected) return;
    isConnected = is;
    if (is) wakeAll();
    render();
  }

  // ----- the conversation -----

  function take(conversation) {
    lastLook = Date.now();
    if (!conversation) return;
    if (conversation.anew) talk = null;  // what this page had read is not there any more
    if (!talk || talk.number !== conversation.number) {
      messages = [];
      awayFrom = Infinity;
    }
    const last = messages.length ? messages[messages.length - 1].revision : 0;
    messages = messages.concat(conversation.messages.filter((message) => message.revision > last));
    const cut = (talk && talk.number === conversation.number && talk.cut) || conversation.cut;
    if (talk && talk.number === conversation.number && conversation.revision < talk.revision) return;
    talk = Object.assign(conversation, { cut });
    const keys = new Set(messages.map((message) => message.key));
    drop((entry) => keys.has(entry.key));
    if (isOpen && !document.hidden) markSeen();
  }

  let looking = false, lookAgain = false;
  async function look() {
    if (looking) { lookAgain = true; return; }
    looking = true;
    try {
      do {
        lookAgain = false;
        const answer = await call('/widget/api/conversation', Object.assign(mine(), known()));
        take(answer.conversation);
        lookAgain = lookAgain || Boolean(answer.conversation && answer.conversation.more);
        render();
      } while (lookAgain);
    } catch (refusal) {
      lastLook = 0;  // the next answer of the live app looks again
      if (refusal.status === 401) await greet().catch(() => {});
    } finally {
      looking = false;
    }
  }

  function seen() {
    const kept = load('localStorage').seen;
    return talk && Array.isArray(kept) && kept[0] === talk.number ? kept[1] : 0;
  }
  function markSeen() {
    const last = messages.length ? messages[messages.length - 1].revision : 0;
    if (talk && last > seen()) remember((kept) => { kept.seen = [talk.number, last]; });
  }
  const unread = () => { const from = seen(); return messages.filter((message) => !message.mine && message.revision > from); };

  // ----- sending: kept until the server has it, always under the same key -----

  function drop(which) {
    const gone = outbox.filter(which);
    if (!gone.length) return;
    outbox = outbox.filter((entry) => !gone.includes(entry));
    remember((kept) => { kept.outbox = (kept.outbox || []).filter((entry) => !gone.some((one) => one.key === entry.key)); });
  }

  function submit(entry) {
    outbox.push(entry);
    remember((kept) => { kept.outbox = (kept.outbox || []).filter((other) => other.key !== entry.key).concat(entry); });
    render();
    flush();
  }

  let flushing = false;
  async function flush() {
    if (flushing || !session) return;
    flushing = true;
    let failures = 0, entry;
    while ((entry = outbox.find((one) => !one.refused))) {
      const { key, text, contacts, from_form } = entry;
      try {
        const answer = await call('/widget/api/messages', Object.assign(mine(), known(), { key, text, contacts, from_form }));
        failures = 0;
        entry.wait = 0;
        drop((one) => one.key === key);
        take(answer.conversation);
        if (answer.conversation && answer.conversation.more) look();
        if (tabs) tabs.postMessage('look');
        connected(true);
        render();
      } catch (refusal) {
        failures += 1;
        if (refusal.status === 401 && failures < 3) {
          await greet().catch(() => {});
        } else if (refusal.status === 429) {
          entry.wait = refusal.answer.retry_after || refusal.wait || 10;
          render();
          await pause(entry.wait * 1000);
          entry.wait = 0;
        } else if (refusal.status === 400 && !from_form && discard(contacts, refusal.answer.fields)) {
          // W3: a contact that was typed before the form went away never stops the message
        } else if (refusal.status >= 400 && refusal.status < 500) {
          await refused(entry, refusal.answer);
        } else {
          entry.waits = true;
          if (failures > 1 || !navigator.onLine) connected(false);
          render();
          await pause(backOff(failures));
        }
      }
    }
    flushing = false;
    render();
  }

  function discard(contacts, fields) {
    const wrong = Object.keys(fields || {}).filter((name) => name in contacts);
    wrong.forEach((name) => delete contacts[name]);
    return wrong.length > 0;
  }

  async function refused(entry, answer) {
    const fields = answer.fields || {};
    if (goesOn()) {
      entry.refused = answer.detail || session.texts.not_sent;
    } else {
      // back into the form with everything that was typed
      drop((one) => one.key === entry.key);
      await greet().catch(() => {});  // the account may ask for other contacts by now
      if (service === 'offline') mode = 'form';
      if (!ui.text.value) ui.text.value = entry.text;
      render();
      showErrors(fields, answer.detail);
    }
    render();
  }

  // ----- building the page's part -----

  function guarded(handler) {
    return (event) => {
      try {
        const result = handler(event);
        if (result && result.catch) result.catch(report);
      } catch (error) {
        report(error);
      }
    };
  }
  function report(error) {
    console.warn('webim_offline:', error);
  }

  function h(tag, attributes, ...children) {
    const node = document.createElement(tag);
    Object.entries(attributes || {}).forEach(([name, value]) => {
      if (name.startsWith('on')) node.addEventListener(name.slice(2), guarded(value));
      else if (value === true) node.setAttribute(name, '');
      else if (value || value === 0) node.setAttribute(name, value);
    });
    children.filter(Boolean).forEach((child) => node.append(child));
    return node;
  }
  function icon(name) {
    const svg = document.createElementNS(SVG, 'svg');
    svg.setAttribute('viewBox', '0 0 20 20');
    svg.setAttribute('aria-hidden', 'true');
    const path = document.createElementNS(SVG, 'path');
    path.setAttribute('d', ICONS[name]);
    svg.append(path);
    return svg;
  }
  function say(node, text) {
    if (node.textContent !== text) node.textContent = text;
  }
  function show(node, is) {
    if (node.hidden === Boolean(is)) node.hidden = !is;
  }
  function words(name, values) {
    return (session.texts[name] || '').replace(/%\((\w+)\)s/g, (whole, key) => (values && key in values ? values[key] : whole));
  }
  const numbered = (name) => words(name, { number: `#${talk.number}` });

  function timeOf(moment) {
    const at = new Date(moment);
    const options = { hour: '2-digit', minute: '2-digit' };
    if (at.toDateString() !== new Date().toDateString()) Object.assign(options, { day: 'numeric', month: 'short' });
    try {
      return at.toLocaleString(session.spoken, options);
    } catch (error) {
      return at.toISOString().slice(11, 16);
    }
  }

  const ui = {};
  let host = null;

  function begin() {
    host = document.createElement('div');
    host.dataset.webimOffline = config.account;
    const shadow = host.attachShadow({ mode: 'open' });
    let styled = false;
    try {
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(config.css);
      styled = 'adoptedStyleSheets' in shadow;
      shadow.adoptedStyleSheets = [sheet];
    } catch (error) { /* Safari before 16.4 */ }
    if (!styled) shadow.append(h('link', { rel: 'stylesheet', href: `${base}/widget/widget.css` }));

    ui.count = h('span', { class: 'w-unread', hidden: true });
    ui.label = h('span');
    ui.icon = h('span', { class: 'w-mark' });
    ui.launch = h('button', { type: 'button', class: 'w-launch', 'aria-expanded': 'false', onclick: () => toggle(!isOpen) },
      ui.icon, ui.label, ui.count);

    ui.peekWho = h('b');
    ui.peekText = h('span');
    ui.peek = h('p', { class: 'w-peek', role: 'status', hidden: true, onclick: () => toggle(true) }, ui.peekWho, ui.peekText);

    ui.title = h('p', { class: 'w-title' });
    ui.dot = h('span', { class: 'w-dot', 'aria-hidden': 'true' });
    ui.state = h('span');
    ui.end = h('button', { type: 'button', class: 'w-end', hidden: true, onclick: end });
    ui.minimise = h('button', { type: 'button', class: 'w-icon', onclick: () => toggle(false, true) }, icon('down'));
    ui.barIcon = h('span', { class: 'w-mark' });
    ui.barText = h('span');
    ui.bar = h('p', { class: 'w-bar', hidden: true }, ui.barIcon, ui.barText);
    ui.barLine = h('div', { role: 'status' }, ui.bar);
    ui.log = h('div', { class: 'w-log', role: 'log', tabindex: '0', hidden: true });

    ui.askLead = h('p', { class: 'w-lead' });
    ui.askFields = h('div', { class: 'w-fields' });
    ui.save = h('button', { class: 'w-save' });
    ui.ask = h('form', { class: 'w-ask', novalidate: true, hidden: true, onsubmit: leaveContacts }, ui.askLead, ui.askFields, ui.save);

    ui.lead = h('p', { class: 'w-lead' });
    ui.fields = h('div', { class: 'w-fields' });
    ui.problem = h('p', { class: 'w-error', role: 'alert', hidden: true });
    ui.text = h('textarea', { id: 'w-text', name: 'message', oninput: typed });
    ui.textError = h('p', { class: 'w-error', id: 'w-text-error', hidden: true });
    ui.textLabel = h('label', { for: 'w-text' });
    ui.privacy = h('a', { target: '_blank', rel: 'noopener noreferrer' });
    ui.privacyLine = h('p', { class: 'w-small', hidden: true }, ui.privacy);
    ui.send = h('button', { class: 'w-send' });
    ui.form = h('form', { class: 'w-form', novalidate: true, hidden: true, onsubmit: sendForm },
      ui.lead, ui.fields, h('div', { class: 'w-field w-field--grow' }, ui.textLabel, ui.text, ui.textError),
      ui.problem, ui.privacyLine, ui.send);

    ui.line = h('textarea', { rows: '1', oninput: typed, onkeydown: enter });
    ui.lineError = h('p', { class: 'w-error w-error--line', role: 'alert', hidden: true });
    ui.go = h('button', { class: 'w-go' }, icon('go'));
    ui.write = h('form', { class: 'w-write', novalidate: true, hidden: true, onsubmit: sendLine }, ui.line, ui.go);

    ui.window = h('div', { class: 'w-window', role: 'dialog', hidden: true, onkeydown: escape },
      h('div', { class: 'w-head' }, h('div', {}, ui.title, h('p', { class: 'w-state' }, ui.dot, ui.state)), ui.end, ui.minimise),
      ui.barLine, ui.log, ui.ask, ui.form, ui.lineError, ui.write);
    ui.root = h('div', { class: 'w w-fixed' }, ui.window, ui.peek, ui.launch);
    // the page's own keyboard shortcuts are not meant while somebody types here
    ['keydown', 'keyup', 'keypress'].forEach((name) => ui.root.addEventListener(name, (event) => event.stopPropagation()));
    shadow.append(ui.root);

    const draft = load('sessionStorage');
    ui.text.value = typeof draft.text === 'string' ? draft.text : '';
    ui.line.value = ui.text.value;
    draftContacts = draft.contacts && typeof draft.contacts === 'object' ? draft.contacts : {};
    const kept = load('localStorage').outbox;
    if (Array.isArray(kept)) outbox = kept.filter((entry) => entry && entry.key && typeof entry.text === 'string').slice(0, 50);
    if (talk) drop((entry) => messages.some((message) => message.key === entry.key));
    awayFrom = unread().length ? seen() : Infinity;
    document.addEventListener('visibilitychange', guarded(looked));
    window.addEventListener('online', guarded(wakeAll));
    setInterval(guarded(watch), 5e3);
  }

  function looked() {
    if (document.hidden) return;
    watch();
    wakeAll();
    if (isOpen) { markSeen(); render(); }
  }

  let draftContacts = {};
  const inputs = {};  // by field name: {wrap, input, error, option}

  function field(name, label, id) {
    const types = { email: 'email', phone: 'tel' };
    const complete = { name: 'name', email: 'email', phone: 'tel' };
    const input = h('input', { type: types[name] || 'text', id, name, autocomplete: complete[name] || 'off', oninput: typed });
    const option = h('span', { class: 'w-opt', id: `${id}-optional` });
    const error = h('p', { class: 'w-error', id: `${id}-error`, hidden: true });
    const wrap = h('div', { class: 'w-field' }, h('label', { for: id }, label), option, input, error);
    return { wrap, input, error, option };
  }

  // The account's fields may change between two pages of one visit; what was typed into one that stays is kept.
  let builtFor = '';
  function buildFields() {
    const wanted = JSON.stringify([session.form, session.spoken]);
    if (wanted === builtFor) return;
    builtFor = wanted;
    const typedBefore = Object.assign({}, session.known, draftContacts, contactsTyped());
    Object.keys(inputs).forEach((name) => delete inputs[name]);
    ui.fields.textContent = '';
    ui.askFields.textContent = '';
    session.form.fields.forEach(({ name, label, required }) => {
      const made = field(name, label || session.texts[name], `w-${name}`);
      made.required = required;
      made.input.value = typedBefore[name] || '';
      inputs[name] = made;
      ui.fields.append(made.wrap);
    });
  }
  const contactsTyped = () => {
    const typedIn = {};
    Object.entries(inputs).forEach(([name, { input }]) => { if (input.value.trim()) typedIn[name] = input.value.trim(); });
    return typedIn;
  };

  let storing = 0;
  function typed(event) {
    const target = event && event.target;
    if (target && target.getAttribute('aria-invalid')) {
      const one = Object.values(inputs).find(({ input }) => input === target) || { input: ui.text, error: ui.textError };
      if (target !== ui.line) fail(one, '');
    }
    show(ui.problem, false);
    show(ui.lineError, false);
    ui.line.rows = Math.min(5, Math.max(1, ui.line.value.split('\n').length, Math.ceil(ui.line.value.length / 34)));
    clearTimeout(storing);
    storing = setTimeout(keepDraft, 300);
  }
  function keepDraft() {
    const text = (isChat() ? ui.line : ui.text).value;
    save('sessionStorage', (kept) => { kept.text = text; kept.contacts = contactsTyped(); });
  }

  // ----- drawing: every call brings the page's part up to date, touching only what changed -----

  // Q9: a chat that was closed goes on with the next message, for a while
  const goesOn = () => Boolean(talk && (talk.open || talk.reopens));
  const isChat = () => Boolean(outbox.length
    || (talk && (goesOn() || service === 'online' || !talk.missing.length || mode === 'plain')));
  let wasChat = false;

  function serviceChanged() {
    const text = ui.root && isOpen && !goesOn() && (wasChat ? ui.line : ui.text).value.trim();
    // W3: a text begun online is accepted first, and contacts that are missing are asked for afterwards
    mode = text && service === 'offline' && Object.keys(problems(Object.keys(inputs))).length ? 'plain' : '';
    banner = text && service === 'online' ? 'now_online' : mode && 'now_offline';
    render();
  }

  function render() {
    if (!session || !ui.root) return;
    try {
      draw();
    } catch (error) {
      report(error);
    }
  }

  function draw() {
    const t = session.texts;
    const online = service === 'online';
    const attach = document.body || document.documentElement;
    if (!host.isConnected && attach) attach.append(host);
    ui.root.lang = session.spoken;
    ui.root.toggleAttribute('data-open', isOpen);

    const hasButton = online || session.offline_mode !== 'hidden' || isOpen || outbox.length > 0 || Boolean(talk && talk.open);
    show(ui.launch, hasButton);
    ui.launch.setAttribute('aria-expanded', String(isOpen));
    ui.launch.classList.toggle('w-launch--off', !online);
    say(ui.label, online ? t.chat : t.leave);
    swap(ui.icon, online ? 'chat' : 'mail');
    const news = unread();
    show(ui.count, news.length && !isOpen);
    if (news.length) {
      ui.count.replaceChildren(String(news.length), h('span', { class: 'w-hide' }, ` ${t.unread}`));
      const last = news[news.length - 1];
      say(ui.peekWho, words('answered', { name: last.name, number: `#${talk.number}` }));
      say(ui.peekText, last.text.length > 160 ? `${last.text.slice(0, 160)}…` : last.text);
    }
    show(ui.peek, news.length && !isOpen && hasButton);

    show(ui.window, isOpen);
    if (!isOpen) return;
    drawWindow(t, online);
  }

  function swap(holder, name) {
    if (holder.dataset.icon === name) return;
    holder.dataset.icon = name;
    holder.replaceChildren(icon(name));
  }

  function drawWindow(t, online) {
    const chat = isChat();
    if (chat !== wasChat) {
      if (chat) ui.line.value = ui.line.value || ui.text.value;
      else ui.text.value = ui.text.value || ui.line.value;
      wasChat = chat;
    }
    const hasLog = Boolean(talk || outbox.length);
    ui.window.setAttribute('aria-label', words('window', { account: session.account }));
    say(ui.title, talk && talk.operator ? `${talk.operator}, ${session.account}` : session.account);
    say(ui.state, isConnected ? (online ? t.online : t.offline) : t.disconnected);
    ui.dot.classList.toggle('w-dot--off', !online || !isConnected);
    say(ui.end, t.end);
    show(ui.end, talk && talk.open);
    ui.minimise.setAttribute('aria-label', t.minimise);

    const bar = isConnected ? banner : 'lost';
    show(ui.bar, bar);
    if (bar) {
      ui.bar.classList.toggle('w-bar--ok', bar === 'now_online');
      swap(ui.barIcon, bar === 'lost' ? 'lost' : bar === 'now_online' ? 'done' : 'warn');
      say(ui.barText, t[bar]);
    }

    buildFields();
    show(ui.log, hasLog);
    ui.log.setAttribute('aria-label', t.log);
    ui.log.classList.toggle('w-log--short', hasLog && !chat);
    if (hasLog) drawLog(t);

    const asks = Boolean(chat && talk && talk.open && talk.started_offline && talk.missing.length && !talk.operator && !outbox.length);
    show(ui.ask, asks);
    if (asks) drawAsk(t);
    show(ui.form, !chat);
    if (!chat) drawForm(t, online);
    show(ui.write, chat);
    ui.line.placeholder = t.placeholder;
    ui.line.setAttribute('aria-label', t.message);
    ui.go.setAttribute('aria-label', t.send);
  }

  function drawForm(t, online) {
    if (!mode) mode = online ? 'plain' : 'form';
    const wantsContacts = mode === 'form';
    const filled = Object.keys(contactsTyped()).length > 0;
    say(ui.lead, wantsContacts ? session.offline_text || t.lead_offline
      : banner === 'now_online' && filled ? t.lead_kept : t.lead_online);
    show(ui.lead, wantsContacts || online);
    Object.entries(inputs).forEach(([name, one]) => {
      if (one.wrap.parentNode !== ui.fields) ui.fields.append(one.wrap);
      show(one.wrap, wantsContacts && (!talk || talk.missing.includes(name) || (session.form.either && name === 'phone')));
      option(one, one.required ? '' : session.form.either && name !== 'name' && !name.startsWith('own_') ? t.either : t.optional);
    });
    show(ui.fields, wantsContacts && Object.keys(inputs).length);
    say(ui.textLabel, t.message);
    say(ui.send, t.send);
    show(ui.privacyLine, wantsContacts && session.privacy_url);
    if (session.privacy_url) {
      ui.privacy.href = session.privacy_url;
      say(ui.privacy, t.privacy);
    }
  }

  function option(one, text) {
    say(one.option, text);
    show(one.option, text);
    describe(one);
  }

  function drawAsk(t) {
    say(ui.askLead, t.ask);
    say(ui.save, t.save);
    const wanted = talk.missing.concat(session.form.either && inputs.phone && talk.missing.includes('email') ? ['phone'] : []);
    Object.entries(inputs).forEach(([name, one]) => {
      if (wanted.includes(name)) {
        if (one.wrap.parentNode !== ui.askFields) ui.askFields.append(one.wrap);
        option(one, session.form.either && ['email', 'phone'].includes(name) && !one.required ? t.either : '');
      }
      show(one.wrap, wanted.includes(name));
    });
  }

  function describe(one) {
    const ids = [one.option && !one.option.hidden && one.option.id, !one.error.hidden && one.error.id].filter(Boolean);
    if (ids.length) one.input.setAttribute('aria-describedby', ids.join(' '));
    else one.input.removeAttribute('aria-describedby');
  }

  function fail(one, text) {
    show(one.error, text);
    if (text) one.error.replaceChildren(icon('warn'), h('span', {}, text));
    if (text) one.input.setAttribute('aria-invalid', 'true');
    else one.input.removeAttribute('aria-invalid');
    describe(one);
  }

  function showErrors(fields, detail) {
    let first = null;
    const isShown = (one) => !one.wrap.hidden && !one.wrap.parentNode.hidden && !one.wrap.parentNode.parentNode.hidden;
    Object.entries(inputs).forEach(([name, one]) => {
      const text = isShown(one) ? fields[name] || '' : '';
      fail(one, text);
      if (text && !first) first = one.input;
    });
    fail({ input: ui.text, error: ui.textError }, fields.text || '');
    if (fields.text && !first) first = ui.text;
    const rest = !first && (detail || Object.values(fields)[0] || '');
    show(ui.problem, rest);
    if (rest) ui.problem.replaceChildren(icon('warn'), h('span', {}, rest));
    if (first) first.focus();
    return Boolean(first || rest);
  }

  function problems(names) {
    const t = session.texts, wrong = {}, given = contactsTyped();
    names.forEach((name) => {
      const one = inputs[name];
      if (!given[name] && one.required) wrong[name] = t.fill_in;
      if (name === 'email' && given.email && !EMAIL.test(given.email)) wrong.email = t.bad_email;
    });
    if (session.form.either && names.includes('email') && !given.email && !given.phone) wrong.email = t.fill_either;
    return wrong;
  }
  const shownNames = () => Object.keys(inputs).filter((name) => !inputs[name].wrap.hidden);
  function textProblem(text) {
    if (!text.trim()) return session.texts.write;
    return Array.from(text.trim()).length > session.longest ? words('too_long', { count: session.longest }) : '';
  }

  function sendForm(event) {
    event.preventDefault();
    const text = ui.text.value, fromForm = mode === 'form';
    const wrong = fromForm ? problems(shownNames()) : {};
    const bad = textProblem(text);
    if (bad) wrong.text = bad;
    if (showErrors(wrong)) return;
    // contacts that were typed while it was a form stay with the message that starts online (W3)
    const contacts = contactsTyped();
    ui.text.value = '';
    ui.line.value = '';
    banner = '';
    mode = '';
    show(ui.problem, false);
    submit({ key: newKey(), text, contacts, from_form: fromForm, at: new Date().toISOString() });
    keepDraft();
    ui.line.focus();
  }

  function sendLine(event) {
    event.preventDefault();
    const text = ui.line.value, bad = textProblem(text);
    show(ui.lineError, bad);
    if (bad) {
      ui.lineError.replaceChildren(icon('warn'), h('span', {}, bad));
      ui.line.focus();
      return;
    }
    ui.line.value = '';
    ui.text.value = '';
    banner = '';
    mode = '';
    submit({ key: newKey(), text, contacts: {}, from_form: false, at: new Date().toISOString() });
    typed();
    ui.line.focus();
  }

  function enter(event) {
    const touch = window.matchMedia && window.matchMedia('(pointer: coarse)').matches;
    if (event.key === 'Enter' && !event.shiftKey && !event.isComposing && !touch) sendLine(event);
  }

  async function leaveContacts(event) {
    event.preventDefault();
    const names = shownNames();
    const wrong = problems(names);
    if (!Object.keys(wrong).length && !names.some((name) => inputs[name].input.value.trim())) wrong[names[0]] = session.texts.fill_in;
    if (showErrors(wrong)) return;
    const given = contactsTyped(), contacts = {};
    names.forEach((name) => { if (given[name]) contacts[name] = given[name]; });
    ui.save.setAttribute('aria-busy', 'true');
    try {
      take((await call('/widget/api/contacts', Object.assign(mine(), known(), { contacts }))).conversation);
      ui.line.focus();
    } catch (refusal) {
      const answer = refusal.answer;
      const fields = answer.fields || {};
      if (!Object.keys(fields).length) fields[names[0]] = answer.detail || session.texts.lost;
      showErrors(fields, answer.detail);
    } finally {
      ui.save.removeAttribute('aria-busy');
    }
    render();
  }

  async function end() {
    ui.end.setAttribute('aria-busy', 'true');
    try {
      take((await call('/widget/api/end', Object.assign(mine(), { number: talk.number }))).conversation);
      if (tabs) tabs.postMessage('look');
      (isChat() ? ui.line : ui.text).focus();
    } catch (refusal) {
      if (refusal.status === 0 || refusal.status >= 500) connected(false);
      else await look();
    } finally {
      ui.end.removeAttribute('aria-busy');
    }
    render();
  }

  // ----- the log: nodes are kept by their key, so that a screen reader hears only what is new -----

  const nodes = new Map();
  function put(id, make, update) {
    let node = nodes.get(id);
    if (!node) nodes.set(id, node = make());
    if (update) update(node);
    return node;
  }

  function drawLog(t) {
    const wanted = [], used = new Set();
    const add = (id, make, update) => { used.add(id); wanted.push(put(id, make, update)); };
    const line = (id, css, text) => add(id, () => h('p', { class: css }), (node) => say(node, text));
    const atEnd = ui.log.scrollHeight - ui.log.scrollTop - ui.log.clientHeight < 40;
    const n = talk ? talk.number : 0;
    if (talk && talk.started_offline) {
      add(`done${n}`, () => {
        const title = h('span'), text = h('span');
        return Object.assign(h('div', { class: 'w-done' }, h('b', {}, icon('done'), title), text), { parts: [title, text] });
      }, (node) => {
        say(node.parts[0], numbered('received'));
        say(node.parts[1], talk.way || t.here);
      });
    } else if (talk) {
      line(`number${n}`, 'w-sys', `${numbered('inquiry')} · ${timeOf(talk.created_at)}`);
    }
    if (talk && talk.cut) line(`cut${n}`, 'w-sys', t.earlier);
    let before = null, marked = false;
    messages.forEach((message) => {
      if (!message.mine && message.revision > awayFrom && !marked) {
        marked = true;
        line(`away${n}`, 'w-sys w-sys--line', t.away);
      }
      const close = before && before.name === message.name && new Date(message.at) - new Date(before.at) < 120e3;
      if (!message.mine && !close) line(`who${n}.${message.revision}`, 'w-who', `${message.name} · ${timeOf(message.at)}`);
      bubble(message.mine ? `k${message.key || message.revision}` : `r${n}.${message.revision}`, message.text, message.mine);
      before = message;
    });
    function bubble(id, text, isMine) {
      add(id, () => h('p', { class: isMine ? 'w-msg w-msg--me' : 'w-msg' }, text));
    }
    if (before && before.mine && !outbox.length) foot('delivered', 'done', words('delivered', { time: timeOf(before.at) }));
    outbox.forEach((entry) => {
      bubble(`k${entry.key}`, entry.text, true);
      if (entry.refused) {
        foot(`bad.${entry.key}`, 'warn', entry.refused, true);
        add(`again.${entry.key}`, () => h('p', { class: 'w-foot w-foot--bad' },
          h('button', { type: 'button', onclick: () => { entry.refused = ''; render(); flush(); } }, t.again)));
      } else if (entry.wait) {
        foot(`slow.${entry.key}`, 'warn', words('too_fast', { seconds: entry.wait }), true);
      } else {
        foot(`wait.${entry.key}`, 'clock', entry.waits ? t.waiting : t.sending);
      }
    });
    function foot(id, name, text, isBad) {
      add(id, () => {
        const said = h('span');
        return Object.assign(h('p', { class: isBad ? 'w-foot w-foot--bad' : 'w-foot' }, icon(name), said), { said });
      }, (node) => say(node.said, text));
    }
    if (talk && talk.open && talk.started_offline && !talk.operator && messages.every((message) => message.mine)) {
      line(`more${n}`, 'w-sys', t.more);
    }
    if (talk && !talk.open && !outbox.length) line(`end${n}`, 'w-sys', t[(talk.closed_by_visitor ? 'ended' : 'closed') + (talk.reopens ? '_reopens' : '')]);

    nodes.forEach((node, id) => {
      if (!used.has(id)) { node.remove(); nodes.delete(id); }
    });
    wanted.forEach((node, index) => {
      if (ui.log.children[index] !== node) ui.log.insertBefore(node, ui.log.children[index] || null);
    });
    ui.log.classList.toggle('w-log--top', Boolean(talk && talk.started_offline && messages.length < 3));
    if (atEnd || outbox.length) ui.log.scrollTop = ui.log.scrollHeight;
  }

  // ----- opening and closing -----

  function toggle(to, byKeyboard) {
    isOpen = to;
    if (to) {
      mode = '';
      banner = '';
      markSeen();
      if (!talk) look();  // another tab may have begun while no hint could reach this one
      render();
      ui.log.scrollTop = ui.log.scrollHeight;
      // a touch keyboard would cover what there is to read
      const touch = window.matchMedia && window.matchMedia('(pointer: coarse)').matches;
      const target = isChat() ? ui.line : Object.values(inputs).map(({ input }) => input).concat(ui.text)
        .find((input) => input.offsetParent && !input.value) || ui.text;
      (touch ? ui.minimise : target).focus();
    } else {
      keepDraft();
      awayFrom = Infinity;
      render();
      if (byKeyboard && !ui.launch.hidden) ui.launch.focus();
    }
  }

  function escape(event) {
    if (event.key === 'Escape' && !event.isComposing) toggle(false, true);
  }

  // ----- -----

  try {
    token = storedToken();
    document.addEventListener('securitypolicyviolation', guarded(policySays));
    window.addEventListener('pagehide', guarded(leave));
    window.addEventListener('pageshow', guarded(comeBack));
    const ready = () => start().catch(report);
    if (document.body) ready();
    else document.addEventListener('DOMContentLoaded', guarded(ready));
  } catch (error) {
    report(error);
  }
})
