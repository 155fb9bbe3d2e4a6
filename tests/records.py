"""What a running service has stored, read beside it: from PostgreSQL, or from the embedded SQLite file."""

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import psycopg


class Records:
    """Read-only eyes on a database: the address of a PostgreSQL database, or the path of an SQLite file."""

    def __init__(self, where: str | Path) -> None:
        self.where = where

    def rows(self, query: str, *values: object) -> list[tuple]:
        """The rows of a query with %s for its values; moments as aware datetimes from PostgreSQL, as text from SQLite."""
        if isinstance(self.where, Path):
            connection = sqlite3.connect(f"file:{self.where}?mode=ro", uri=True, timeout=20)
            try:
                return connection.execute(query.replace("%s", "?"), values).fetchall()
            finally:
                connection.close()
        with psycopg.connect(self.where, autocommit=True, connect_timeout=5) as connection:
            return connection.execute(query, values).fetchall()

    def now(self) -> datetime:
        """The moment by the database's clock; on SQLite by this machine's."""
        if isinstance(self.where, Path):
            return datetime.now(UTC)
        return self.rows("SELECT clock_timestamp()")[0][0]

    def is_here(self, visitor: int) -> bool:
        return bool(self.rows("SELECT is_present FROM dialogs_visitor WHERE id = %s", visitor)[0][0])

    def left_at(self, visitor: int) -> datetime | None:
        return moment(self.rows("SELECT left_at FROM dialogs_visitor WHERE id = %s", visitor)[0][0])

    def absences(self, visitor: int) -> list[str]:
        """Everything that was ever written about the visitor's leaving and coming back, in order."""
        return [kind for kind, _ in self.moments(visitor)]

    def moments(self, visitor: int) -> list[tuple[str, datetime]]:
        """The same, each with its moment."""
        found = self.rows(
            "SELECT e.kind, e.at FROM dialogs_dialogevent e JOIN dialogs_dialog d ON d.id = e.dialog_id WHERE d.visitor_id = %s"
            " AND e.kind IN ('visitor_left', 'visitor_came_back', 'left_notice', 'went_offline', 'returned') ORDER BY e.id",
            visitor,
        )
        return [(kind, moment(at)) for kind, at in found]

    def notices(self, visitor: int) -> list[str]:
        """The codes of the system messages in the visitor's dialogs (P4 to P6), in order."""
        query = "SELECT m.code FROM dialogs_message m JOIN dialogs_dialog d ON d.id = m.dialog_id WHERE d.visitor_id = %s"
        return [code for (code,) in self.rows(f"{query} AND m.kind = 'system' ORDER BY m.id", visitor)]

    def texts(self, visitor: int) -> list[str]:
        """What the visitor wrote, in order."""
        query = "SELECT m.text FROM dialogs_message m JOIN dialogs_dialog d ON d.id = m.dialog_id WHERE d.visitor_id = %s"
        return [text for (text,) in self.rows(f"{query} AND m.kind = 'visitor' ORDER BY m.id", visitor)]

    def starts(self) -> list[tuple[int, str]]:
        """(visitor, start state) of every dialog, in order."""
        return self.rows("SELECT visitor_id, start_state FROM dialogs_dialog ORDER BY id")


def moment(stored: object) -> datetime | None:
    """A stored moment as an aware datetime."""
    if isinstance(stored, str):
        return datetime.fromisoformat(stored).replace(tzinfo=UTC)
    return stored
