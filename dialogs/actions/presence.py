"""Visits begin and end; what that does to visitors and their open dialogs (P1 to P3, P6, P9, P10)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from dialogs import state
from dialogs.actions.record import Record
from dialogs.bulk import update_rows
from dialogs.models import OPEN_STATES, Dialog, EventKind, LiveProcess, Pulse, Visit, Visitor
from operators.actions import forgive_silence
from operators.models import Account
from webim_offline.database_clock import database_now

PROCESS_LEASE = timedelta(seconds=30)
LONGEST_GAP = timedelta(seconds=5)  # P9: a longer silence of the sweep is an outage, not people leaving
BATCH = 1000


@dataclass(frozen=True, slots=True)
class Arrival:
    """A visit heard of for the first time by the live process that holds it now.

    Without an address (None) it is told again after an outage, and the stored address stays.
    """

    visitor_id: int
    account_id: int
    key: str
    page_url: str | None = ""
    page_title: str = ""


@dataclass(frozen=True, slots=True)
class Departure:
    """A visit that ended `ago` seconds before now: by its goodbye, or because its lease ran out (P2)."""

    visitor_id: int
    key: str
    ago: float


def timeouts_of(account: Account) -> state.Timeouts:
    """The account's settings as the rules want them."""
    return state.timeouts_of(account.left_notice_after, account.offline_after, account.timeouts_changed_at)


@transaction.atomic
def visits_began(arrivals: Iterable[Arrival], *, process_id: UUID | None) -> None:
    """Write visits that began, held by `process_id`, and bring their visitors back (P6).

    Without a process (a message sent while no live process was heard) a visit has one lease of its own.
    """
    by_key = {(arrival.visitor_id, arrival.key): arrival for arrival in arrivals}
    visitors = _lock_visitors({visitor_id for visitor_id, _ in by_key})
    now = database_now()
    record = Record(now)
    dialogs = begin_visits(
        [arrival for arrival in by_key.values() if arrival.visitor_id in visitors], visitors, record, process_id=process_id
    )
    record.write(dialogs, Dialog.SETTLED)


def begin_visits(
    arrivals: list[Arrival], visitors: Mapping[int, Visitor], record: Record, *, process_id: UUID | None
) -> list[Dialog]:
    """The part of `visits_began` that works on locked visitors; returns the dialogs to write."""
    leases = {} if process_id else _visit_leases({arrival.account_id for arrival in arrivals})
    for told, columns in ((True, ["page_url", "page_title"]), (False, [])):
        Visit.objects.bulk_create(
            [
                Visit(
                    visitor_id=arrival.visitor_id,
                    account_id=arrival.account_id,
                    key=arrival.key,
                    process_id=process_id,
                    began_at=record.now,
                    expires_at=None if process_id else record.now + timedelta(seconds=leases[arrival.account_id]),
                    page_url=arrival.page_url or "",
                    page_title=arrival.page_title,
                )
                for arrival in arrivals
                if (arrival.page_url is not None) is told
            ],
            update_conflicts=True,
            unique_fields=["visitor", "key"],
            update_fields=["process", "ended_at", "expires_at", *columns],
        )
    back = [visitors[visitor_id] for visitor_id in {a.visitor_id for a in arrivals} if not visitors[visitor_id].is_present]
    if not back:
        return []
    for visitor in back:
        visitor.is_present, visitor.left_at = True, None
    Visitor.objects.filter(pk__in=[visitor.pk for visitor in back]).update(is_present=True, left_at=None)
    dialogs = _lock_open_dialogs(back)
    for dialog in dialogs:
        was_away = dialog.away_since is not None or dialog.is_offline
        facts, steps = state.returned(dialog.facts, record.now)
        dialog.settle(facts, timeouts_of(dialog.account))
        if was_away:
            record.event(dialog, EventKind.VISITOR_CAME_BACK, record.now)
        record.steps(dialog, steps)
    return dialogs


