/* The workspace: live panel, one open dialog, keyboard. No dependencies. The server renders every fragment;
   this script fetches, puts in place what changed, and keeps what the hand or the focus is on. */
(function () {
  'use strict';
  var page = window.live, $ = page.$, $$ = page.$$, put = page.put, fromHtml = page.fromHtml, words = page.words, toast = page.toast, now = page.now;
  var body = document.body, root = document.documentElement, lang = root.lang, ws = $('.workspace'), list = $('#list');
  function main() { return $('#dialog'); }
  function opened() { return main().dataset.number || ''; }

  /* ----- time ----- */
  /* in the account's time zone, as in its letters; in the browser's own where that does not know it */
  function clock(options) {
    try { return new Intl.DateTimeFormat(lang, Object.assign({ timeZone: body.dataset.zone }, options)); } catch (e) { return new Intl.DateTimeFormat(lang, options); }
  }
  var hm = clock({ hour: '2-digit', minute: '2-digit' });
  var dated = clock({ day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });
  var dayName = clock({ weekday: 'long', day: 'numeric', month: 'long' });
  var date = clock({ year: 'numeric', month: 'numeric', day: 'numeric' });
  function clocks(r) {
    var today = date.format(now());
    $$('[data-clock]', r).forEach(function (e) {
      if (!e.dataset.clock) return;
      var d = new Date(+e.dataset.clock), near = e.dataset.from ? date.format(+e.dataset.from) : today;
      put(e, (date.format(d) === near ? hm : dated).format(d));
      if (!e.dateTime) e.dateTime = d.toISOString();
    });
    $$('[data-day]', r).forEach(function (e) { put(e, dayName.format(new Date(+e.dataset.day))); });
  }
  function tick() {
    var t = now();
    $$('.wait[data-since]', list).forEach(function (e) {
      var s = (t - e.dataset.since) / 1000, offline = e.closest('#section-offline');
      put(e, page.length(s));
      e.classList.toggle('wait--warm', !offline && s >= 180 && s < 300);
      e.classList.toggle('wait--hot', !offline && s >= 300);
    });
    $$('[data-until]').forEach(function (e) { put(e, page.length(Math.ceil((e.dataset.until - t) / 1000))); });
  }

  /* ----- one loud card: of the visitors on the site, the one who waits longest ----- */
  function loudest() {
    if (handIsOn()) return;  // it is larger than the others: choosing another would move them
    var best = null;
    $$('#section-waiting .card, #section-mine .card, #section-general .card').forEach(function (c) {
      var w = $('.wait[data-since]', c);
      if (w && !c.dataset.away && (!best || +w.dataset.since < +$('.wait', best).dataset.since)) best = c;
    });
    $$('.card', list).forEach(function (c) {
      c.classList.toggle('card--loud', c === best);
      var w = $('.wait', c); if (w) w.classList.toggle('wait--loud', c === best);
    });
  }

  function csrf() { return $('input[name=csrfmiddlewaretoken]').value; }

  /* ----- the panel: the same nodes, changed in place; nothing moves under the hand ----- */
  var handAt = 0, waiting = null;
  var under = null;  // the card under the pointer
  var told = new WeakMap();  // what the server said of a part of the page when that was last changed
  list.addEventListener('pointermove', function (e) {
    if (e.pointerType !== 'touch') { handAt = Date.now(); under = e.target.closest('.card') || under; }
  });
  list.addEventListener('pointerleave', function () { handAt = 0; under = null; release(); });
  function handIsOn() { return Date.now() - handAt < 1500; }
  function release() { if (waiting) { var w = waiting; waiting = null; arrange(w, true); } }
  setInterval(function () { if (waiting && !handIsOn()) release(); }, 400);
  list.addEventListener('click', function (e) { if (e.target.closest('.section-held')) { handAt = 0; release(); } });

  function sameAs(a, b) {
    a.className = b.className + (a.classList.contains('card--loud') ? ' card--loud' : '');
    ['data-away', 'href'].forEach(function (n) {
      if (b.hasAttribute(n)) a.setAttribute(n, b.getAttribute(n)); else a.removeAttribute(n);
    });
    var before = $$('time', a).map(function (t) { return t.textContent; }), html = b.innerHTML;
    if (told.get(a) !== html) {
      a.innerHTML = html; told.set(a, html);
      $$('time', a).forEach(function (t, i) { if (before[i]) t.textContent = before[i]; });
    }
  }
  /* what a card says anew must not push those below it away from the hand: all keep their heights as long as it is there */
  function fixHeights() {
    cards().map(function (c) { return [c, c.offsetHeight]; }).forEach(function (pair) { pair[0].style.height = pair[1] + 'px'; });
  }
  function fit() {
    cards().forEach(function (c) { c.classList.remove('card--still'); });
    cards().filter(function (c) { return c.scrollHeight > c.clientHeight; }).forEach(function (c) { c.classList.add('card--still'); });
  }
  function loosen() { cards().forEach(function (c) { c.classList.remove('card--still'); c.style.height = ''; }); }
  function panel(html, asked) {
    var fresh = fromHtml(html), held = handIsOn();
    if (held) fixHeights();
    $$('.card-list > li', fresh).forEach(function (li) {
      var old = document.getElementById(li.id);
      if (old && list.contains(old)) sameAs($('.card', old), $('.card', li));
    });
    if (held) fit();
    arrange(fresh, false); tellGone(fresh); done();
    page.tell('panel', { fresh: fresh, asked: asked });
  }
  /* who took the card that is still here only because the hand or the focus is on it */
  function tellGone(fresh) {
    var said = $('#gone', fresh), card = said && $('#card-' + said.dataset.number + ' .card--gone', list);
    if (card) put($('.card-text', card), said.textContent);
  }
  function touched() { var f = document.activeElement; return handIsOn() && under || (list.contains(f) ? f.closest('.card') : null); }
  function done() { mark(current); loudest(); tick(); }
  function arrange(fresh, now) {
    var held = !now && handIsOn(), tops = new Map();
    if (!held) {
      $$('.card', list).forEach(function (c) { tops.set(c, c.getBoundingClientRect().top); });
      loosen();
    }
    var active = document.activeElement, all = {};
    $$('.card-list > li', fresh).forEach(function (li) { all[li.id] = true; });
    function stays(li) { return !all[li.id] && li.contains(active); }  // gone, but the focus is on it
    $$('.section', fresh).forEach(function (section) {
      var mine = document.getElementById(section.id), ul = $('.card-list', mine), wanted = $$('.card-list > li', section), at = ul.firstElementChild;
      var missing = wanted.filter(function (li) { var o = document.getElementById(li.id); return !o || o.parentNode !== ul; }).length;
      var button = $('.section-held', mine);
      button.hidden = !(held && missing); put(button, '+' + missing);
      if (held) return;
      wanted.forEach(function (li) {
        var node = document.getElementById(li.id), card;
        if (!node || !list.contains(node)) { node = document.importNode(li, true); $('.card', node).classList.add('card--arrived'); }
        card = $('.card', node); card.classList.remove('card--gone'); card.removeAttribute('aria-disabled');
        while (at && stays(at)) at = at.nextElementSibling;
        if (at === node) at = at.nextElementSibling; else ul.insertBefore(node, at);
      });
      ul.hidden = !wanted.length && !Array.prototype.some.call(ul.children, stays);
      var count = $('.count', mine), other = $('.count', section);
      put(count, other.textContent); count.className = other.className;
      ['.section-empty', '.section-more'].forEach(function (s) {
        var a = $(s, mine), b = $(s, section); if (a.innerHTML !== b.innerHTML) a.innerHTML = b.innerHTML; a.hidden = b.hidden;
      });
    });
    $$('.card-list > li', list).forEach(function (li) {
      if (all[li.id]) return;
      if (held || li.contains(document.activeElement)) goes($('.card', li), fresh); else li.remove();
    });
    if (held) { waiting = fresh; return; }
    if (active && active !== document.activeElement && list.contains(active)) active.focus({ preventScroll: true });
    var ms = parseFloat(getComputedStyle(root).getPropertyValue('--t-move')) || 0;
    tops.forEach(function (top, c) {
      if (!c.isConnected || !ms || !c.animate) return;
      var d = top - c.getBoundingClientRect().top;
      if (d) c.animate([{ transform: 'translateY(' + d + 'px)' }, { transform: 'none' }], { duration: ms, easing: 'cubic-bezier(.2,.7,.2,1)' });
    });
    if (now) done();
  }
  /* taken, closed or moved by another: it stays as long as it is touched, and says what became of it */
  function goes(card, fresh) {
    if (card.classList.contains('card--gone')) return;
    card.classList.add('card--gone'); card.setAttribute('aria-disabled', 'true'); told.delete(card);
    put($('.card-text', card), words.gone);
    var wait = $('.wait', card), meta = $('.card-meta', card); if (wait) wait.textContent = ''; if (meta) meta.textContent = '';
    if (wait) wait.removeAttribute('data-since');
    if (touched() === card && !$('#gone', fresh)) lookSoon();
  }
  function lookSoon() { setTimeout(function () { page.rush({ panel: true }); }, 0); }
  list.addEventListener('focusout', function (e) {
    var c = e.target.closest('.card--gone'); if (c) lookSoon();
  });
  function refreshPanel() {
    var card = touched(), of = card ? card.parentNode.id.slice(5) : '', asked = Date.now();
    return page.ask(body.dataset.panel + '?open=' + opened() + '&under=' + of).then(function (r) {
      followStatus(r.headers.get('X-Status'), asked);
      return r.text();
    }).then(function (html) { panel(html, asked); });
  }

  /* ----- the open dialog ----- */
  var drafts = {};
  function reply() { return $('#reply'); }
  function keepDraft() { if (reply() && opened()) drafts[opened()] = reply().value; }
  function show(html, focus) {
    keepDraft();
    var fresh = fromHtml(html), m = fresh.getElementById('dialog'), v = fresh.getElementById('visitor');
    var side = ws.dataset.side;
    var same = opened() && m.dataset.number === opened() && main().dataset.mode !== 'coming', unsent = same ? $$('[data-pending]', main()) : [];
    main().replaceWith(document.importNode(m, true)); learnBar();
    if (same) visitorNews(v); else { $('#visitor').replaceWith(document.importNode(v, true)); learn(); }
    current = opened(); ws.dataset.view = current ? 'dialog' : 'list'; if (!current) history.replaceState({}, '', '/workspace/');
    ws.dataset.side = focus ? '' : side || '';
    clocks(); tick(); ready();
    unsent.forEach(function (m) { $('.log-inner', main()).appendChild(m); });
    if (focus) ($('#take') || reply() || main()).focus({ preventScroll: true });
    bottom();
  }
  function ready() {
    if (!reply()) return;
    reply().value = drafts[opened()] || reply().value; grow();
  }
  function grow() { var r = reply(); r.style.height = 'auto'; r.style.height = Math.min(r.scrollHeight, innerHeight * .4) + 'px'; }
  function log() { return $('.log', main()); }
  function atBottom() { var l = log(); return !l || l.scrollHeight - l.scrollTop - l.clientHeight < 60; }
  function bottom() { if (log()) log().scrollTop = 1e7; var b = $('.new-below'); if (b) b.remove(); }
  /* a live update of the dialog that is open: what is typed, focused or scrolled stays */
  function update(html) {
    var fresh = fromHtml(html), m = fresh.getElementById('dialog');
    if (m.dataset.number !== opened()) return;
    if (m.dataset.mode !== main().dataset.mode || !log()) return show(html, main().contains(document.activeElement));
    main().dataset.ticket = m.dataset.ticket;
    var old = $('.dialog-title', main()), follow = atBottom();
    if (old.innerHTML !== $('.dialog-title', m).innerHTML) old.innerHTML = $('.dialog-title', m).innerHTML;
    var bar = $('.take-bar', main()), says = $('.take-bar', m);
    if (bar && says && told.get(bar) !== sign(says)) {
      var focused = bar.contains(document.activeElement);
      bar.replaceWith(document.importNode(says, true)); learnBar(); if (focused && $('#take')) $('#take').focus({ preventScroll: true });
    }
    var route = $('#route'), other = $('#route', m); if (route && other && route.innerHTML !== other.innerHTML) route.innerHTML = other.innerHTML;
    var inner = $('.log-inner', main()), added = 0;
    $$('.log-inner > [id]', m).forEach(function (node) {
      if (document.getElementById(node.id)) return;
      if (node.dataset.key) { var mine = $('[data-pending="' + node.dataset.key + '"]', inner); if (mine) mine.remove(); }
      inner.insertBefore(document.importNode(node, true), $('[data-pending]', inner)); added += 1;
    });
    visitorNews(fresh.getElementById('visitor'));
    clocks(); tick();
    if (added && follow) bottom(); else if (added) below();
  }
  /* the visitor's column, block by block: what did not change keeps its place, its focus and what is unfolded */
  function sign(bar) { return page.sign(bar.outerHTML); }
  function learnBar() { var bar = $('.take-bar', main()); if (bar) told.set(bar, sign(bar)); }
  function learn() { $$('#visitor .block').forEach(function (b) { told.set(b, b.innerHTML); }); }
  function visitorNews(fresh) {
    var panel = $('#visitor .panel'), last = null;
    $$('.block', panel).forEach(function (b) { if (!$('[id="' + b.id + '"]', fresh)) b.remove(); });
    $$('.block', fresh).forEach(function (b) {
      var mine = $('[id="' + b.id + '"]', panel), focus = document.activeElement, html = b.innerHTML;
      if (!mine) {
        mine = document.importNode(b, true); told.set(mine, html);
        panel.insertBefore(mine, last ? last.nextSibling : panel.firstChild);
      } else if (told.get(mine) !== html && (!mine.contains(focus) || focus.id)) {
        var unfolded = $$('details[open]', mine), focused = mine.contains(focus) ? focus.id : '';
        mine.innerHTML = html; told.set(mine, html);
        unfolded.forEach(function (d) { var same = document.getElementById(d.id); if (same) same.open = true; });
        if (focused && document.getElementById(focused)) document.getElementById(focused).focus({ preventScroll: true });
      }
      last = mine;
    });
  }
  function below() {
    if ($('.new-below')) return;
    var b = document.createElement('button'); b.type = 'button'; b.className = 'new-below'; b.textContent = words.newBelow;
    b.onclick = bottom; $('.log-inner', main()).appendChild(b);
  }
  function refreshDialog() {
    var n = opened(); if (!n) return Promise.resolve();
    return page.html('/workspace/' + n + '/fragment/').then(update, function (e) {
      if (e.status === 404 && opened() === n) location.assign('/workspace/');
      throw e;
    });
  }
  /* a list that was asked for before another card was opened does not know: the page does */
  var current = opened();
  function mark(number) {
    current = number;
    $$('.card', list).forEach(function (c) {
      var own = c.parentNode.id === 'card-' + number;
      if (own) { c.setAttribute('aria-current', 'true'); c.classList.remove('card--unread'); } else c.removeAttribute('aria-current');
    });
    rove();
  }
  var opening = 0;
  /* until the dialog is here: its head from the card, and lines where the messages will be; or that it did not come */
  function hollow(number, failed) {
    var card = $('#card-' + number + ' .card-who', list), m = main().cloneNode(false), details = $('#visitor .panel');
    keepDraft();
    m.dataset.mode = 'coming'; m.dataset.number = number; m.append(document.importNode($('#coming').content, true));
    if (card) $('h1', m).innerHTML = card.innerHTML; else put($('h1', m), '#' + number);
    $(failed ? '.log' : '.empty', m).remove();
    if (failed) $('.empty button', m).onclick = function () { open(number, true); };
    if (details) details.replaceChildren();
    main().replaceWith(m); ws.dataset.view = 'dialog';
  }
  function open(number, quiet) {
    var turn = ++opening, slow = setTimeout(function () { hollow(number); }, 300);
    mark(number); keepDraft();
    return page.html('/workspace/' + number + '/fragment/').then(function (html) {
      clearTimeout(slow);
      if (turn !== opening) return;
      if (!quiet) history.pushState({ number: number }, '', '/workspace/' + number + '/');
      show(html, true); page.rush(); page.turn();
    }).catch(function (e) {
      clearTimeout(slow);
      if (turn !== opening) return;
      if (e.status === 404) location.assign('/workspace/' + number + '/'); else hollow(number, true);
    });
  }
  list.addEventListener('click', function (e) {
    var c = e.target.closest('.card');
    if (!c || e.ctrlKey || e.metaKey || e.shiftKey || e.button) return;
    e.preventDefault(); if (!c.classList.contains('card--gone')) open(c.parentNode.id.slice(5));
  });
  window.addEventListener('popstate', function () {
    var n = (location.pathname.match(/^\/workspace\/(\d+)\/$/) || [])[1];
    if (n) open(n, true); else location.reload();
  });

  /* ----- acting ----- */
  document.addEventListener('submit', function (e) {
    var form = e.target, act = form.dataset.act;
    if (form.id === 'composer') { e.preventDefault(); return send(form); }
    if (!act) return;
    e.preventDefault();
    var n = opened(), button = $('button', form); if (button.getAttribute('aria-busy')) return;
    button.setAttribute('aria-busy', 'true');
    var back = main().dataset.mode === 'free' && function () { giveBack(n); };
    post(form.action, new FormData(form), form.dataset.anyway).then(function (html) {
      if (act === 'take') toast(words.isYours.replace('%s', n), back); else toast(words.closed.replace('%s', n));
      page.rush();
      if (n !== opened()) return;
      show(html, true); if (act === 'close') onwards(n);
    }).catch(function (e) {
      button.removeAttribute('aria-busy'); if (e.declined) return button.focus();
      toast(e.message); refreshDialog().catch(noop); refreshPanel().catch(noop);
    });
  });
  function giveBack(n) {
    var data = new FormData(); data.set('to', 'queue'); data.set('csrfmiddlewaretoken', csrf());
    post('/workspace/' + n + '/transfer/', data).then(function (html) { page.rush(); if (n === opened()) show(html, true); }, function (e) { toast(e.message); });
  }
  /* an action; what the rules only allow after a warning is asked about first, and sent again with the answer */
  function post(url, data, anyway, signal) {
    return page.html(url, data, signal).catch(function (e) {
      if (!e.asks) throw e;
      return warn(e.message, anyway).then(function (yes) {
        if (!yes) { e.declined = true; throw e; }
        data.set('confirmed', '1'); return post(url, data, anyway, signal);
      });
    });
  }
  function warn(text, anyway) {
    var box = $('#confirm'), yes = $('#confirm-yes'), answer = false;
    put($('#confirm-text'), text); put(yes, anyway); box.showModal(); yes.focus();
    return new Promise(function (done) {
      yes.onclick = function () { answer = true; box.close(); };
      box.onclose = function () { done(answer); };
    });
  }
  /* after Close: the next card, on a phone the list */
  function onwards(number) {
    var all = cards(), i = all.findIndex(function (c) { return c.parentNode.id === 'card-' + number; }), next = all[i + 1] || all[i - 1];
    if (!list.offsetParent) toList();
    if (next) focusCard(next);
  }
  function toList() { ws.dataset.view = 'list'; history.pushState({}, '', '/workspace/'); }
  function noop() {}
  function newKey() {
    return window.crypto && crypto.randomUUID ? crypto.randomUUID() : Date.now() + '-' + Math.random().toString(36).slice(2);
  }
  function send(form) {
    var text = reply().value.trim(); put($('#reply-error'), '');
    if (!text) return reply().focus();
    var data = new FormData(form), key = newKey(); data.set('key', key); data.set('text', text);
    var m = document.createElement('div'), b = document.createElement('div'), f = document.createElement('div');
    m.className = 'message message--mine'; m.dataset.pending = key; b.className = 'bubble'; b.textContent = text;
    f.className = 'message-foot'; m.append(b, f); $('.log-inner', main()).appendChild(m);
    reply().value = ''; drafts[opened()] = ''; grow(); bottom();
    dispatch(form.action, data, m, f, opened());
  }
  /* one after the other, as they were written; what waits for the connection keeps the key it was first sent with (B1) */
  var sending = Promise.resolve(), parked = [], inTheAir = null;
  function dispatch(url, data, m, f, n) {
    m.classList.remove('message--failed'); f.textContent = words.sending;
    sending = sending.then(function () { return attempt(url, data, m, f, n); });
  }
  function attempt(url, data, m, f, n) {
    function park() { f.textContent = words.queued; parked.push(function () { dispatch(url, data, m, f, n); }); }
    if (parked.length) return park();
    inTheAir = new AbortController();
    return post(url, data, words.sendAnyway, inTheAir.signal).then(function (html) {
      if (n === opened()) update(html);
      m.remove(); page.rush();
    }).catch(function (e) {
      if (!e.status && (!$('#lost').hidden || !navigator.onLine)) return park();
      m.classList.add('message--failed'); f.textContent = words.notSent + ' ' + (e.status ? e.message : '') + ' ';
      var again = document.createElement('button'); again.type = 'button'; again.textContent = words.again;
      again.onclick = function () { dispatch(url, data, m, f, n); }; f.appendChild(again);
      if (e.status === 409) refreshDialog().catch(noop);
    });
  }
  window.addEventListener('beforeunload', function (e) { if (parked.length) { e.preventDefault(); e.returnValue = ''; } });
  document.addEventListener('input', function (e) { if (e.target.id === 'reply') grow(); });

  var status = $('#status'), chosen = status.value;
  function shape() {
    var v = status.value;
    status.previousElementSibling.className = 'presence' + (v === 'online' ? '' : v === 'offline' || v === 'invisible' ? ' presence--off' : ' presence--break');
  }
  status.addEventListener('change', function () {
    var data = new FormData(), value = status.value; data.set('status', value); data.set('csrfmiddlewaretoken', csrf()); shape();
    chosenAt = Infinity;
    page.ask(status.form.action, data).then(function () { chosen = value; }, function (e) {
      status.value = chosen; shape(); toast(words.statusFailed + ' ' + (e.status ? e.message : ''));
    }).then(function () { chosenAt = Date.now(); });
  });
  /* chosen in another tab, or by a supervisor, who is named */
  var chosenAt = 0;
  function followStatus(value, asked) {
    if (!value || value === chosen || asked < chosenAt) return;
    chosen = status.value = value; shape();
    page.json(status.form.action).then(function (j) { if (j.said) toast(j.said); }, noop);
  }
  shape();

  /* ----- live ----- */
  page.on('panel', refreshPanel); page.on('dialog', refreshDialog);
  document.addEventListener('live:connected', function (e) {
    if (e.detail) parked.splice(0).forEach(function (go) { go(); });
    else if (inTheAir) inTheAir.abort();  // nobody may ever say what became of it
  });
  $('#lost-again').onclick = function () { page.rush(); };

  /* ----- list: one Tab stop, arrows or j/k; keys by place, so they are the same under ЙЦУКЕН ----- */
  function cards() { return $$('.card', list); }
  function rove(to) {
    var all = cards(), stop = to || all.find(function (c) { return c === document.activeElement; }) ||
      all.find(function (c) { return c.hasAttribute('aria-current'); }) || all[0];
    all.forEach(function (c) { c.tabIndex = c === stop ? 0 : -1; });
  }
  function focusCard(c) { if (c) { rove(c); c.focus(); c.scrollIntoView({ block: 'nearest' }); } }
  function step(d) {
    var all = cards(), i = all.indexOf(document.activeElement);
    if (i < 0) i = all.findIndex(function (c) { return c.hasAttribute('aria-current'); });
    if (i < 0 && d > 0) return focusCard(all[0]);
    focusCard(all[Math.max(0, Math.min(all.length - 1, i + d))]);
  }
  list.addEventListener('focusin', function (e) { if (e.target.classList.contains('card')) rove(e.target); });
  function side(on) { ws.dataset.side = on ? 'open' : ''; var b = $(on ? '#side-close' : '#side-open'); if (b) b.focus(); }
  var keys = $('#keys'), single = $('#single-keys');
  try { single.checked = localStorage.getItem('single-keys') !== 'off'; } catch (e) { /* storage is blocked: keys stay on */ }
  single.onchange = function () { try { localStorage.setItem('single-keys', single.checked ? 'on' : 'off'); } catch (e) { /* as above */ } };
  $('#keys-open').onclick = function () { keys.showModal(); };
  document.addEventListener('click', function (e) {
    if (e.target.closest('#keys-close')) keys.close();
    else if (e.target.closest('[data-close]')) e.target.closest('dialog').close();
    else if (e.target.closest('#side-open')) side(true);
    else if (e.target.closest('#side-close')) side(false);
    else if (e.target.closest('#to-list')) { e.preventDefault(); toList(); focusCard($('.card[aria-current]', list)); }
    var menu = $('.menu[open]'); if (menu && !menu.contains(e.target)) menu.open = false;
  });
  document.addEventListener('keydown', function (e) {
    var typing = /INPUT|TEXTAREA|SELECT/.test(e.target.tagName), inList = list.contains(e.target), menu = $('.menu[open]');
    if ((e.ctrlKey || e.metaKey) && e.code === 'Enter' && e.target.id === 'reply') { e.preventDefault(); return send(e.target.form); }
    if ($('dialog[open]')) return;
    if (e.code === 'Escape' && menu) { menu.open = false; return $('summary', menu).focus(); }
    if (e.code === 'Escape' && ws.dataset.side === 'open') return side(false);
    if (e.code === 'Escape' && e.target.id === 'reply') return focusCard($('.card[aria-current]', list) || cards()[0]);
    if (e.ctrlKey || e.metaKey || e.altKey || typing) return;
    /* from a hit of the archive: back to it */
    if (e.code === 'Escape' && !history.state && /\/workspace\/archive\/(\?|$)/.test(document.referrer)) return history.back();
    if (inList && (e.code === 'ArrowDown' || e.code === 'ArrowUp')) { e.preventDefault(); return step(e.code === 'ArrowDown' ? 1 : -1); }
    if (inList && (e.code === 'Home' || e.code === 'End')) { e.preventDefault(); var a = cards(); return focusCard(a[e.code === 'Home' ? 0 : a.length - 1]); }
    if (!single.checked) return;
    if (e.key === '?' || (e.shiftKey && e.code === 'Slash')) { e.preventDefault(); return keys.showModal(); }
    if (e.shiftKey) return;
    var run = {
      KeyJ: function () { step(1); }, KeyK: function () { step(-1); },
      KeyN: function () { var c = $('.card--loud') || $('.card .wait[data-since]', list); if (c) { c = c.closest('.card'); focusCard(c); open(c.parentNode.id.slice(5)); } },
      KeyT: function () { if ($('#take')) $('#take').click(); },
      KeyR: function () { if (reply()) reply().focus(); },
      KeyP: function () { if ($('#transfer-open')) $('#transfer-open').click(); },
      KeyE: function () { if ($('#close')) $('#close').click(); },
      Slash: function () { location.assign($('#archive').href); }
    }[e.code];
    if (run) { e.preventDefault(); run(); }
  });

  page.open = open;  // for transfer.js and rings.js
  page.post = post; page.show = show; page.opened = opened;
  learn(); clocks(); ready(); bottom(); done(); setInterval(tick, 1000);
  if (words.welcome) toast(words.welcome);
})();
