/* What the pages of operators share: asking the server, its clock, a word at the edge of the page, and following the hints of
   the live app. A hint carries no data: what a page registered with `on` is read again, each once a second at most, and all of
   it in a slow round that heals what was lost. While the page follows, its person is at work (A2). */
window.live = (function () {
  'use strict';
  var body = document.body, lang = document.documentElement.lang, words = JSON.parse(document.getElementById('words').textContent);
  function $(s, r) { return (r || document).querySelector(s); }
  function $$(s, r) { return Array.prototype.slice.call((r || document).querySelectorAll(s)); }
  function put(e, s) { if (e && e.textContent !== s) e.textContent = s; }
  function fromHtml(html) { return new DOMParser().parseFromString(html, 'text/html'); }
  /* what a part of the page says, whatever token its forms carry */
  function sign(html) { return html.replace(/csrfmiddlewaretoken" value="\w+"/g, ''); }
  function tell(what, detail) { document.dispatchEvent(new CustomEvent('live:' + what, { detail: detail })); }

  /* ----- time: the page stores moments, the server's clock says now ----- */
  var offset = (+body.dataset.now || Date.now()) - Date.now();
  var days = new Intl.NumberFormat(lang, { style: 'unit', unit: 'day', unitDisplay: 'long' });
  function now() { return Date.now() + offset; }
  function length(s) {
    s = Math.max(0, Math.floor(s));
    var h = Math.floor(s / 3600), m = Math.floor(s % 3600 / 60);
    if (!h) return m + ':' + ('0' + s % 60).slice(-2);
    return h < 24 ? h + '\u00a0' + words.hour + (m ? ' ' + m + '\u00a0' + words.minute : '') : days.format(Math.floor(h / 24));
  }

  /* ----- talking to the server ----- */
  /* errors: `status`, if it was the server that refused, and `asks`, if it wants to be told yes first */
  function ask(url, form, signal) {
    var options = { signal: signal, headers: { 'X-Requested-With': 'fetch' }, credentials: 'same-origin', redirect: 'manual' };
    if (form) { options.method = 'POST'; options.body = form; tell('act', url); }
    return fetch(url, options).then(function (r) {
      if (form) tell('act', url);
      if (r.type === 'opaqueredirect') { location.reload(); throw new Error(words.loadFailed); }
      var clock = r.headers.get('X-Now'); if (clock) offset = clock * 1000 - Date.now();
      if (r.ok) return r;
      return r.json().catch(function () { return {}; }).then(function (j) {
        var e = new Error(j.error || words.loadFailed); e.status = r.status; e.asks = j.asks; throw e;
      });
    }, function () { throw new Error(words.loadFailed); });
  }
  function html(url, form, signal) { return ask(url, form, signal).then(function (r) { return r.text(); }); }
  function json(url, form) { return ask(url, form).then(function (r) { return r.json(); }); }
  function toast(text, undo) {
    var t = document.createElement('div'); t.className = 'toast'; t.textContent = text;
    if (undo) {
      var b = document.createElement('button'); b.type = 'button'; b.className = 'button'; b.textContent = words.undo;
      b.onclick = function () { t.remove(); undo(); }; t.append(b);
    }
    $('.toasts').replaceChildren(t); setTimeout(function () { t.remove(); }, 6000);
  }

  /* ----- hints, then re-reading ----- */
  var readers = [], reading = false, readAt = 0, misread = 0, lost = $('#lost');  // misread: times in a row
  function on(word, work) { readers.push({ word: word, work: work, due: false }); }
  function rush(hint) {
    readers.forEach(function (r) { r.due = r.due || !hint || hint[r.word]; });
    read();
  }
  function read() {
    var wait = readAt + 1000 - Date.now(), due = readers.filter(function (r) { return r.due; });
    if (reading || !due.length) return;
    reading = true;
    if (wait > 0) { setTimeout(function () { reading = false; read(); }, wait); return; }
    due.forEach(function (r) { r.due = false; });
    Promise.all(due.map(function (r) { return r.work(); })).then(function () { misread = 0; connected(true); }, function () {
      misread += 1; if (misread > 1) connected(false);
      due.forEach(function (r) { r.due = true; });
    }).then(function () { reading = false; readAt = Date.now(); read(); });
  }
  function connected(yes) {
    if (lost) lost.hidden = yes;
    body.classList.toggle('is-stale', !yes); tell('connected', yes);
  }
  window.addEventListener('offline', function () { connected(false); });
  window.addEventListener('online', function () { rush(); });
  document.addEventListener('visibilitychange', function () { if (!document.hidden) rush(); });
  setInterval(rush, 30000);

  /* ----- a stream where the way to the server lets one through, else long polls ----- */
  var since = '', failures = 0, noStreams = 0, held = null, socket = null, heardAt = 0;
  function hear(hint) {
    since = hint.since; failures = 0; if (!misread) connected(true);
    rush(hint);
  }
  function again() {
    failures += 1; if (failures > 1) connected(false);
    setTimeout(follow, Math.min(15000, 500 * Math.pow(2, failures)) * (.5 + Math.random()));
  }
  function follow() { if (noStreams < 2 && window.WebSocket) stream(); else poll(); }
  function stream() {
    heardAt = Date.now();
    var heard = false, mine = socket = new WebSocket(location.origin.replace(/^http/, 'ws') + body.dataset.stream);
    mine.onopen = function () { mine.send(JSON.stringify({ ticket: place().dataset.ticket, since: since })); };
    mine.onmessage = function (e) {
      heard = true; noStreams = 0; heardAt = Date.now();
      if (e.data === 'ping') mine.send('pong'); else hear(JSON.parse(e.data));
    };
    mine.onclose = function (e) {
      if (socket !== mine) return;
      socket = null;
      if (e.code === 4401) return freshTicket().then(follow, again);
      if (!heard) noStreams += 1;
      again();
    };
  }
  /* a network that is gone says no goodbye: pings that stop coming do */
  setInterval(function () {
    if (!socket || Date.now() - heardAt < 25000) return;
    var dead = socket; socket = null; dead.close(); failures += 1; again();
  }, 5000);
  setInterval(function () { noStreams = 0; }, 300000);  // a proxy or server may have learnt streams meanwhile
  function poll() {
    var mine = held = new AbortController();
    fetch(body.dataset.poll, { signal: mine.signal, method: 'POST', credentials: 'omit', body: JSON.stringify({ ticket: place().dataset.ticket, since: since }) }).then(function (r) {
      if (r.status === 401) return freshTicket().then(function () { since = ''; });
      if (!r.ok) throw new Error(r.status);
      return r.json().then(function (hint) { hear(hint); return age() > 40000 ? freshTicket() : 0; });
    }).then(follow, function () { if (mine.signal.aborted) poll(); else again(); });
  }
  /* another dialog is open now: the live app must know whose news to tell */
  function turn() {
    if (socket) { if (socket.readyState === 1) socket.send(JSON.stringify({ ticket: place().dataset.ticket })); } else if (held) held.abort();
  }
  /* the ticket of the dialog that is open, or of the page; a fragment of a dialog brings a fresh one */
  function place() { return $('#dialog') || body; }
  var ticketAt = Date.now(), ticketOf = place();
  function age() { if (ticketOf !== place()) { ticketOf = place(); ticketAt = Date.now(); } return Date.now() - ticketAt; }
  function freshTicket() {
    var n = place().dataset.number || '';
    return json(body.dataset.tickets + '?open=' + n).then(function (j) {
      if (n !== (place().dataset.number || '')) return;
      ticketOf = place(); ticketOf.dataset.ticket = j.ticket; ticketAt = Date.now();
    });
  }
  /* when the page's own scripts have said what they read */
  document.addEventListener('DOMContentLoaded', follow);

  return {
    $: $, $$: $$, put: put, fromHtml: fromHtml, sign: sign, tell: tell, words: words, now: now, length: length, ask: ask,
    html: html, json: json, toast: toast, on: on, rush: rush, turn: turn
  };
})();
