"""Visits end, and what that does to visitors and their open dialogs (P2, P3, P10)."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import DateTimeField, Q, Value
from django.db.models.functions import Coalesce, Greatest

from dialogs.actions.automatic_assignment import assign_soon
from dialogs.actions.presence.arrivals import BATCH
from dialogs.actions.presence.outages import end_outage, is_outage, refuse_late, visit_leases
from dialogs.actions.record import Record
from dialogs.actions.setting_changes import follow_leases
from dialogs.actions.timeouts import timeouts_by_account
from dialogs.events import VisitorLeft
from dialogs.locks import lock_accounts_of, lock_open_dialogs, lock_visitors, lock_visits
from dialogs.models import LiveProcess, Visit, Visitor
from dialogs.rules import presence
from operators.actions.settings import VISIT_LEASE
from operators.models import Account, SettingChange
from webim_offline.foundation.database.bulk import update_rows
from webim_offline.foundation.database.clock import database_now
from webim_offline.foundation.database.conditions import condition_sql
from webim_offline.foundation.database.due_work import any_past

CLAIM_WITHIN = timedelta(seconds=3)  # before a visit ends unheard: the time to say that another live process hears its page
MOST_UNCLAIMED = 20_000  # visits looked at in one go; a live process holds no more streams


UNHELD = Q(ended_at=None, process=None)  # the condition of the index `visit_unheld`


@dataclass(frozen=True, slots=True)
class Departure:
    """A visit that ended `ago` seconds before now: by its goodbye, or because its lease ran out (P2).

    One that is silent and would end later has a negative `ago`. `lease`: the seconds by which its process reckoned that.
    """

    visitor_id: int
    key: str
    ago: float
    said_goodbye: bool = False
    lease: int | None = None


@transaction.atomic
def visits_ended(departures: Iterable[Departure], *, process_id: UUID, found_at: float | None = None) -> None:
    """End visits this process holds; a visitor whose last visit that was has left (P3).

    A visit that another process has taken over meanwhile is left alone: its page is heard of there. One that nobody holds
    ends when its time is over, whoever held it before, and at once when its page said goodbye. One whose page has sent a
    message since its process heard of it ends one lease after that. Raises OutageBetween when the departures, found at the
    steady moment `found_at`, have waited so long for the database that it was away.
    """
    by_key = {(departure.visitor_id, departure.key): departure for departure in departures}
    visitor_ids = {visitor_id for visitor_id, _ in by_key}
    accounts = lock_accounts_of(visitor_ids)
    visitors = lock_visitors(visitor_ids)
    now = database_now()
    refuse_late(found_at)
    alive = Visit.objects.filter(visitor__in=visitors, ended_at=None)
    ends: dict[int, tuple[int, datetime]] = {}
    staying: set[int] = set()
    given_up: list[int] = []
    lease_since = _lease_changes(accounts, now, now - timedelta(seconds=max((one.ago for one in by_key.values()), default=0)))
    for visit_id, visitor_id, key, holder, expires_at in alive.values_list("pk", "visitor_id", "key", "process_id", "expires_at"):
        departure = by_key.get((visitor_id, key))
        if departure is None or holder not in {process_id, None}:
            staying.add(visitor_id)
            continue
        at = now - timedelta(seconds=max(0.0, departure.ago))
        if not departure.said_goodbye:
            at = max(at, expires_at or at, lease_since.get(visitors[visitor_id].account_id, at))
        if at <= now:
            ends[visit_id] = (visitor_id, at)
        else:
            staying.add(visitor_id)
            given_up.append(visit_id)
    _end(ends, staying, visitors, accounts, now, known_since=now, given_up=given_up)


@transaction.atomic
def visits_silent(silences: Iterable[Departure], *, process_id: UUID, found_at: float | None = None) -> None:
    """Give up visits of this process whose pages have been silent for nearly their lease: they end when it is over.

    A page that went to and fro may be heard of by a process that held it before: that one claims it now (`unclaimed_visits`).
    Raises OutageBetween, see `visits_ended`.
    """
    by_key = {(silence.visitor_id, silence.key): silence for silence in silences}
    visitor_ids = {visitor_id for visitor_id, _ in by_key}
    accounts = lock_accounts_of(visitor_ids)
    visitors = lock_visitors(visitor_ids)
    now = database_now()
    refuse_late(found_at)
    follow_leases(accounts, beside=Q(visitor__in=visitors, process=process_id))
    ends = {}
    for (visitor_id, key), silence in by_key.items():
        if visitor_id not in visitors:
            continue
        in_force = accounts[visitors[visitor_id].account_id].visit_lease
        longer_by = 0 if silence.lease is None else in_force - silence.lease  # its process may not have heard of a change yet
        ends[visitor_id, key] = now + timedelta(seconds=longer_by - silence.ago)
    lease_since = _lease_changes(accounts, now, min(ends.values(), default=now))
    held = Visit.objects.filter(visitor__in=visitors, ended_at=None, process=process_id)
    rows = [
        # a message may have come since
        (visit_id, None, max(ends_at, expires_at or ends_at, lease_since.get(visitors[visitor_id].account_id, ends_at)))
        for visit_id, visitor_id, key, expires_at in held.values_list("pk", "visitor_id", "key", "expires_at")
        if (ends_at := ends.get((visitor_id, key)))
    ]
    update_rows(Visit, ("process_id", "expires_at"), rows)


def _lease_changes(account_ids: Collection[int], now: datetime, earliest: datetime) -> dict[int, datetime]:
    """When accounts changed their `visit_lease` last, if after `earliest`: no visit ended by it before (Z2)."""
    changes = SettingChange.objects.filter(account__in=account_ids, setting=VISIT_LEASE, at__gt=earliest, at__lte=now)
    return dict(changes.order_by("pk").values_list("account_id", "at"))


def unclaimed_visits() -> list[tuple[int, str]]:
    """(visitor id, key) of visits that end soon unless a live process hears their pages and tells them again.

    Nobody holds them, or a process that has not renewed its lease for long.
    """
    overdue = list(LiveProcess.objects.filter(expires_at__lte=database_now() + CLAIM_WITHIN).values_list("pk", flat=True))
    alive = Visit.objects.filter(ended_at=None)
    found = list(alive.filter(process=None, expires_at__isnull=False).values_list("visitor_id", "key")[:MOST_UNCLAIMED])
    if overdue:
        found += alive.filter(process__in=overdue).values_list("visitor_id", "key")[:MOST_UNCLAIMED]
    return found


def _end(
    ends: Mapping[int, tuple[int, datetime]],
    staying: set[int],
    visitors: Mapping[int, Visitor],
    accounts: Mapping[int, Account],
    now: datetime,
    *,
    known_since: datetime | None = None,
    given_up: Collection[int] = (),
) -> None:
    """End visits {visit id: (visitor id, moment)} of locked visitors; `staying` have another visit alive.

    Visits in `given_up` live on, and no process holds them any more.

    Ends that nothing stored told of before `known_since` have led to nothing before it (Z2).
    """
    left: dict[int, datetime] = {}
    for visitor_id, at in ends.values():
        if visitor_id not in staying:
            left[visitor_id] = max(at, left.get(visitor_id, at))
    gone = [visitor for visitor in visitors.values() if visitor.pk in left and visitor.is_present]
    dialogs = lock_open_dialogs(gone) if gone else []
    lock_visits(Visit.objects.filter(pk__in=[*ends, *given_up]))
    Visit.objects.filter(pk__in=given_up).update(process=None)
    rows = [(visit_id, at, None, None) for visit_id, (_, at) in ends.items()]
    update_rows(Visit, ("ended_at", "process_id", "expires_at"), rows)
    if not gone:
        return
    update_rows(Visitor, ("is_present", "left_at"), [(visitor.pk, False, left[visitor.pk]) for visitor in gone])
    record = Record(now)
    timeouts = timeouts_by_account(accounts, ((visitor.account_id, left[visitor.pk]) for visitor in gone), now)
    changed = []
    for dialog in dialogs:
        facts = presence.left(dialog.facts, left[dialog.visitor_id])
        if dialog.always_online:
            record.hint(dialog)  # whether the app is open is shown, too
        if facts == dialog.facts:
            continue
        in_force = timeouts[dialog.account_id]
        # a closing that is due as well is left to the sweep, which knows how to close
        facts, steps = presence.caught_up(
            facts, replace(in_force, since=known_since, before=None) if known_since else in_force, now
        )
        dialog.settle(facts, in_force)
        record.event(dialog, VisitorLeft(), facts.away_since or now)
        record.steps(dialog, steps, in_force)
        changed.append(dialog)
    record.write(changed)
    assign_soon({dialog.account_id for dialog in changed if dialog.is_offline})


def any_lost() -> str:
    """Whether visits may be lost, or the sweep has not run for so long that it was an outage (`DueWork`)."""
    lost = any_past(LiveProcess._meta.db_table, "expires_at")
    unheld = any_past(Visit._meta.db_table, "expires_at", condition_sql(Visit, UNHELD))
    return f"{lost} OR {unheld} OR {is_outage()}"


def end_lost_visits() -> int:
    """End what nobody holds any more; returns how many visits ended.

    A live process whose lease ran out gives up its visits, each ending one visit lease after the process was last
    heard, unless its page is heard of elsewhere first. After a silence of this sweep itself (P9) every lease that was
    alive at its last run gets one full time more.
    """
    now = end_outage()
    with transaction.atomic():
        _release_lost_processes(now)
        return _end_unheld(now)


def _release_lost_processes(now: datetime) -> None:
    # whoever is naming one of them in a new visit holds it, and it is not lost
    lost = list(LiveProcess.objects.filter(expires_at__lte=now).select_for_update(skip_locked=True).order_by("pk"))
    if lost:
        follow_leases(beside=Q(process__in=lost))
    for process in lost:
        held = Visit.objects.filter(process=process, ended_at=None)
        for lease in visit_leases(held):
            lasts_until = Value(max(process.expires_at, process.renewed_at + timedelta(seconds=lease)), DateTimeField())
            latest = Greatest(Coalesce("expires_at", lasts_until), lasts_until)  # a message may have come since
            held.filter(account__visit_lease=lease).update(process=None, expires_at=latest)
        process.delete()


def _end_unheld(now: datetime) -> int:
    due = Visit.objects.filter(ended_at=None, process=None, expires_at__lte=now)
    visitor_ids = set(due.order_by("expires_at").values_list("visitor_id", flat=True)[:BATCH])
    if not visitor_ids:
        return 0
    accounts = lock_accounts_of(visitor_ids)
    visitors = lock_visitors(visitor_ids)
    ends: dict[int, tuple[int, datetime]] = {}
    staying: set[int] = set()
    alive = Visit.objects.filter(visitor__in=visitors, ended_at=None)
    for visit_id, visitor_id, holder, expires_at in alive.values_list("pk", "visitor_id", "process_id", "expires_at"):
        if holder is None and expires_at is not None and expires_at <= now:
            ends[visit_id] = (visitor_id, expires_at)
        else:
            staying.add(visitor_id)
    _end(ends, staying, visitors, accounts, now)
    return len(ends)
