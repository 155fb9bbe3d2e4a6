"""The clock every stored moment comes from (Z1)."""

from datetime import UTC, datetime
from typing import Any

from django.db import connection
from django.db.models import DateTimeField, Func, Value


def database_now() -> datetime:
    """This moment by the database's clock (PostgreSQL, inside a transaction too) or, on SQLite, by the machine's."""
    if connection.vendor != "postgresql":
        return datetime.now(UTC)
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        return cursor.fetchone()[0]


class DatabaseNow(Func):
    """`database_now()` as an expression, to be read beside other columns in one query."""

    function = "clock_timestamp"
    output_field = DateTimeField()

    def as_sqlite(self, compiler: Any, connection: Any, **extra: Any) -> tuple[str, list[Any]]:
        return compiler.compile(Value(database_now(), output_field=DateTimeField()))


def stored_moment(value: datetime | str | None) -> datetime | None:
    """A stored moment as a plain cursor gives it: SQLite keeps UTC without saying so, as text unless it is a bare column's."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return value if value is None or value.tzinfo else value.replace(tzinfo=UTC)
