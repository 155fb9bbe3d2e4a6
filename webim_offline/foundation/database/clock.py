"""The clock that every stored moment comes from (Z1)."""

from datetime import UTC, datetime
from typing import Any

from django.db import connection
from django.db.models import DateTimeField, Func, Value

from webim_offline.foundation.database.dialect import Statement, dialect


def database_now() -> datetime:
    """Return the present moment, in UTC: on PostgreSQL by the database's clock, on SQLite by that of the machine.

    It goes on during a transaction, unlike PostgreSQL's `now()`, which gives the moment at which the transaction began.
    """
    if not dialect().has_clock:
        return datetime.now(UTC)
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
        return now


def now_statement() -> Statement:
    """Return the statement that asks for `database_now()`, to be sent with others. Its one value is for `moment_of`."""
    now, values = dialect().now()
    return f"SELECT {now}", values


class DatabaseNow(Func):
    """`database_now()` as an expression, so that a query can return it beside other columns."""

    function = "clock_timestamp"
    output_field = DateTimeField()

    def as_sqlite(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        return compiler.compile(Value(database_now(), output_field=DateTimeField()))


def moment_of(value: datetime | str) -> datetime:
    """Do the same as `stored_moment` with a value that cannot be missing."""
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def stored_moment(value: datetime | str | None) -> datetime | None:
    """Return a moment that was read by a plain cursor as an aware datetime.

    PostgreSQL gives such a datetime. SQLite gives UTC without a time zone, as a datetime if a column itself was read, and as text
    if it was computed.
    """
    return None if value is None else moment_of(value)
