"""Django's database backend for PostgreSQL, with two time limits, fewer plans, and a faster way to read moments.

A statement of a page is stopped after some time (see `web_statements`). A transaction in which nothing happens for
IDLE_TRANSACTION_TIMEOUT seconds (a setting) is ended, in every process: its process may be suspended or swapped out, and
everybody who waits for its locks would wait for that process (decision 0025).
"""

import select
from types import TracebackType
from typing import Any

import psycopg
from django.conf import settings
from django.db import OperationalError
from django.db.backends.postgresql import base
from django.db.utils import DatabaseErrorWrapper
from django.utils.functional import cached_property
from psycopg.pq import TransactionStatus
from psycopg.types.datetime import TimestamptzLoader

IDLE_TOO_LONG = "25P03"  # SQLSTATE idle_in_transaction_session_timeout


class ErrorWrapper(DatabaseErrorWrapper):
    """Raise OperationalError also when the server has ended a transaction because nothing happened in it.

    Django would raise InternalError. But the connection is lost, and callers must do the same as after any other loss.
    """

    def __init__(self, connection: "DatabaseWrapper") -> None:
        super().__init__(connection)
        self.connection = connection

    def __exit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, traceback: TracebackType | None
    ) -> Any:
        if exc_value is not None and getattr(exc_value, "sqlstate", None) == IDLE_TOO_LONG:
            self.connection.errors_occurred = True
            raise OperationalError(*exc_value.args).with_traceback(traceback) from exc_value
        return super().__exit__(exc_type, exc_value, traceback)


def _is_idle(connection: psycopg.Connection[Any]) -> bool:
    """Whether a connection is outside of any transaction, and nothing waits to be read from it: a notice, or its end."""
    if connection.closed or connection.info.transaction_status != TransactionStatus.IDLE:
        return False
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return not poll.poll(0)


class DatabaseWrapper(base.DatabaseWrapper):
    # of connections that are made from now on:
    statement_limit = 0.0  # seconds for a statement; 0 is no limit
    plans_once = False  # whether a prepared statement is planned for any values, once, and never for those at hand

    @cached_property
    def wrap_database_errors(self) -> ErrorWrapper:
        """The context manager that turns the driver's exceptions into Django's."""
        return ErrorWrapper(self)

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Have moments read by the driver's own loader, in C: a panel has hundreds, and Django's takes ten times as long.

        Both give the same, because our sessions are in UTC.
        """
        connection = super().get_new_connection(conn_params)
        connection.adapters.register_loader("timestamptz", TimestamptzLoader)
        return connection

    def create_cursor(self, name: str | None = None) -> Any:
        """Return a cursor, as Django does, but without giving it a loader of moments."""
        connection: Any = self.connection
        if not name:
            return connection.cursor()
        server_side: Any = base.ServerSideCursor
        return server_side(connection, name=name, scrollable=False, withhold=connection.autocommit)

    def is_usable(self) -> bool:
        """Return whether the server has not closed the connection. A request asks at its beginning, so it must cost nothing.

        When the server, or a pooler, closes a connection, its socket becomes readable; then Django's own check sends a statement to
        find out. A connection that was cut without a word would keep that statement waiting as long as any other one. Within a
        transaction that check is made as well: it may have failed.
        """
        if self.connection is not None and _is_idle(self.connection):
            return True
        return bool(super().is_usable())

    def init_connection_state(self) -> None:
        """Set the limits by a statement, because a pooler might refuse them as parameters of the connection."""
        super().init_connection_state()
        limits = {
            "statement_timeout": self.statement_limit,
            "idle_in_transaction_session_timeout": settings.IDLE_TRANSACTION_TIMEOUT,
        }
        said = [f"SET {name} = {int(limit * 1000)}" for name, limit in limits.items() if limit]
        if self.plans_once:
            said.append("SET plan_cache_mode = force_generic_plan")
        if self.connection is not None and said:
            self.connection.execute(";".join(said))