class OutageBetween(Exception):
    """Between the finding of departures and their writing the database was away: nothing was written."""


@transaction.atomic
def visits_ended(departures: Iterable[Departure], *, process_id: UUID, found_at: float | None = None) -> None:
    """End visits this process holds; a visitor whose last visit that was has left (P3).

    A visit that another process has taken over meanwhile is left alone: its page is heard of there. Raises OutageBetween
    when the departures, found at the monotonic moment `found_at`, have waited so long for the database that it was away.
    """
    by_key = {(departure.visitor_id, departure.key): departure for departure in departures}
    visitors = _lock_visitors({visitor_id for visitor_id, _ in by_key})
    now = database_now()
    if found_at is not None and monotonic() - found_at > LONGEST_GAP.total_seconds():
        raise OutageBetween
    alive = Visit.objects.filter(visitor__in=visitors, ended_at=None)
    ends: dict[int, tuple[int, datetime]] = {}
    staying: set[int] = set()
    for visit_id, visitor_id, key, holder in alive.values_list("pk", "visitor_id", "key", "process_id"):
        if holder == process_id and (departure := by_key.get((visitor_id, key))):
            ends[visit_id] = (visitor_id, now - timedelta(seconds=max(0.0, departure.ago)))
        else:
            staying.add(visitor_id)
    _end(ends, staying, visitors, now)


def _end(ends: Mapping[int, tuple[int, datetime]], staying: set[int], visitors: Mapping[int, Visitor], now: datetime) -> None:
    """End visits {visit id: (visitor id, moment)} of locked visitors; `staying` have another visit alive."""
    left: dict[int, datetime] = {}
    for visitor_id, at in ends.values():
        if visitor_id not in staying:
            left[visitor_id] = max(at, left.get(visitor_id, at))
    rows = [(visit_id, at, None, None) for visit_id, (_, at) in ends.items()]
    update_rows(Visit, ("ended_at", "process_id", "expires_at"), rows)
    gone = [visitor for visitor in visitors.values() if visitor.pk in left and visitor.is_present]
    if not gone:
        return
    update_rows(Visitor, ("is_present", "left_at"), [(visitor.pk, False, left[visitor.pk]) for visitor in gone])
    record = Record(now)
    dialogs = _lock_open_dialogs(gone)
    changed = []
    for dialog in dialogs:
        facts = state.left(dialog.facts, left[dialog.visitor_id])
        if facts == dialog.facts:
            continue
        facts, steps = state.advance(facts, timeouts_of(dialog.account), now)
        dialog.settle(facts, timeouts_of(dialog.account))
        record.event(dialog, EventKind.VISITOR_LEFT, left[dialog.visitor_id])
        record.steps(dialog, steps)
        changed.append(dialog)
    record.write(changed, Dialog.SETTLED)


def _lock_visitors(visitor_ids: set[int]) -> dict[int, Visitor]:
    rows = Visitor.objects.filter(pk__in=visitor_ids).select_for_update(no_key=True).order_by("pk")
    return {visitor.pk: visitor for visitor in rows}


def _lock_open_dialogs(visitors: Iterable[Visitor]) -> list[Dialog]:
    rows = Dialog.objects.filter(visitor__in=[visitor.pk for visitor in visitors], state__in=OPEN_STATES)
    return list(rows.select_related("account").select_for_update(no_key=True, of=("self",)).order_by("pk"))


def _visit_leases(account_ids: set[int]) -> dict[int, int]:
    return dict(Account.objects.filter(pk__in=account_ids).values_list("pk", "visit_lease"))


