"""Which runner works now: a lease row for each queue (`webim_offline.runner`).

A lease only saves double work, it guards nothing: whatever runners do is safe to be done by two of them at once. So a lease
that its holder did not renew in time is simply taken by another runner, and no clock that is set forward or back can stop both.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from django.db import connection

from dialogs.models import Pulse
from webim_offline.foundation.database.clock import database_now, stored_moment
from webim_offline.foundation.database.dialect import dialect
from webim_offline.foundation.database.due_work import DueWork

LOST_AFTER = timedelta(seconds=1.5)  # since the last renewal; a runner renews every second


class RunnerLease:
    """The lease of one queue, held or not. It is known to be held as long as nobody else has written its row.

    `work` is what the tasks of the queue look for; `renew` finds out in its one statement for which of them there is nothing to do
    (`nothing_due`), and renews their pulses.
    """

    def __init__(self, queue: str, work: Sequence[DueWork] = ()) -> None:
        self.name = _name(queue)
        self.work = work
        self.nothing_due: frozenset[DueWork] = frozenset()  # at the last renewal
        self._written: datetime | None = None  # what this holder wrote last
        self._sql = ""

    def take(self) -> bool:
        """Take the lease unless another runner has renewed it lately; returns whether it is held now."""
        now = database_now()
        row, is_new = Pulse.objects.get_or_create(name=self.name, defaults={"at": now})
        if not is_new and (_is_fresh(row.at, now) or not self._replace(row.at, now)):
            return False
        self._written = now
        return True

    def renew(self) -> bool:
        """Renew the held lease and see what is due, in one statement; returns False when another runner has taken it."""
        self.nothing_due = frozenset()
        if self._written is None:
            return False
        self._sql = self._sql or _renewal(self.work)
        known = connection.ops.adapt_datetimefield_value(self._written)
        with connection.cursor() as cursor:
            cursor.execute(self._sql, dialect().moment_values() | {"lease": self.name, "known": known})
            rows = {name: (at, due) for name, at, *due in cursor.fetchall()}
        if self.name not in rows:
            self._written = None
            return False
        at, due = rows[self.name]
        self._written = stored_moment(at)
        self.nothing_due = frozenset(
            work for work, is_due in zip(self.work, due, strict=True) if not is_due and (not work.pulse or work.pulse in rows)
        )
        return True

    def release(self) -> None:
        """Give the lease up, so that another runner may take it at once."""
        if self._written is not None:
            Pulse.objects.filter(name=self.name, at=self._written).delete()
            self._written = None

    def _replace(self, written: datetime, now: datetime) -> bool:
        return bool(Pulse.objects.filter(name=self.name, at=written).update(at=now))


def _renewal(work: Sequence[DueWork]) -> str:
    """The statement that renews the lease `lease`, if it still is as its holder wrote it (`known`), and the pulses of idle tasks.

    It returns the name and the moment of each row that it wrote, and whether each piece of work is due. A pulse that is missing is
    not written, and neither is one that somebody else has locked: then the task runs, and waits for it.
    """
    table, here = Pulse._meta.db_table, dialect()
    pulses = "".join(
        f" OR (name = '{one.pulse}' AND NOT ({one.condition()})"  # noqa: S608
        f" AND name IN (SELECT name FROM {table} WHERE name = '{one.pulse}'{here.skip_locked})"
        f" AND EXISTS (SELECT 1 FROM {table} lease WHERE lease.name = %(lease)s AND lease.at = %(known)s))"
        for one in work
        if one.pulse
    )
    due = "".join(f", ({one.condition()})" for one in work)
    return f"UPDATE {table} SET at = {here.moment} WHERE (name = %(lease)s AND at = %(known)s){pulses} RETURNING name, at{due}"  # noqa: S608


def lost(queues: Collection[str]) -> set[str]:
    """The queues whose runner has not renewed its lease lately. One query."""
    names = {_name(queue): queue for queue in queues}
    if not names:
        return set()
    marks, most = ", ".join(f"%({number})s" for number in range(len(names))), LOST_AFTER.total_seconds()
    since = dialect().seconds_since("at")
    # a moment ahead of the clock (it was set back) tells as little as one long ago
    sql = f"SELECT name FROM {Pulse._meta.db_table} WHERE name IN ({marks}) AND {since} BETWEEN {-most} AND {most}"  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(sql, dialect().moment_values() | {str(number): name for number, name in enumerate(names)})
        fresh = {name for (name,) in cursor.fetchall()}
    return {queue for name, queue in names.items() if name not in fresh}


def _name(queue: str) -> str:
    return f"runner:{queue}"


def _is_fresh(renewed_at: datetime, now: datetime) -> bool:
    # a moment ahead of the clock (it was set back) tells as little as one long ago
    return abs(now - renewed_at) <= LOST_AFTER
