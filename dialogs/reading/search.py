"""Full-text search for dialogs, and marking the words in what was found (Q13, C7, decision 0014).

`SearchText` holds the words of each dialog, and its visitor's name and addresses. A dialog is found if every word of the search is
among them, in any grammatical form. Stop words ("and", "the") are left out of the search.

`dialogs.reading.search_terms` says what a search asks for. How it is looked up depends on the database
(`dialogs.reading.search_index`).
"""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import BigIntegerField, ExpressionWrapper, F, Max, QuerySet, Value

from dialogs.models import Message, MessageKind, SearchText
from dialogs.reading.search_index import search_index
from dialogs.reading.search_terms import Marks, Wanted, Word, marks, parsed
from webim_offline.foundation.text import cut

BEFORE_HIT, LONGEST_EXCERPT = 60, 220  # characters of an excerpt: at most before its first hit, and in all
ABOVE_KEYS = 1 << 48  # no message has so high a key

Piece = tuple[str, bool]  # a piece of a text, and whether it is something that was searched for


@dataclass(frozen=True)
class Terms:
    """What was searched for, in the form in which the database understands it."""

    index: str  # to find dialogs: a tsquery or an FTS5 expression; empty if only stop words were searched for
    wanted: tuple[Wanted, ...]  # to find a message with all of it
    marks: Marks  # to mark it in what was found


def terms(text: str) -> Terms:
    """Return the terms of a search for `text`."""
    items = parsed(text)
    index = search_index()
    forms = iter(index.forms([item.text for item in items if isinstance(item, Word)]))
    resolved = (item.wanted(*next(forms)) if isinstance(item, Word) else item for item in items)
    wanted = tuple(dict.fromkeys(filter(None, resolved)))
    return Terms(index.expression(wanted) if wanted else "", wanted, marks(items))


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
    # how much of the search a message has counts more than its key: both in one number, so that each text is read once
    rank = ExpressionWrapper(F("pk") + search_index().held(sought.wanted) * Value(ABOVE_KEYS), BigIntegerField())
    best = said.order_by().values("dialog").annotate(best=Max(rank)).values_list("best", flat=True)
    keys = [rank % ABOVE_KEYS for rank in best if rank >= ABOVE_KEYS]
    return dict(Message.objects.filter(pk__in=keys).order_by().values_list("dialog_id", "text"))


# ----- marking -----


def marked(text: str, sought: Marks) -> list[Piece]:
    """Cut a text into pieces, so that each hit of a search is a piece of its own. Together they are the whole text."""
    pieces: list[Piece] = []
    end = 0
    for start, stop in sought.spans(text):
        pieces += [(text[end:start], False), (text[start:stop], True)]
        end = stop
    return [piece for piece in (*pieces, (text[end:], False)) if piece[0]]


def excerpt(text: str, sought: Marks) -> list[Piece]:
    """Return the part of a text around the first hit of a search, as one line in pieces (see `marked`).

    It has at most LONGEST_EXCERPT characters and an ellipsis where something was left out. If nothing in the text matches, it is
    its beginning.
    """
    line = " ".join(text.split())
    first = next(sought.spans(line), (0, 0))[0]
    start = 0 if first <= BEFORE_HIT else _after_space(line, first - BEFORE_HIT, first)
    shown = cut(line[start:], LONGEST_EXCERPT)
    if start + len(shown) < len(line):
        shown = (shown[: shown.rfind(" ", LONGEST_EXCERPT // 2)] if " " in shown[LONGEST_EXCERPT // 2 :] else shown) + "…"
    return marked(("…" if start else "") + shown, sought)


def _after_space(line: str, low: int, high: int) -> int:
    """Return where the first word between `low` and `high` begins, or about `low` if there is no blank between them."""
    space = line.find(" ", low, high)
    return len(cut(line, low)) if space < 0 else space + 1
