"""A clock that stands still until it is moved: the machine's, the database's and the steady one together (Z1).

Nothing else is replaced. On SQLite stored moments are the machine's. On PostgreSQL the functions that tell the time are
shadowed by ones of a schema earlier in the search path, so the product's own statements run as they are.
"""

from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import time_machine
from django.db import connection

# later than any real moment: what a column's default stores from the real clock is in the past for every history
BEGINNING = datetime(2040, 1, 2, 9, tzinfo=UTC)
READ_IT = ("dialogs.actions.presence.outages.steady_now",)
SHADOWS = """
CREATE SCHEMA IF NOT EXISTS model_clock;
CREATE OR REPLACE FUNCTION model_clock.clock_timestamp() RETURNS timestamptz LANGUAGE sql STABLE
    AS $$ SELECT current_setting('model_clock.now')::timestamptz $$;
CREATE OR REPLACE FUNCTION model_clock.statement_timestamp() RETURNS timestamptz LANGUAGE sql STABLE
    AS $$ SELECT current_setting('model_clock.now')::timestamptz $$;
SET search_path = model_clock, public, pg_catalog;
"""


class Clock:
    """Whole milliseconds, so that no moment is ever rounded."""

    def __init__(self) -> None:
        self._passed = 0  # milliseconds that really passed
        self._stepped = 0  # milliseconds the clock on the wall was set forward by
        self._mocks = ExitStack()

    @property
    def true(self) -> datetime:
        """The moment by a clock that nobody sets."""
        return BEGINNING + timedelta(milliseconds=self._passed)

    @property
    def now(self) -> datetime:
        """The moment by the wall."""
        return BEGINNING + timedelta(milliseconds=self._passed + self._stepped)

    def steady(self) -> float:
        return 1000 + self._passed / 1000

    def __enter__(self) -> "Clock":
        self._wall = self._mocks.enter_context(time_machine.travel(self.now, tick=False))
        for name in READ_IT:
            self._mocks.enter_context(patch(name, self.steady))
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute(SHADOWS)
        self._tell()
        return self

    def __exit__(self, *_: object) -> None:
        self._mocks.close()

    def move(self, milliseconds: int) -> None:
        """Let time pass."""
        self._passed += milliseconds
        self._tell()

    def step(self, milliseconds: int) -> None:
        """Set the clock on the wall forward, or back; no time passes."""
        self._stepped += milliseconds
        self._tell()

    def _tell(self) -> None:
        self._wall.move_to(self.now)
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config('model_clock.now', %s, false)", [self.now.isoformat()])


class Wall(Clock):
    """For tests of clocks that are set, on both databases: it stands still until it is shifted, forwards or back."""

    def shift(self, seconds: float) -> None:
        self.step(round(seconds * 1000))
