"""The HTML of the cards of the left panel, made once for all that are equal and kept in the process.

Whatever a card shows is part of the key under which its HTML is kept. So nothing has to be made invalid when a dialog, a person, a
department or a setting changes: what is shown then has another key.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from threading import Lock
from typing import Any, NamedTuple

from django.template.loader import get_template
from django.utils import timezone
from django.utils.translation import get_language

from dialogs.reading.cards import Card

MOST_KEPT = 5000  # about 8 MB


@dataclass(frozen=True, slots=True)
class Setting:
    """What a card says depends on where it is shown, too.

    `section` is its section. A department is named only where `shows_departments`, and a language unless it is the usual one (its
    id).
    """

    section: str
    is_own: bool
    shows_departments: bool
    usual_language: int | None


class CardHtml(NamedTuple):
    """The HTML of a card, and a short name for both: another HTML has another one. `empty` is its item without anything in it."""

    number: int
    html: str
    name: str
    empty: str


_kept: OrderedDict[tuple[Any, ...], CardHtml] = OrderedDict()
_lock = Lock()


def html_of(cards: Iterable[Card], setting: Setting, current: int | None) -> list[CardHtml]:
    """The HTML of these cards in the active language and time zone; `current` is the number of the dialog that is open."""
    where = (*astuple(setting), get_language(), timezone.get_current_timezone_name())
    return [
        _kept.get((card, where, card.number == current)) or _make(card, setting, where, is_current=card.number == current)
        for card in cards
    ]


def _make(card: Card, setting: Setting, where: tuple[Any, ...], *, is_current: bool) -> CardHtml:
    context = {
        "card": card,
        "section": setting.section,
        "is_own": setting.is_own,
        "is_current": is_current,
        "department": card.department_name if setting.shows_departments else None,
        "language": card.language_code if card.language_id != setting.usual_language else None,
    }
    html = get_template("dialogs/_card.html").render(context).strip()
    tag = hashlib.blake2s(html.encode(), digest_size=6).hexdigest()
    made = CardHtml(card.number, html, f"{card.number}:{tag}", f'<li id="card-{card.number}"></li>')
    with _lock:
        _kept[card, where, is_current] = made
        while len(_kept) > MOST_KEPT:
            _kept.popitem(last=False)
    return made
