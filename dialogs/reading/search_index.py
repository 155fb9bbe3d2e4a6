"""How each database finds the words of dialogs (decision 0014): PostgreSQL by a GIN index and `tsquery`, SQLite by FTS5.

`search_index()` returns the one of the database of this process. `dialogs.reading.search` is built on it.
"""

import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from django.db import connection, transaction
from django.db.models import BooleanField, F, Func, Value

FTS5 = " IN (SELECT rowid FROM dialogs_searchtext_index WHERE dialogs_searchtext_index MATCH "


class SearchIndex(Protocol):
    """What the search asks of a database. Conditions are on rows of `SearchText`, or of `Message` where that is said."""

    def words(self, text: str, stems: Sequence[str]) -> str:
        """Return all words of a search, in the form that `messages_with` takes; empty if there are only stop words."""

    def expression(self, words: str, phones: Collection[str]) -> str:
        """Return what `dialogs_with` takes: all of the words, or one of the telephone numbers. `words` is not empty."""

    def dialogs_with(self, expression: str, account_id: int) -> Func:
        """Return the condition that a text matches. On SQLite it may belong to another account: the caller must filter."""

    def messages_with(self, words: str, *, every: bool) -> Func:
        """Return the condition that a message has every one of these words, or at least one of them."""

    def one_of(self, keys: list[int]) -> Func:
        """Return the condition that a row's primary key is one of `keys`. They are sent as one parameter."""

    @contextmanager
    def preferred(self) -> Iterator[None]:
        """Have the database use indexes for the queries inside this context."""
        yield


class PostgreSQLIndex(SearchIndex):
    def words(self, text: str, stems: Sequence[str]) -> str:
        with connection.cursor() as cursor:
            cursor.execute("SELECT plainto_tsquery('russian', dialogs_search_plain(%s))::text", [text])
            return str(cursor.fetchone()[0])

    def expression(self, words: str, phones: Collection[str]) -> str:
        return " | ".join([f"({words})", *(f"'{digits}'" for digits in phones)])

    def dialogs_with(self, expression: str, account_id: int) -> Func:
        # PostgreSQL uses the index only for exactly the expression that it was made with.
        words = Func(F("words"), F("contacts"), arg_joiner=" || ", template="(%(expressions)s)")
        return _condition(words, " @@ ", self._query(f"'@{account_id}' & ({expression})"))

    def messages_with(self, words: str, *, every: bool) -> Func:
        said = Func(F("text"), template="to_tsvector('russian', dialogs_search_plain(%(expressions)s))")
        return _condition(said, " @@ ", self._query(words if every else words.replace(" & ", " | ")))

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


class SQLiteIndex(SearchIndex):
    def words(self, text: str, stems: Sequence[str]) -> str:
        return " ".join(stems)

    def expression(self, words: str, phones: Collection[str]) -> str:
        wanted = " AND ".join(f'"{stem}"' for stem in words.split())
        return " OR ".join([f"({wanted})", *(f'"{digits}"' for digits in phones)])

    def dialogs_with(self, expression: str, account_id: int) -> Func:
        return _condition(F("pk"), FTS5, Value(expression), end=")")

    def messages_with(self, words: str, *, every: bool) -> Func:
        least = len(words.split()) if every else 1
        return Func(F("text"), Value(words), Value(least), function="search_holds", output_field=BooleanField())

    def one_of(self, keys: list[int]) -> Func:
        return _condition(F("pk"), " IN (SELECT value FROM json_each(", Value(json.dumps(keys)), end="))")


def _condition(left: Func | F, operator: str, right: Func | Value, end: str = "") -> Func:
    """Return the condition `(left operator right end)`, where `operator` and `end` are SQL."""
    return Func(left, right, arg_joiner=operator, template=f"(%(expressions)s{end})", output_field=BooleanField())


_POSTGRESQL, _SQLITE = PostgreSQLIndex(), SQLiteIndex()


def search_index() -> SearchIndex:
    """Return the index of the database of this process."""
    return _POSTGRESQL if connection.vendor == "postgresql" else _SQLITE
