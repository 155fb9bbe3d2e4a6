"""Full-text search for dialogs, and marking the words in what was found (Q13, decision 0014).

`SearchText` holds the words of each dialog, and its visitor's name and addresses. A dialog is found if every word of the search is
among them, in any grammatical form. Stop words ("and", "the") are left out of the search.

How words are looked up depends on the database (`dialogs.reading.search_index`). A *stem* is a word without its ending.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.db.models import Max, QuerySet
from django.db.models.functions import Coalesce

from dialogs.models import Message, MessageKind, SearchText
from dialogs.reading.search_index import search_index
from webim_offline.foundation.database import stemming
from webim_offline.foundation.text import cut

PHONE = re.compile(r"[+0-9\s().-]{7,}")  # a search that is a telephone number and nothing else
BEFORE_HIT, LONGEST_EXCERPT = 60, 220  # characters of an excerpt: at most before its first hit, and in all

Piece = tuple[str, bool]  # a piece of a text, and whether it is a word that was searched for


@dataclass(frozen=True)
class Terms:
    """What was searched for, in the form in which the database understands it."""

    index: str  # to find dialogs: a tsquery or an FTS5 expression; empty if only stop words were searched for
    message: str  # to find a message with all the words: a tsquery; on SQLite stems separated by spaces
    stems: frozenset[str]  # to mark the words in what was found


def terms(text: str) -> Terms:
    """Return the terms of a search for `text`.

    A telephone number is also looked up by its last ten digits, so that it is found however it was written.
    """
    stems = list(dict.fromkeys(stemming.stems(text)))
    phones = stemming.phone_digits(text).split()[-1:] if PHONE.fullmatch(text.strip()) else []
    marked = frozenset((*stems, *phones))
    index = search_index()
    words = index.words(text, stems)
    return Terms(index.expression(words, phones) if words else "", words, marked)


# ----- where it stands -----


def found(sought: Terms, account_id: int) -> QuerySet[SearchText]:
    """Return the texts that match, by the full-text index.

    On PostgreSQL they are those of the account. On SQLite they can belong to other accounts too: the caller must filter them.
    """
    return SearchText.objects.filter(search_index().dialogs_with(sought.index, account_id))


def passages(sought: Terms, dialog_ids: Iterable[int]) -> dict[int, str]:
    """Return the text of the message to show for each of these dialogs, by dialog id.

    It is the newest message with all the words, or else the newest with any of them. A dialog without such a message is left out;
    its visitor's name may have matched. System messages are not searched.
    """
    said = Message.objects.filter(dialog__in=list(dialog_ids)).exclude(kind=MessageKind.SYSTEM)
    every, some = (search_index().messages_with(sought.message, every=every) for every in (True, False))
    best = said.filter(some).order_by().values("dialog").annotate(best=Coalesce(Max("pk", filter=every), Max("pk"))).values("best")
    return dict(Message.objects.filter(pk__in=best).order_by().values_list("dialog_id", "text"))


# ----- marking -----


def marked(text: str, stems: frozenset[str]) -> list[Piece]:
    """Cut a text into pieces, so that each word that was searched for is a piece of its own. Together they are the whole text."""
    pieces: list[Piece] = []
    end = 0
    for start, stop in _hits(text, stems):
        pieces += [(text[end:start], False), (text[start:stop], True)]
        end = stop
    return [piece for piece in (*pieces, (text[end:], False)) if piece[0]]


def excerpt(text: str, stems: frozenset[str]) -> list[Piece]:
    """Return the part of a text around the first word that was searched for, as one line in pieces (see `marked`).

    It has at most LONGEST_EXCERPT characters and an ellipsis where something was left out. If nothing in the text matches, it is
    its beginning.
    """
    line = " ".join(text.split())
    first = next(_hits(line, stems), (0, 0))[0]
    start = 0 if first <= BEFORE_HIT else _after_space(line, first - BEFORE_HIT, first)
    shown = cut(line[start:], LONGEST_EXCERPT)
    if start + len(shown) < len(line):
        shown = (shown[: shown.rfind(" ", LONGEST_EXCERPT // 2)] if " " in shown[LONGEST_EXCERPT // 2 :] else shown) + "…"
    return marked(("…" if start else "") + shown, stems)


def _after_space(line: str, low: int, high: int) -> int:
    """Return where the first word between `low` and `high` begins, or about `low` if there is no blank between them."""
    space = line.find(" ", low, high)
    return len(cut(line, low)) if space < 0 else space + 1


def _hits(text: str, stems: frozenset[str]) -> Iterator[tuple[int, int]]:
    """Yield the start and end of each word in the text that has one of these stems."""
    for word in stemming.WORD.finditer(stemming.folded(text)):
        if len(word[0]) <= stemming.LONGEST_WORD and stemming.stem(word[0]) in stems:
            yield word.span()
