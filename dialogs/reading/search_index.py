"""How each database finds the words of dialogs (decision 0014): PostgreSQL by a GIN index and `tsquery`, SQLite by FTS5.

`search_index()` returns the one of the database of this process. `dialogs.reading.search` is built on it.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple
from typing import Protocol

from django.db import connection, transaction
from django.db.models import BigIntegerField, BooleanField, F, Func, Value

from dialogs.reading.search_terms import Term, Wanted
from webim_offline.foundation.database import stemming

Forms = tuple[list[str], list[str]]  # the stems of a word, and the word itself

# the stems of words, and the words themselves, by the dictionaries that the index is made with (migration 0014)
FORMS = """
    SELECT tsvector_to_array(to_tsvector('russian', folded)), tsvector_to_array(to_tsvector('dialogs_whole', folded))
    FROM unnest(%s::text[]) WITH ORDINALITY AS asked(word, place), dialogs_search_folded(word) AS folded
    ORDER BY place
"""
FTS5 = " IN (SELECT rowid FROM dialogs_searchtext_index WHERE dialogs_searchtext_index MATCH "


class SearchIndex(Protocol):
    """What the search asks of a database. Conditions are on rows of `SearchText`, or of `Message` where that is said."""

    def forms(self, words: list[str]) -> list[Forms]:
        """Return the forms in which the index holds each of these words; of a stop word no stems."""

    def expression(self, wanted: Sequence[Wanted]) -> str:
        """Return what `dialogs_with` takes: all of what is wanted, which is not nothing."""

    def dialogs_with(self, expression: str, account_id: int) -> Func:
        """Return the condition that a text matches. On SQLite it may belong to another account: the caller must filter."""

    def held(self, wanted: Sequence[Wanted]) -> Func:
        """Return 2 for a message that has everything that is wanted, 1 for one that has something of it, and else 0."""

    def one_of(self, keys: list[int]) -> Func:
        """Return the condition that a row's primary key is one of `keys`. They are sent as one parameter."""

    @contextmanager
    def preferred(self) -> Iterator[None]:
        """Have the database use indexes for the queries inside this context."""
        yield


class PostgreSQLIndex(SearchIndex):
    def forms(self, words: list[str]) -> list[Forms]:
        if not words:
            return []
        with connection.cursor() as cursor:
            cursor.execute(FORMS, [words])
            return [(stems, wholes) for stems, wholes in cursor.fetchall()]

    def expression(self, wanted: Sequence[Wanted]) -> str:
        return " & ".join(map(self._item, wanted))

    def dialogs_with(self, expression: str, account_id: int) -> Func:
        # PostgreSQL uses the index only for exactly the expression that it was made with.
        words = Func(F("words"), F("contacts"), arg_joiner=" || ", template="(%(expressions)s)")
        return _condition(words, " @@ ", self._query(f"'@{account_id}' & ({expression})"))

    def held(self, wanted: Sequence[Wanted]) -> Func:
        every, some = (self._query(operator.join(map(self._item, wanted))) for operator in (" & ", " | "))
        both = (Func(query, template="(words @@ %(expressions)s)::int") for query in (every, some))
        count = Func(*both, arg_joiner=" + ", template="%(expressions)s")
        # the words of a message cost more than all else: they are made once for both questions
        words = Func(F("text"), function="dialogs_search_words")
        return Func(count, words, arg_joiner=" FROM ", template="(SELECT %(expressions)s AS words)", output_field=BigIntegerField())

    def one_of(self, keys: list[int]) -> Func:
        return _condition(F("pk"), " = ANY(", Value(keys), end="::bigint[])")

    @contextmanager
    def preferred(self) -> Iterator[None]:
        """PostgreSQL guesses how many dialogs have two words together. When it guesses too many, it reads the whole table."""
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
            yield

    def _query(self, text: str) -> Func:
        return Func(Value(text), template="%(expressions)s::tsquery")

    def _item(self, wanted: Wanted) -> str:
        return _expression(wanted, " | ", " & ", lambda term: f"'{term.word}'" + (":*" if term.is_beginning else ""))


class SQLiteIndex(SearchIndex):
    def forms(self, words: list[str]) -> list[Forms]:
        return [(list(forms[:1]), list(forms[-1:])) for forms in map(stemming.forms, words)]

    def expression(self, wanted: Sequence[Wanted]) -> str:
        return " AND ".join(_expression(item, " OR ", " AND ", self._term) for item in wanted)

    def dialogs_with(self, expression: str, account_id: int) -> Func:
        return _condition(F("pk"), FTS5, Value(expression), end=")")

    def held(self, wanted: Sequence[Wanted]) -> Func:
        alternatives = json.dumps([[[astuple(term) for term in terms] for terms in item] for item in wanted])
        return Func(F("text"), Value(alternatives), function="search_held", output_field=BigIntegerField())

    def one_of(self, keys: list[int]) -> Func:
        return _condition(F("pk"), " IN (SELECT value FROM json_each(", Value(json.dumps(keys)), end="))")

    def _term(self, term: Term) -> str:
        return f'"{term.word}"' + (" *" if term.is_beginning else "")


def _expression(wanted: Wanted, or_: str, and_: str, written: Callable[[Term], str]) -> str:
    """Return one item of a search as an expression in brackets. Words hold letters, digits and marks only: nothing to escape."""
    return "(" + or_.join("(" + and_.join(map(written, alternative)) + ")" for alternative in wanted) + ")"


def _condition(left: Func | F, operator: str, right: Func | Value, end: str = "") -> Func:
    """Return the condition `(left operator right end)`, where `operator` and `end` are SQL."""
    return Func(left, right, arg_joiner=operator, template=f"(%(expressions)s{end})", output_field=BooleanField())


_POSTGRESQL, _SQLITE = PostgreSQLIndex(), SQLiteIndex()


def search_index() -> SearchIndex:
    """Return the index of the database of this process."""
    return _POSTGRESQL if connection.vendor == "postgresql" else _SQLITE
