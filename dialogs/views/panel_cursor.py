"""What a page has of the left panel, so that it is sent only what has changed.

Each panel comes with a cursor, which names the cards that it holds: their numbers, and the tags of their HTML. It names, too, what
each section said of the dialogs beyond its window. A page that reads the panel again sends the cursor of what it has. Cards that
are the same as then come back as empty items, and what lies beyond a window as a mark; the page fills them in.

What is behind a cursor is kept in the cache for a while. A cursor that is not there (any more), of somebody else, or made up, is
answered with the whole panel. The cursor is a digest of what it names, so it can never stand for something else: not after a new
release of the program, nor after a backup was restored.
"""

import hashlib
import re
from collections.abc import Iterable

from django.core.cache import cache

from dialogs.views.card_html import CardHtml
from operators.models import Operator

KEPT_FOR = 15 * 60  # seconds; a panel in which nothing changes for longer is sent whole once
CURSOR = re.compile(r"[0-9a-f]{32}", re.ASCII)


def known_parts(operator: Operator, cursor: str) -> set[str]:
    """What a page has, by name; nothing for a cursor that is not known."""
    if not CURSOR.fullmatch(cursor):
        return set()
    kept = cache.get(_key(operator, cursor))
    return set(kept.split()) if isinstance(kept, str) else set()


def cursor_of(operator: Operator, cards: Iterable[CardHtml], others: Iterable[str] = (), *, kept: str = "") -> str:
    """The cursor for these cards, and for `others` by name. `kept` is one that is known to be kept: the same is not written again.

    A dialog that was moved while the sections were read may stand in two of them. It is not named, so it is sent again.
    """
    shown = list(cards)
    numbers = [card.number for card in shown]
    if len(set(numbers)) < len(numbers):
        shown = [card for card in shown if numbers.count(card.number) == 1]
    named = " ".join([*(card.name for card in shown), *others])
    cursor = hashlib.blake2s(named.encode(), digest_size=16).hexdigest()
    if cursor != kept:
        cache.set(_key(operator, cursor), named, KEPT_FOR)
    return cursor


def _key(operator: Operator, cursor: str) -> str:
    return f"panel:{operator.pk}:{cursor}"
