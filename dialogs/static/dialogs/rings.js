/* Rings (Q12): one sound, a desktop notification, the count in the title and the mark on the tab, whatever the number of tabs,
   and on every page of an operator: those without the panel read it for this alone. Each look at the panel is compared with the one before. What a tab has rung for, or done itself, stands with its moment in
   storage that all tabs share: it is no news to a tab that last looked before that moment. */
(function () {
  'use strict';
  var page = window.live, $ = page.$, $$ = page.$$, form = $('#rings'), me = form.dataset.me, locks = navigator.locks, list = $('#list');
  var QUEUES = 'queues', ASSIGNED = 'assigned', MESSAGES = 'messages', QUIET = 5000, REMEMBERED = 300;
  function on(name) { return form.elements['rings_' + name].checked; }

  /* ----- what is new since the last look ----- */
  function look(root, asked) {
    var seen = { asked: asked, place: {}, said: {}, card: {}, last: {}, rings: {}, waiting: +$('#section-waiting .count', root).textContent, since: Infinity };
    $$('.section', root).forEach(function (s) {
      var key = s.id.slice(8), more = $('.section-more', s), last = 0;
      seen.rings[key] = s.dataset.rings;
      $$('.card-list > li', s).forEach(function (li) {
        var n = +li.id.slice(5), c = $('.card', li), wait = $('.wait[data-since]', c);
        if (wait && !c.dataset.away && key !== 'others') seen.since = Math.min(seen.since, wait.dataset.since);
        seen.place[n] = key; seen.said[n] = +c.dataset.said || 0; seen.card[n] = c; last = Math.max(last, n);
      });
      // a section that shows its oldest only: what comes up at its end when one is taken is nothing new
      seen.last[key] = more && !more.hidden ? last : Infinity;
    });
    return seen;
  }
  function queue(key) { return key === 'general' || key === 'offline'; }
  function own(key) { return key === 'waiting' || key === 'mine'; }
  function news(before, after) {
    return Object.keys(after.place).map(function (n) {
      var key = after.place[n], was = before.place[n], kind = '';
      if (queue(key) && !queue(was) && n <= before.last[key]) kind = QUEUES;
      else if (key === 'waiting' && !own(was)) kind = ASSIGNED;
      else if (own(key) && (own(was) || !was) && after.said[n] > (before.said[n] || 0)) kind = MESSAGES;
      return kind && after.rings[key] && { kind: kind, number: n, card: after.card[n] };
    }).filter(Boolean);
  }
  var before = list && look(list, performance.timeOrigin), fresh = {}, freshAt = 0;
  document.addEventListener('live:panel', function (e) {
    var after = look(e.detail.fresh, e.detail.asked), found = before ? news(before, after) : [], since = before && before.asked;
    before = after;
    found.forEach(function (one) { if (one.kind === QUEUES && !rung('a', one, since)) { fresh[one.number] = true; freshAt = Date.now(); } });
    Object.keys(fresh).forEach(function (n) { if (!queue(after.place[n])) delete fresh[n]; });
    count();
    if (found.length) exclusively(function () { return ring(found, since); });
  });
  if (!list) {
    page.on('panel', function () {
      var asked = Date.now();
      return page.html(document.body.dataset.panel).then(function (html) { page.tell('panel', { fresh: page.fromHtml(html), asked: asked }); });
    });
    page.rush();
  }
  /* what one did oneself rings in none of the own tabs, whenever they hear of it */
  document.addEventListener('live:act', function (e) {
    var n = (e.detail.match(/\/workspace\/(\d+)\/\w+\/$/) || [])[1];
    if (n) remember([QUEUES, ASSIGNED].map(function (kind) { return { kind: kind, number: n }; }), 'sda');
  });

  /* ----- what all tabs of this browser know: when a dialog (s)ounded, was told on the (d)esktop, or was acted on ----- */
  var kept = {};
  function known() { try { return JSON.parse(localStorage.getItem('rings-' + me)) || {}; } catch (e) { return kept; } }
  function keep(log) {
    kept = log;
    try { localStorage.setItem('rings-' + me, JSON.stringify(log)); } catch (e) { /* storage is blocked: this tab alone */ }
  }
  function name(part, one) { return part + one.kind[0] + one.number; }
  function rung(part, one, since) { return known()[name(part, one)] > since; }
  function remember(list, parts, soundAt) {
    var log = known(), now = Date.now();
    list.forEach(function (one) { parts.split('').forEach(function (part) { log[name(part, one)] = now; }); });
    if (soundAt) log.sound = soundAt;
    var names = Object.keys(log).sort(function (a, b) { return log[b] - log[a]; }).slice(0, REMEMBERED), rest = {};
    names.forEach(function (key) { rest[key] = log[key]; });
    keep(rest);
  }
  /* one tab after the other; without locks (a page without TLS) those in sight first */
  function exclusively(work) {
    if (locks) return locks.request('rings-' + me, work);
    return setTimeout(work, (document.hidden ? 300 : 0) + Math.random() * 200);
  }
  /* is the workspace in sight in any tab? Each such tab shares a lock, which the browser takes back whatever becomes of it */
  var leave = null;
  function here() { return list && !document.hidden; }
  function shown() {
    if (leave) { leave(); leave = null; }
    if (locks && here()) locks.request('shown-' + me, { mode: 'shared' }, function () { return new Promise(function (go) { leave = go; }); });
  }
  function inSight() {
    if (here() || !locks) return Promise.resolve(here());
    return locks.request('shown-' + me, { ifAvailable: true }, function (lock) { return !lock; });
  }
  document.addEventListener('visibilitychange', shown); shown();

  /* ----- the ring itself ----- */
  function ring(found, since) {
    return inSight().then(function (seen) {
      found = found.filter(function (one) { return one.kind !== MESSAGES || !seen; });
      notify(found.filter(function (one) { return !rung('d', one, since); }));
      var loud = found.filter(function (one) { return on('for_' + one.kind) && !rung('s', one, since); });
      if (!loud.length) return null;
      return awake().then(function (able) {
        if (!able) return;  // another tab may: the browser lets a page sound once somebody has pressed something there
        var now = Date.now(), due = !(now - known().sound < QUIET);
        remember(loud, 's', due && now);
        if (due) sound(loud.every(function (one) { return one.kind === MESSAGES; }));
      });
    });
  }
  var audio = null;
  function awake() {
    var Context = window.AudioContext || window.webkitAudioContext;
    if (!Context) return Promise.resolve(false);
    audio = audio || new Context();
    if (audio.state !== 'suspended') return Promise.resolve(true);
    return Promise.race([audio.resume(), new Promise(function (go) { setTimeout(go, 300); })]).then(function () { return audio.state !== 'suspended'; });
  }
  function sound(soft) { (soft ? [[523, 0]] : [[659, 0], [880, .14]]).forEach(function (note) { tone(note[0], note[1], soft ? .06 : .18); }); }
  function tone(pitch, after, volume) {
    var at = audio.currentTime + after, source = audio.createOscillator(), gain = audio.createGain();
    source.frequency.value = pitch; source.connect(gain); gain.connect(audio.destination);
    gain.gain.setValueAtTime(0, at); gain.gain.linearRampToValueAtTime(volume, at + .015); gain.gain.exponentialRampToValueAtTime(.0001, at + .4);
    source.start(at); source.stop(at + .42);
  }
  function open(number) { if (page.open) page.open(number); else location.assign('/workspace/' + number + '/'); }
  function allowed() { return window.Notification ? Notification.permission : 'none'; }
  function notify(found) {
    if (!found.length || !on('on_desktop') || allowed() !== 'granted') return;
    remember(found, 'd');
    var one = found[0], who = '#' + one.number + ' ' + $('.card-name', one.card).textContent, text = $('.card-text', one.card).textContent.trim();
    var many = found.length > 1, words = form.dataset;
    try {
      var box = new Notification(many ? words.many.replace('%s', found.length) : words[one.kind].replace('%s', who), { body: many ? who : text, tag: 'workspace-' + one.number, silent: true });
      box.onclick = function () { window.focus(); if (!many) open(one.number); box.close(); };
    } catch (e) { /* a browser that only notifies from workers */ }
  }

  /* ----- the count in the title and the mark on the tab ----- */
  var icon = $('link[rel=icon]'), tokens = getComputedStyle(document.documentElement), named = document.title, HOT = 300000;  // ms; the loud card is hot from then on
  function count() {
    var n = before ? before.waiting + Object.keys(fresh).length : 0, tab = $('#ringing');
    var mark = before && page.now() - before.since >= HOT ? '--hot' : n ? '--warm' : '';
    document.title = (n ? '(' + n + ') ' : '') + named;
    if (tab) { page.put(tab, '' + n); tab.hidden = !n; }
    function colour(name) { return tokens.getPropertyValue(name).trim(); }
    var svg = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><path fill="' + colour('--accent') + '" d="M6 4h20a4 4 0 0 1 4 4v12a4 4 0 0 1-4 4H15l-7 6v-6H6a4 4 0 0 1-4-4V8a4 4 0 0 1 4-4z"/>' +
      (mark && '<circle cx="24" cy="8" r="8" fill="' + colour(mark) + '" stroke="' + colour('--surface') + '" stroke-width="2"/>') + '</svg>';
    if (icon.dataset.mark !== mark) { icon.dataset.mark = mark; icon.href = 'data:image/svg+xml,' + encodeURIComponent(svg); }
  }
  function looked() { fresh = {}; count(); }
  /* whoever moves or types in the workspace a moment later has looked at what came, for all tabs */
  if (list) ['pointermove', 'pointerdown', 'keydown', 'wheel'].forEach(function (kind) {
    document.addEventListener(kind, function () {
      if (Date.now() - freshAt < 1000 || !Object.keys(fresh).length) return;
      looked();
      try { localStorage.setItem('looked-' + me, Date.now()); } catch (e) { /* storage is blocked: this tab alone */ }
    }, { passive: true });
  });
  setInterval(count, 1000);

  /* ----- the switches: kept on the server, for every browser of this person ----- */
  function permit() {
    var state = allowed(), wanted = on('on_desktop');
    $('#rings-allow').hidden = !(wanted && state === 'default');
    $('#rings-denied').hidden = !(wanted && state === 'denied');
  }
  function request() { if (allowed() === 'default') Promise.resolve(Notification.requestPermission()).then(permit); }
  $('#rings-allow').onclick = request;
  form.addEventListener('change', function (e) {
    var data = new FormData(), box = e.target;
    data.set('csrfmiddlewaretoken', form.elements.csrfmiddlewaretoken.value); data.set(box.name, box.checked ? '1' : '0');
    if (box.checked && box.name === 'rings_on_desktop') request();
    permit();
    page.ask(form.action, data).then(function () {
      try { localStorage.setItem('switch-' + me, JSON.stringify([box.name, box.checked, Date.now()])); } catch (x) { /* other tabs: at their next load */ }
    }, function (x) { box.checked = !box.checked; permit(); page.toast(x.message); });
  });
  window.addEventListener('storage', function (e) {
    if (e.key === 'looked-' + me) looked();
    if (e.key !== 'switch-' + me || !e.newValue) return;
    var told = JSON.parse(e.newValue); form.elements[told[0]].checked = told[1]; permit();
  });
  permit(); count(); form.hidden = false;
})();
