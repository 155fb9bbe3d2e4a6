"""Plain statements, several in one message where the database takes that: a transaction of many small ones mostly waits."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import psycopg
from django.db import connection

Statement = tuple[str, Sequence[Any]]  # SQL with %s, and the values
Rows = list[tuple[Any, ...]]


def run_together(*statements: Statement) -> list[Rows]:
    """Run the statements in order inside the caller's transaction; the rows of each, none for those that give none.

    Each sees what was committed before it began, as if sent alone: what follows a lock sees what the lock waited for.
    PostgreSQL plans a statement once for a connection when it comes again and again (`prepare_threshold` of the settings).
    """
    if connection.vendor == "postgresql":
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
    message = _Message(statements)
    # through Django's own wrapper, which sees to the log of queries and to Django's names of errors
    wrapped = connection.make_debug_cursor(message) if connection.queries_logged else connection.make_cursor(message)
    wrapped.execute(";".join(sql for sql, _ in statements), [value for _, values in statements for value in values])
    return message.found


class _Message:
    """The part of a cursor that Django's wrapper drives."""

    def __init__(self, statements: Sequence[Statement]) -> None:
        self.statements = statements
        self.found: list[Rows] = []

    def execute(self, sql: str, _: Sequence[Any]) -> None:
        self._query = SimpleNamespace(query=sql.encode())  # for the log of queries
        # not Django's class of cursors: it puts the values into the text, and nothing would be planned only once
        cursors = [psycopg.Cursor(connection.connection) for _ in self.statements]
        with connection.connection.pipeline():
            for cursor, statement in zip(cursors, self.statements, strict=True):
                cursor.execute(*statement)
        self.found = [cursor.fetchall() if cursor.description else [] for cursor in cursors]
