/* The page of operators: live figures, and a status set for somebody. What the hand or the focus is on stays. */
(function () {
  'use strict';
  var page = window.live, $ = page.$, $$ = page.$$, table = $('#table'), shownAt = Date.now();
  function tick() {
    $$('.wait[data-since]', table).forEach(function (e) { page.put(e, page.length((page.now() - e.dataset.since) / 1000)); });
  }

  /* ----- the table: the same cells, changed where the server says something else ----- */
  var told = new WeakMap();
  function words(cell) { return page.sign(cell.innerHTML); }
  function learn(cell) { told.set(cell, words(cell)); }
  $$('td, th', table).forEach(learn);
  function update(html) {
    var fresh = page.fromHtml(html), rows = $('tbody', table), at = rows.firstElementChild, here = {};
    $$('tbody tr', fresh).forEach(function (row) {
      here[row.id] = true;
      var mine = document.getElementById(row.id);
      if (!mine) { mine = document.importNode(row, true); $$('td, th', mine).forEach(learn); }
      else Array.prototype.forEach.call(row.children, function (cell, i) { same(mine.children[i], cell); });
      if (at === mine) at = at.nextElementSibling; else rows.insertBefore(mine, at);
    });
    $$('tbody tr', table).forEach(function (row) { if (!here[row.id]) row.remove(); });
    var more = $('.team-more', table), other = $('.team-more', fresh);
    page.put(more, other.textContent); more.hidden = other.hidden;
    tick();
  }
  function same(mine, cell) {
    var select = $('select', mine), html = words(cell);
    if (told.get(mine) === html) return;
    if (select) {  // the same node: it may be open, or in the middle of a choice
      var chosen = $('select', cell).dataset.chosen;
      if (!pending[select.id]) select.value = chosen;
      select.dataset.chosen = chosen;
    } else {
      var focused = mine.contains(document.activeElement);
      mine.innerHTML = cell.innerHTML;
      if (focused && $('a', mine)) $('a', mine).focus({ preventScroll: true });
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
    page.json(select.form.action, data).then(function (j) { page.toast(j.said); select.dataset.chosen = data.get('status'); }, function (e) {
      if (pending[select.id] === mine) select.value = select.dataset.chosen;
      page.toast(page.words.statusFailed + ' ' + (e.status ? e.message : ''));
    }).then(function () { if (pending[select.id] === mine) delete pending[select.id]; page.rush(); });
  }

  page.on('panel', function () {
    return page.html(document.body.dataset.table).then(function (html) { shownAt = Date.now(); update(html); });
  });
  document.addEventListener('live:connected', function () {
    $('#lost-at').textContent = new Date(shownAt).toLocaleTimeString(document.documentElement.lang, { hour: '2-digit', minute: '2-digit' });
  });
  tick(); setInterval(tick, 1000);
})();