@transaction.atomic
def renew_process(process_id: UUID, known: datetime | None = None) -> tuple[datetime, bool]:
    """A live process says that it lives: the one lease that stands for all visits it holds.

    `known` is the moment it wrote last. Returns the moment to know next time, and whether the row still was as written.
    If not (an outage, a restored backup, a lease that ran out) what the rows say this process holds may be wrong: they
    get one visit lease each, and the process is to tell again whom it holds.
    """
    now = database_now()
    row = {"renewed_at": now, "expires_at": now + PROCESS_LEASE}
    if known is not None and LiveProcess.objects.filter(pk=process_id, renewed_at=known).update(**row):
        return now, True
    LiveProcess.objects.update_or_create(pk=process_id, defaults=row)
    held = Visit.objects.filter(process=process_id, ended_at=None)
    for lease in _leases_of(held):
        held.filter(account__visit_lease=lease).update(process=None, expires_at=now + timedelta(seconds=lease))
    return now, known is None


@transaction.atomic
def end_outage() -> bool:
    """P9: if the sweep has not run for longer than a moment, nobody who was alive at its last run is lost for it.

    The sweep calls it, and a live process that notices itself that it stood still or was cut off from the database.
    """
    now = database_now()
    last, _created = Pulse.objects.select_for_update(no_key=True).get_or_create(name=Pulse.LEASES, defaults={"at": now})
    is_outage = abs(now - last.at) > LONGEST_GAP
    if is_outage:
        _give_one_lease_more(alive_at=last.at, now=now)
    Pulse.objects.filter(name=Pulse.LEASES).update(at=now)
    return is_outage


@transaction.atomic
def end_lost_visits() -> int:
    """End what nobody holds any more; returns how many visits ended.

    A live process whose lease ran out gives up its visits, each ending one visit lease after the process was last
    heard, unless its page is heard of elsewhere first. After a silence of this sweep itself (P9) every lease that was
    alive at its last run gets one full time more.
    """
    end_outage()
    now = database_now()
    _release_lost_processes(now)
    return _end_unheld(now)


def _give_one_lease_more(*, alive_at: datetime, now: datetime) -> None:
    # signs of life of workspaces were written as long as a live process renewed its lease: then A2 needs no help
    if not LiveProcess.objects.filter(renewed_at__gt=alive_at + LONGEST_GAP, renewed_at__lte=now).exists():
        forgive_silence(alive_at=alive_at, now=now)
    LiveProcess.objects.filter(expires_at__gt=alive_at).update(renewed_at=now, expires_at=now + PROCESS_LEASE)
    unheld = Visit.objects.filter(ended_at=None, process=None, expires_at__gt=alive_at)
    for lease in _leases_of(unheld):
        unheld.filter(account__visit_lease=lease).update(expires_at=now + timedelta(seconds=lease))


def _leases_of(visits: QuerySet[Visit]) -> list[int]:
    return list(visits.values_list("account__visit_lease", flat=True).distinct().order_by())


def _release_lost_processes(now: datetime) -> None:
    for process in LiveProcess.objects.filter(expires_at__lte=now).select_for_update(skip_locked=True):
        held = Visit.objects.filter(process=process, ended_at=None)
        for lease in _leases_of(held):
            expires_at = max(process.expires_at, process.renewed_at + timedelta(seconds=lease))
            held.filter(account__visit_lease=lease).update(process=None, expires_at=expires_at)
        process.delete()


def _end_unheld(now: datetime) -> int:
    due = Visit.objects.filter(ended_at=None, process=None, expires_at__lte=now)
    visitor_ids = set(due.order_by("expires_at").values_list("visitor_id", flat=True)[:BATCH])
    if not visitor_ids:
        return 0
    visitors = _lock_visitors(visitor_ids)
    ends: dict[int, tuple[int, datetime]] = {}
    staying: set[int] = set()
    alive = Visit.objects.filter(visitor__in=visitors, ended_at=None)
    for visit_id, visitor_id, holder, expires_at in alive.values_list("pk", "visitor_id", "process_id", "expires_at"):
        if holder is None and expires_at is not None and expires_at <= now:
            ends[visit_id] = (visitor_id, expires_at)
        else:
            staying.add(visitor_id)
    _end(ends, staying, visitors, now)
    return len(ends)
