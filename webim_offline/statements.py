"""Plain statements, several in one message where the database takes that: a transaction of many small ones mostly waits."""

from collections.abc import Sequence
from typing import Any

from django.db import connection

Statement = tuple[str, Sequence[Any]]  # SQL with %s, and the values


def run_together(*statements: Statement) -> list[list[tuple[Any, ...]]]:
    """Run the statements in order inside the caller's transaction; the rows of each, none for those that give none.

    Each sees what was committed before it began, as if sent alone: what follows a lock sees what the lock waited for.
    """
    if connection.vendor != "postgresql":
        return [rows for statement in statements for rows in _run([statement])]
    return (
        _run(statements) if statements else []
    )  # psycopg's client-side binding, Django's default, puts the values in before they travel


def _run(statements: Sequence[Statement]) -> list[list[tuple[Any, ...]]]:
    found: list[list[tuple[Any, ...]]] = []
    with connection.cursor() as cursor:
        cursor.execute(";".join(sql for sql, _ in statements), [value for _, values in statements for value in values])
        while True:
            found.append(cursor.fetchall() if cursor.description else [])
            if len(found) == len(statements):
                return found
            cursor.nextset()
