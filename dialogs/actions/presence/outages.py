"""The leases of live processes, and what an outage of the service does to everybody's leases (P2, P9)."""

from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from dialogs.actions.setting_changes import follow_leases
from dialogs.actions.unpicked import clock_set_back, extend_pickups
from dialogs.models import LiveProcess, Pulse, Visit
from webim_offline.foundation.database.clock import database_now
from webim_offline.foundation.database.dialect import dialect
from webim_offline.foundation.database.locks import lock_keys
from webim_offline.foundation.steady_clock import steady_now

PROCESS_LEASE = timedelta(seconds=30)
# P9: a longer silence of the sweep of visits, or of a live process's own clock, is an outage; nobody leaves in it. This is the
# only place that says how long that is
LONGEST_GAP = timedelta(seconds=5)


class OutageBetween(Exception):
    """Between the finding of departures and their writing the database was away: nothing was written."""


def refuse_late(found_at: float | None) -> None:
    if found_at is not None and steady_now() - found_at > LONGEST_GAP.total_seconds():
        raise OutageBetween


@transaction.atomic
def renew_process(
    process_id: UUID, known: datetime | None = None, *, streams: int = 0, polls: int = 0
) -> tuple[datetime, float | None]:
    """A live process says that it lives: the one lease that stands for all visits it holds, and how many connections it holds.

    `known` is the moment it wrote last. Returns the moment to know next time, and None if the row still was as written.
    If not (an outage, a restored backup, a lease that ran out) what the rows say this process holds may be wrong: they
    get one visit lease each from the end of that outage, and the process is to tell again whom it holds. Then the second
    value says how many seconds ago the outage ended: when somebody else saw to it, or now.
    """
    now = database_now()
    row = {"renewed_at": now, "expires_at": now + PROCESS_LEASE, "streams": streams, "polls": polls}
    if known is not None and LiveProcess.objects.filter(pk=process_id, renewed_at=known).update(**row):
        return now, None
    renewed_at = LiveProcess.objects.filter(pk=process_id).values_list("renewed_at", flat=True).first()
    ended_at = renewed_at if known and renewed_at and known < renewed_at < now else now
    LiveProcess.objects.update_or_create(pk=process_id, defaults=row)
    follow_leases(beside=Q(process=process_id))
    held = Visit.objects.filter(process=process_id, ended_at=None)
    for lease in visit_leases(held):
        held.filter(account__visit_lease=lease).update(process=None, expires_at=ended_at + timedelta(seconds=lease))
    return now, (now - ended_at).total_seconds() if known else None


def is_outage() -> str:
    """Whether `end_outage` would find an outage, or has never run: a condition in SQL (`DueWork`)."""
    gap, since = LONGEST_GAP.total_seconds(), dialect().seconds_since("at")
    return (
        f"NOT EXISTS (SELECT 1 FROM {Pulse._meta.db_table}"  # noqa: S608
        f" WHERE name = '{Pulse.LEASES}' AND {since} BETWEEN {-gap} AND {gap})"
    )


@transaction.atomic
def end_outage() -> datetime:
    """P9: if the sweep has not run for longer than a moment, nobody who was alive at its last run is lost for it.

    The sweep calls it, and a live process that notices itself that it stood still or was cut off from the database. Returns
    the moment by which leases may be judged: a database that hangs after it ages nobody.
    """
    last = Pulse.objects.select_for_update(no_key=True).filter(name=Pulse.LEASES).first()
    now = database_now()
    if last is None:
        Pulse.objects.get_or_create(name=Pulse.LEASES, defaults={"at": now})
    elif abs(now - last.at) > LONGEST_GAP:
        _give_one_lease_more(alive_at=last.at, now=now)
    Pulse.objects.filter(name=Pulse.LEASES).update(at=now)
    return now


def lateness_judged_at(now: datetime) -> datetime | None:
    """The moment by which somebody who acts judges who is late: `now`; None in an outage, which lets nobody be late (P9)."""
    last = Pulse.objects.filter(name=Pulse.LEASES).values_list("at", flat=True).first()
    return None if last is None or abs(now - last) > LONGEST_GAP else now


def _give_one_lease_more(*, alive_at: datetime, now: datetime) -> None:
    processes = lock_keys(LiveProcess.objects.filter(expires_at__gt=alive_at))
    LiveProcess.objects.filter(pk__in=processes).update(renewed_at=now, expires_at=now + PROCESS_LEASE)
    if now < alive_at:
        clock_set_back(now)
    extend_pickups(alive_at=alive_at, now=now)
    follow_leases(beside=Q(process=None, expires_at__gt=alive_at))
    unheld = Visit.objects.filter(ended_at=None, process=None, expires_at__gt=alive_at)
    for lease in visit_leases(unheld):
        unheld.filter(account__visit_lease=lease).update(expires_at=now + timedelta(seconds=lease))


def visit_leases(visits: QuerySet[Visit]) -> list[int]:
    return list(visits.values_list("account__visit_lease", flat=True).distinct().order_by())
