/* Handing a dialog on: a list of operators, departments and the queue, in a dialog of its own (Q10). */
(function () {
  'use strict';
  var page = window.live, box = document.getElementById('transfer'), place = document.getElementById('targets');
  var number = '', turn = 0, typed = 0;
  function $(s) { return place.querySelector(s); }
  function rows() { return Array.prototype.filter.call(place.querySelectorAll('.target, .targets-queue .button'), function (b) { return b.offsetParent; }); }

  document.addEventListener('submit', function (e) {
    var form = e.target;
    if (form.dataset.choose) { e.preventDefault(); open(form.dataset.choose, form.action); }
    else if (form.dataset.transfer) { e.preventDefault(); hand(form, e.submitter || document.activeElement); }
    else if (form.classList.contains('targets-search') && place.contains(form)) { e.preventDefault(); if (rows()[0]) rows()[0].focus(); }
  });

  function open(n, url) {
    number = n; place.textContent = '';
    document.getElementById('transfer-title').textContent = page.words.transfer.replace('%s', n);
    if (!box.open) box.showModal();
    load(url, true);
  }
  function load(url, first) {
    var mine = ++turn;
    page.html(url).then(function (html) {
      if (mine !== turn || !box.open) return;
      var fresh = page.fromHtml(html).body;
      if (first) { place.replaceChildren.apply(place, fresh.childNodes); var f = $('#targets-q') || rows()[0]; if (f) f.focus(); }
      else $('.targets').replaceWith(fresh.querySelector('.targets'));
    }).catch(function (e) {
      if (mine !== turn) return;
      var p = document.createElement('p'), again = document.createElement('button');
      p.className = 'targets-none'; p.setAttribute('role', 'alert'); p.textContent = page.words.loadFailed + ' ';
      again.type = 'button'; again.className = 'button button--line'; again.textContent = page.words.tryAgain;
      again.onclick = function () { load(url, true); };
      p.append(again); place.replaceChildren(p);
    });
  }

  /* what is typed narrows the list at once; where more people were left out, the server is asked for them */
  place.addEventListener('input', function (e) {
    var text = e.target.value.trim().toLowerCase(), form = e.target.form, cut = $('.targets').dataset.more || $('.targets').dataset.asked;
    place.querySelectorAll('.targets li').forEach(function (li) {
      li.hidden = li.querySelector('.target-name').textContent.toLowerCase().indexOf(text) < 0;
    });
    place.querySelectorAll('.targets :is(h2, h3)').forEach(function (h) { h.hidden = !h.nextElementSibling.querySelector('li:not([hidden])'); });
    $('.targets .targets-none').hidden = !!$('.targets li:not([hidden])');
    clearTimeout(typed);
    if (!cut) return;
    typed = setTimeout(function () {
      load(form.action + '?q=' + encodeURIComponent(e.target.value));
    }, 250);
  });

  box.addEventListener('keydown', function (e) {
    if (e.code !== 'ArrowDown' && e.code !== 'ArrowUp') return;
    var all = rows(), i = all.indexOf(document.activeElement);
    e.preventDefault();
    if (e.code === 'ArrowUp' && i === 0 && $('#targets-q')) return $('#targets-q').focus();
    i = Math.max(0, Math.min(all.length - 1, i + (e.code === 'ArrowDown' ? 1 : -1)));
    if (all[i]) all[i].focus();
  });

  function hand(form, button) {
    var data = new FormData(form), n = number;
    if (!button.value || button.getAttribute('aria-busy')) return;
    data.set('to', button.value); button.setAttribute('aria-busy', 'true');
    page.post(form.action, data, page.words.transferAnyway).then(function (html) {
      box.close(); page.toast(page.words.given.replace('%s', n)); page.rush();
      if (n === page.opened()) page.show(html, true);
    }).catch(function (e) {
      button.removeAttribute('aria-busy');
      if (e.declined) return button.focus();
      box.close(); page.toast(e.message); page.rush();
    });
  }
  box.addEventListener('close', function () {
    turn += 1; var b = document.getElementById('transfer-open'); if (b) b.focus(); else document.getElementById('dialog').focus();
  });
})();
