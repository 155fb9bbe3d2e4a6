/* The page of operators: live figures, and a status set for somebody. What the hand or the focus is on stays. */
(function () {
  'use strict';
  var body = document.body, page = body.dataset, lang = document.documentElement.lang, table = document.getElementById('table');
  var offset = page.now - Date.now(), shownAt = Date.now();
  var days = new Intl.NumberFormat(lang, { style: 'unit', unit: 'day', unitDisplay: 'long' });
  function each(s, r, work) { Array.prototype.forEach.call(r.querySelectorAll(s), work); }
  function length(s) {
    s = Math.max(0, Math.floor(s));
    var h = Math.floor(s / 3600), m = Math.floor(s % 3600 / 60);
    if (!h) return m + ':' + ('0' + s % 60).slice(-2);
    return h < 24 ? h + '\u00a0' + page.hour + (m ? ' ' + m + '\u00a0' + page.minute : '') : days.format(Math.floor(h / 24));
  }
  function tick() {
    each('.wait[data-since]', table, function (e) {
      var text = length((Date.now() + offset - e.dataset.since) / 1000);
      if (e.textContent !== text) e.textContent = text;
    });
  }
  function toast(text) {
    var t = document.createElement('div'); t.className = 'toast'; t.textContent = text;
    document.querySelector('.toasts').replaceChildren(t); setTimeout(function () { t.remove(); }, 6000);
  }
  function ask(url, form) {
    var options = { headers: { 'X-Requested-With': 'fetch' }, credentials: 'same-origin', redirect: 'manual' };
    if (form) { options.method = 'POST'; options.body = form; }
    return fetch(url, options).then(function (r) {
      if (r.type === 'opaqueredirect') { location.reload(); throw new Error(); }
      var at = r.headers.get('X-Now'); if (at) offset = at * 1000 - Date.now();
      if (r.ok) return r;
      return r.json().catch(function () { return {}; }).then(function (j) { throw new Error(j.error || ''); });
    });
  }

  /* ----- the table: the same cells, changed where the server says something else ----- */
  var told = new WeakMap();
  function words(cell) { return cell.innerHTML.replace(/csrfmiddlewaretoken" value="\w+"/, ''); }
  function learn(cell) { told.set(cell, words(cell)); }
  each('td, th', table, learn);
  function update(html) {
    var fresh = new DOMParser().parseFromString(html, 'text/html'), rows = table.querySelector('tbody'), at = rows.firstElementChild, here = {};
    each('tbody tr', fresh, function (row) {
      here[row.id] = true;
      var mine = document.getElementById(row.id);
      if (!mine) { mine = document.importNode(row, true); each('td, th', mine, learn); }
      else Array.prototype.forEach.call(row.children, function (cell, i) { same(mine.children[i], cell); });
      if (at === mine) at = at.nextElementSibling; else rows.insertBefore(mine, at);
    });
    each('tbody tr', table, function (row) { if (!here[row.id]) row.remove(); });
    var more = table.querySelector('.team-more'), other = fresh.querySelector('.team-more');
    more.textContent = other.textContent; more.hidden = other.hidden;
    tick();
  }
  function same(mine, cell) {
    var select = mine.querySelector('select'), html = words(cell);
    if (told.get(mine) === html) return;
    if (select) {  // the same node: it may be open, or in the middle of a choice
      var chosen = cell.querySelector('select').dataset.chosen;
      if (!pending[select.id]) select.value = chosen;
      select.dataset.chosen = chosen;
    } else {
      var focused = mine.contains(document.activeElement);
      mine.innerHTML = cell.innerHTML;
      if (focused && mine.querySelector('a')) mine.querySelector('a').focus({ preventScroll: true });
    }
    told.set(mine, html);
  }

  /* ----- choosing: arrow keys pass over statuses that are not meant, so the choice by keyboard waits for the last of them ----- */
  var pending = {}, keyAt = 0;
  table.addEventListener('keydown', function () { keyAt = Date.now(); });
  table.addEventListener('change', function (e) {
    var select = e.target;
    clearTimeout(pending[select.id]);
    pending[select.id] = setTimeout(function () { choose(select); }, Date.now() - keyAt < 500 ? 700 : 0);
  });
  function choose(select) {
    var data = new FormData(select.form), mine = pending[select.id];
    ask(select.form.action, data).then(function (r) { return r.json(); }).then(function (j) { toast(j.said); select.dataset.chosen = data.get('status'); }, function (e) {
      if (pending[select.id] === mine) select.value = select.dataset.chosen;
      toast((page.failed + ' ' + e.message).trim());
    }).then(function () { if (pending[select.id] === mine) delete pending[select.id]; refresh(); });
  }

  /* ----- live: hints, then one look a second at most; a slow round heals what was lost ----- */
  var reading = false, due = false, readAt = 0, lost = document.getElementById('lost');
  function refresh() {
    due = true;
    if (reading) return;
    reading = true;
    setTimeout(function () {
      due = false; readAt = Date.now();
      ask(page.table).then(function (r) { return r.text(); }).then(function (html) { update(html); connected(true); }, function () { connected(false); })
        .then(function () { reading = false; if (due) refresh(); });
    }, Math.max(0, readAt + 1000 - Date.now()));
  }
  function connected(yes) {
    if (yes) shownAt = Date.now();
    document.getElementById('lost-at').textContent = new Date(shownAt).toLocaleTimeString(lang, { hour: '2-digit', minute: '2-digit' });
    lost.hidden = yes; body.classList.toggle('is-stale', !yes);
  }
  var failures = 0, heardAt = 0, socket = null, since = '';
  function again(after) { setTimeout(stay, after * (.5 + Math.random())); }
  function stay() {
    ask(page.ticket).then(function (r) { return r.json(); }).then(function (j) {
      if (!window.WebSocket || failures > 2) { refresh(); return again(5000); }
      var mine = socket = new WebSocket(location.origin.replace(/^http/, 'ws') + page.stream);
      heardAt = Date.now();
      mine.onopen = function () { mine.send(JSON.stringify({ ticket: j.ticket, since: since })); };
      mine.onmessage = function (e) {
        failures = 0; heardAt = Date.now();
        if (e.data === 'ping') return mine.send('pong');
        var hint = JSON.parse(e.data); if (hint.since) since = hint.since; if (hint.panel) refresh();
      };
      mine.onclose = function () { if (socket === mine) { socket = null; failures += 1; again(1000); } };
    }).catch(function () { connected(false); again(5000); });
  }
  /* a network that is gone says no goodbye */
  setInterval(function () {
    if (socket && Date.now() - heardAt > 25000) { var dead = socket; socket = null; dead.close(); again(1000); }
  }, 5000);
  setInterval(function () { failures = 0; }, 300000);
  setInterval(refresh, 15000);
  document.addEventListener('visibilitychange', function () { if (!document.hidden) refresh(); });
  window.addEventListener('online', refresh);
  tick(); setInterval(tick, 1000); stay();
})();
