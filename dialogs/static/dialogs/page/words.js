/* What the scripts of the page say, in the page's language (live_page.py). */

export const words = JSON.parse(document.getElementById('words').textContent);
