"""The differences between PostgreSQL and SQLite, as far as our own SQL meets them.

`dialect()` returns what applies to the database of this process. Nothing else should ask which database it is. Where an app needs
something different for each database, it gets a member of `Dialect` here, or an expression of Django's with `as_sqlite`. The
search is so different on the two that it has a class for each (`dialogs.reading.search_index`).
"""

import datetime as dt
import json
from collections.abc import Collection, Sequence
from typing import Any, Protocol

import psycopg.sql
from django.db import connection

Statement = tuple[str, Sequence[Any]]  # SQL with %s, and the values


class Dialect(Protocol):
    """Pieces of SQL, and what the database is able to do."""

    takes_row_locks: bool  # whether rows must be locked; SQLite has only one writer at a time
    has_clock: bool  # whether moments come from the database's clock; several machines may share PostgreSQL
    plans_once: bool  # whether a statement that comes again and again is planned only once, so that values in its text help
    takes_messages: bool  # whether several statements can be sent in one message
    for_share: str  # the end of a SELECT that locks its rows so that others can lock them in the same way
    for_no_key_update: str  # the end of a SELECT that locks its rows for a change that leaves their keys alone
    numbers_rows_ahead: bool  # whether a row's key can be had before the row is inserted (`next_key`)
    bytewise: str  # the name of the collation that sorts as Python does
    list_of: str  # the aggregate that makes a list of values: an array, or JSON as text
    json_value: str  # a placeholder for a value that is given as JSON text
    words_type: str | None  # the type of the columns with the words of the search (a tsvector); None is text
    # the moment at which a statement began, by the clock of stored moments (Z1); unlike `now()` an index can be searched with it.
    # The statement must be given `moment_values()`, by name
    moment: str
    latest: str  # the present moment, even if the statement had to wait for a lock; given `moment_values()` as well
    in_list: tuple[str, str]  # what stands before and behind the parameter of a condition `column IN (one of a list_value)`
    skip_locked: str  # the end of a SELECT that locks its rows and leaves out those that somebody else has locked

    def literal(self, value: bool | int | str) -> str:
        """Return the value as it stands in the text of a statement."""

    def list_value(self, keys: Collection[int]) -> Any:
        """Return the value of the parameter of `in_list`."""

    def now(self) -> Statement:
        """Return an expression for the present moment, by the clock of stored moments (Z1)."""

    def since(self, length: dt.timedelta) -> Statement:
        """Return an expression for the moment that is `length` before the present one."""

    def moment_values(self) -> dict[str, Any]:
        """Return the named values that a statement with `moment` in it needs."""

    def seconds_since(self, column: str) -> str:
        """Return an expression for the seconds from the moment in a column to `moment`, exact to some milliseconds."""

    def among(self, column: str, keys: Collection[int]) -> Statement:
        """Return the condition that a column has one of these values. They are sent as one parameter, however many there are."""

    def advisory_lock(self, *numbers: int) -> list[Statement]:
        """Return the statements that wait for an advisory lock. It is held until the transaction ends."""

    def lock_timeout(self, milliseconds: int) -> list[Statement]:
        """Return the statements that limit how long this transaction waits for each of its later locks."""

    def next_key(self, table: str) -> str:
        """Return an expression for the key of the next row of a table. Nobody else gets it, even if no row is inserted."""

    def merged_json(self, known: str, told: str) -> str:
        """Return an expression for the JSON object `known` with the members of `told` added to it, or put in place of its own."""


class PostgreSQL:
    takes_row_locks = True
    has_clock = True
    plans_once = True
    takes_messages = True
    for_share = " FOR SHARE"
    for_no_key_update = " FOR NO KEY UPDATE"
    numbers_rows_ahead = True
    bytewise = "C"
    list_of = "array_agg"
    json_value = "%s::jsonb"
    words_type: str | None = "tsvector"
    in_list = ("= ANY(", "::bigint[])")
    moment = "statement_timestamp()"
    latest = "clock_timestamp()"
    skip_locked = " FOR NO KEY UPDATE SKIP LOCKED"

    def literal(self, value: bool | int | str) -> str:
        return psycopg.sql.quote(value)

    def list_value(self, keys: Collection[int]) -> Any:
        return list(keys)

    def now(self) -> Statement:
        return "clock_timestamp()", []

    def since(self, length: dt.timedelta) -> Statement:
        return "clock_timestamp() - %s", [length]

    def moment_values(self) -> dict[str, Any]:
        return {}

    def seconds_since(self, column: str) -> str:
        return f"extract(epoch FROM {self.moment} - {column})"

    def among(self, column: str, keys: Collection[int]) -> Statement:
        return f"{column} {'%s'.join(self.in_list)}", [self.list_value(keys)]

    def advisory_lock(self, *numbers: int) -> list[Statement]:
        return [(f"SELECT pg_advisory_xact_lock({', '.join(['%s'] * len(numbers))})", numbers)]

    def lock_timeout(self, milliseconds: int) -> list[Statement]:
        return [("SELECT set_config('lock_timeout', %s, TRUE)", [f"{milliseconds}ms"])]

    def next_key(self, table: str) -> str:
        return f"nextval(pg_get_serial_sequence('{table}', 'id'))"

    def merged_json(self, known: str, told: str) -> str:
        return f"{known} || {told}"


class SQLite:
    takes_row_locks = False
    has_clock = False
    plans_once = False
    takes_messages = False
    for_share = ""
    for_no_key_update = ""
    numbers_rows_ahead = False
    bytewise = "BINARY"
    list_of = "json_group_array"
    json_value = "%s"
    words_type: str | None = None
    in_list = ("IN (SELECT value FROM json_each(", "))")
    moment = "%(moment)s"
    latest = "%(moment)s"
    skip_locked = ""

    def literal(self, value: bool | int | str) -> str:
        raise NotImplementedError("plans_once is False: give it as a value")

    def list_value(self, keys: Collection[int]) -> Any:
        return json.dumps(list(keys))

    def now(self) -> Statement:
        return "%s", [_adapted(dt.datetime.now(dt.UTC))]

    def since(self, length: dt.timedelta) -> Statement:
        return "%s", [_adapted(dt.datetime.now(dt.UTC) - length)]

    def moment_values(self) -> dict[str, Any]:
        return {"moment": _adapted(dt.datetime.now(dt.UTC))}

    def seconds_since(self, column: str) -> str:
        return f"((julianday({self.moment}) - julianday({column})) * 86400.0)"

    def among(self, column: str, keys: Collection[int]) -> Statement:
        return f"{column} {'%s'.join(self.in_list)}", [self.list_value(keys)]

    def advisory_lock(self, *numbers: int) -> list[Statement]:
        return []

    def lock_timeout(self, milliseconds: int) -> list[Statement]:
        return []

    def next_key(self, table: str) -> str:
        raise NotImplementedError("numbers_rows_ahead is False: insert the row first")

    def merged_json(self, known: str, told: str) -> str:
        return f"json_patch({known}, {told})"


def _adapted(moment: dt.datetime) -> Any:
    return connection.ops.adapt_datetimefield_value(moment)


_POSTGRESQL, _SQLITE = PostgreSQL(), SQLite()


def dialect() -> Dialect:
    """Return the dialect of this process's database."""
    return _POSTGRESQL if connection.vendor == "postgresql" else _SQLITE
