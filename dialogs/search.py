"""What a person searches for, as the database looks it up, and the words to mark in what was found (Q13, decision 0014).

The words of a dialog, and its visitor's name and addresses, stand in `SearchText`; every word searched for must be among them,
in any form of it. Words that are in nearly every message are passed over.
"""

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import connection, transaction
from django.db.models import BooleanField, F, Func, Max, QuerySet, Value
from django.db.models.functions import Coalesce

from dialogs.models import Message, MessageKind, SearchText
from webim_offline import stemming

PHONE = re.compile(r"[+0-9\s().-]{7,}")
FTS5 = " IN (SELECT rowid FROM dialogs_searchtext_index WHERE dialogs_searchtext_index MATCH "
BEFORE_HIT, LONGEST_EXCERPT = 60, 220  # characters

Piece = tuple[str, bool]  # of a text: some of it, and whether that is a word searched for


@dataclass(frozen=True)
class Terms:
    """A search in the database's own words."""

    index: str  # what a dialog must have: a tsquery, or an expression of FTS5; empty when no word is left to look up
    message: str  # the words, for one message: a tsquery that wants all of them; on SQLite stems with spaces between
    stems: frozenset[str]  # to mark in what was found


def terms(text: str) -> Terms:
    """The terms of a search; a telephone number is also looked up by its last ten digits, however it was written."""
    stems = list(dict.fromkeys(stemming.stems(text)))
    phones = stemming.phone_digits(text).split()[-1:] if PHONE.fullmatch(text.strip()) else []
    marked = frozenset((*stems, *phones))
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT plainto_tsquery('russian', dialogs_search_plain(%s))::text", [text])
            message = cursor.fetchone()[0]
        wanted, phones = message, [f"'{digits}'" for digits in phones]
        return Terms(" | ".join([f"({wanted})", *phones]) if wanted else "", message, marked)
    wanted, phones = " AND ".join(f'"{stem}"' for stem in stems), [f'"{digits}"' for digits in phones]
    return Terms(" OR ".join([f"({wanted})", *phones]) if wanted else "", " ".join(stems), marked)


# ----- where it stands -----


def found(sought: Terms, account_id: int) -> QuerySet[SearchText]:
    """The texts that have what is searched for, by the full-text index; of this account's dialogs, and on SQLite of others' too."""
    if connection.vendor == "postgresql":
        return SearchText.objects.filter(_is(_all_words(), " @@ ", _query(f"'@{account_id}' & ({sought.index})")))
    return SearchText.objects.filter(_is(F("pk"), FTS5, Value(sought.index), end=")"))


@contextmanager
def by_index() -> Iterator[None]:
    """What is looked up inside goes through indexes: how often words meet is a guess, and a table read to its end a slow one."""
    if connection.vendor != "postgresql":
        yield
        return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        yield


def one_of(keys: list[int]) -> Func:
    """Whether a row's key is among these, however many; they travel as one value."""
    if connection.vendor == "postgresql":
        return _is(F("pk"), " = ANY(", Value(keys), end="::bigint[])")
    return _is(F("pk"), " IN (SELECT value FROM json_each(", Value(json.dumps(keys)), end="))")


def _is(left: Func | F, operator: str, right: Func | Value, end: str = "") -> Func:
    return Func(left, right, arg_joiner=operator, template=f"(%(expressions)s{end})", output_field=BooleanField())


def _all_words() -> Func:
    # as the index has it, letter for letter
    return Func(F("words"), F("contacts"), arg_joiner=" || ", template="(%(expressions)s)")


def _query(text: str) -> Func:
    return Func(Value(text), template="%(expressions)s::tsquery")


def passages(sought: Terms, dialog_ids: Iterable[int]) -> dict[int, str]:
    """Of each dialog the newest message that has all the words, else the newest that has any; system messages are not searched."""
    said = Message.objects.filter(dialog__in=list(dialog_ids)).exclude(kind=MessageKind.SYSTEM)
    every, some = _in_message(sought, every=True), _in_message(sought, every=False)
    best = said.filter(some).order_by().values("dialog").annotate(best=Coalesce(Max("pk", filter=every), Max("pk"))).values("best")
    return dict(Message.objects.filter(pk__in=best).order_by().values_list("dialog_id", "text"))


def _in_message(sought: Terms, *, every: bool) -> Func:
    if connection.vendor == "postgresql":
        words = Func(F("text"), template="to_tsvector('russian', dialogs_search_plain(%(expressions)s))")
        return _is(words, " @@ ", _query(sought.message if every else sought.message.replace(" & ", " | ")))
    least = len(sought.message.split()) if every else 1
    return Func(F("text"), Value(sought.message), Value(least), function="search_holds", output_field=BooleanField())


# ----- marking -----


def marked(text: str, stems: frozenset[str]) -> list[Piece]:
    """A text in pieces, those of the words searched for apart from the rest."""
    pieces: list[Piece] = []
    end = 0
    for start, stop in _hits(text, stems):
        pieces += [(text[end:start], False), (text[start:stop], True)]
        end = stop
    return [piece for piece in (*pieces, (text[end:], False)) if piece[0]]


def excerpt(text: str, stems: frozenset[str]) -> list[Piece]:
    """The first hit of a text with its surroundings, in one line and marked; the beginning of a text without a hit."""
    line = " ".join(text.split())
    first = next(_hits(line, stems), (0, 0))[0]
    start = 0 if first <= BEFORE_HIT else _after_space(line, first - BEFORE_HIT, first)
    cut = line[start : start + LONGEST_EXCERPT]
    if start + LONGEST_EXCERPT < len(line):
        cut = (cut[: cut.rfind(" ", LONGEST_EXCERPT // 2)] if " " in cut[LONGEST_EXCERPT // 2 :] else cut) + "…"
    return marked(("…" if start else "") + cut, stems)


def _after_space(line: str, low: int, high: int) -> int:
    space = line.find(" ", low, high)
    return low if space < 0 else space + 1


def _hits(text: str, stems: frozenset[str]) -> Iterator[tuple[int, int]]:
    for word in stemming.WORD.finditer(stemming.folded(text)):
        if len(word[0]) <= stemming.LONGEST_WORD and stemming.stem(word[0]) in stems:
            yield word.span()
