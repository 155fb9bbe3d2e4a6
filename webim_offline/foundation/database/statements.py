"""Running several plain statements at once.

A transaction of many small statements mostly waits for messages to travel to the database and back. PostgreSQL can take several
statements in one message (a pipeline); then it waits only once.
"""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import psycopg
from django.db import connection

from webim_offline.foundation.database.dialect import Statement, dialect

Rows = list[tuple[Any, ...]]


def run_together(*statements: Statement) -> list[Rows]:
    """Run the statements in their order, in one message if the database can do that, and return the rows of each.

    The rows of a statement that returns none are an empty list. The caller must have begun a transaction.

    Each statement sees what was committed before it began, as if it had been sent alone. So a statement behind one that waits for a
    lock sees what the former holder of the lock has written. A statement that is run again and again is planned only once for each
    connection (`prepare_threshold` in the settings).
    """
    if dialect().takes_messages:
        return _one_message(statements) if statements else []
    found = []
    with connection.cursor() as cursor:
        for sql, values in statements:
            cursor.execute(sql, values)
            found.append(cursor.fetchall() if cursor.description else [])
    return found


def _one_message(statements: Sequence[Statement]) -> list[Rows]:
    connection.close_if_health_check_failed()
    connection.ensure_connection()
    message: Any = _Message(statements)
    # Django's own wrapper writes the log of queries, and turns the driver's exceptions into Django's.
    wrapped = connection.make_debug_cursor(message) if connection.queries_logged else connection.make_cursor(message)
    wrapped.execute(";".join(sql for sql, _ in statements), [value for _, values in statements for value in values])
    found: list[Rows] = message.found
    return found


class _Message:
    """A cursor, as far as Django's wrapper calls it, that runs several statements in one message."""

    def __init__(self, statements: Sequence[Statement]) -> None:
        self.statements = statements
        self.found: list[Rows] = []

    def execute(self, sql: str, _: Sequence[Any]) -> None:
        self._query = SimpleNamespace(query=sql.encode())  # for the log of queries
        # Django's class of cursors puts the values into the text of the statement, so PostgreSQL would plan it every time.
        cursors = [psycopg.Cursor(connection.connection) for _ in self.statements]
        with connection.connection.pipeline():
            for cursor, statement in zip(cursors, self.statements, strict=True):
                cursor.execute(*statement)
        # `description` would make an object for each column, only to say that there are some
        self.found = [cursor.fetchall() if cursor.pgresult and cursor.pgresult.nfields else [] for cursor in cursors]


def run_in_turn(*statements: tuple[str, Sequence[Sequence[Any]]]) -> None:
    """Run each statement once for each of its rows of values, for a database that takes no messages (SQLite).

    The log of queries shows all of it as one query, as it does for `run_together` on PostgreSQL. So tests that count queries count
    the same on both databases.
    """
    with connection.cursor() as cursor:
        turns: Any = _Turns(cursor, statements)
        wrapped = connection.make_debug_cursor(turns) if connection.queries_logged else connection.make_cursor(turns)
        wrapped.execute(";".join(sql for sql, _ in statements))


class _Turns:
    """A cursor, as far as Django's wrapper calls it, that runs several statements one after the other."""

    def __init__(self, cursor: Any, statements: Sequence[tuple[str, Sequence[Sequence[Any]]]]) -> None:
        self._run = cursor.cursor.executemany  # Django's wrapper around it would log each statement
        self._statements = statements

    def execute(self, _: str) -> None:
        for statement in self._statements:
            self._run(*statement)
