/* The archive by keyboard: / to the search, arrows or j and k over the hits, Enter opens, back from a dialog to its hit. */
(function () {
  'use strict';
  var box = document.getElementById('q');
  var hits = Array.prototype.slice.call(document.querySelectorAll('.hit'));
  var fold = document.querySelector('.fold');
  /* on a phone the filters open when asked for, or when one is set */
  if (window.matchMedia('(max-width: 760px)').matches && !('kept' in fold.dataset)) fold.open = false;
  var place = 'archive:' + location.search;
  function remembered(name) { try { return sessionStorage.getItem(name); } catch (e) { return null; } }
  function remember(name, value) { try { sessionStorage.setItem(name, value); } catch (e) { /* storage is blocked: the page is left without a mark */ } }
  function keysAreOn() { try { return localStorage.getItem('single-keys') !== 'off'; } catch (e) { return true; } }
  function focus(hit) { if (hit) { hit.focus(); hit.scrollIntoView({ block: 'nearest' }); } }
  function step(by) {
    var at = hits.indexOf(document.activeElement);
    focus(at < 0 ? hits[0] : hits[Math.max(0, Math.min(hits.length - 1, at + by))]);
  }
  hits.forEach(function (hit) { hit.addEventListener('click', function () { remember(place, hit.id); }); });

  document.addEventListener('keydown', function (e) {
    var field = /INPUT|TEXTAREA|SELECT/.test(e.target.tagName), inHits = hits.indexOf(e.target) >= 0;
    if (e.ctrlKey || e.metaKey || e.altKey || e.isComposing) return;
    if (e.code === 'Escape' && field) { e.preventDefault(); return hits.length ? focus(document.getElementById(remembered(place)) || hits[0]) : e.target.blur(); }
    if (e.code === 'ArrowDown' && (e.target === box || inHits)) { e.preventDefault(); return step(1); }
    if (e.code === 'ArrowUp' && inHits) { e.preventDefault(); return e.target === hits[0] ? box.focus() : step(-1); }
    if (inHits && (e.code === 'Home' || e.code === 'End')) { e.preventDefault(); return focus(hits[e.code === 'Home' ? 0 : hits.length - 1]); }
    if (field || e.shiftKey || !keysAreOn()) return;
    /* by place, so that they are the same under ЙЦУКЕН */
    if (e.code === 'KeyJ' || e.code === 'KeyK') { e.preventDefault(); step(e.code === 'KeyJ' ? 1 : -1); }
    if (e.code === 'Slash') { e.preventDefault(); box.focus(); box.select(); }
  });

  /* back from a dialog: where the hand was */
  var come = performance.getEntriesByType('navigation')[0];
  window.addEventListener('pageshow', function (e) {
    if (e.persisted || (come && come.type === 'back_forward')) focus(document.getElementById(remembered(place)));
  });
})();
