"""Visits begin and end; what that does to visitors and their open dialogs (P1 to P3, P6, P7, P9, P10)."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import DateTimeField, QuerySet, Value
from django.db.models.functions import Coalesce, Greatest

from dialogs import state
from dialogs.actions.assigner import assign_soon, clock_set_back, extend_pickups
from dialogs.actions.deadlines import catch_up, follow_leases
from dialogs.actions.record import Record, moved_to, seconds
from dialogs.actions.timeouts import timeouts_by_account
from dialogs.actions.visitors import make_rows
from dialogs.bulk import update_rows
from dialogs.models import OPEN_STATES, Dialog, EventKind, LiveProcess, Pulse, Visit, Visitor
from operators.actions import VISIT_LEASE, lock_accounts_shared
from operators.models import Account, SettingChange
from webim_offline.database_clock import database_now
from webim_offline.steady_clock import steady_now

PROCESS_LEASE = timedelta(seconds=30)
LONGEST_GAP = timedelta(seconds=5)  # P9: a longer silence of the sweep is an outage, not people leaving
CLAIM_WITHIN = timedelta(seconds=3)  # before a visit ends unheard: the time to say that another live process hears its page
MOST_UNCLAIMED = 20_000  # visits looked at in one go; a live process holds no more streams
BATCH = 1000


@dataclass(frozen=True, slots=True)
class Arrival:
    """A visit heard of for the first time by the live process that holds it now.

    Without an address (None) it is told again after an outage, and the stored address stays. `token_digest` is given for a
    visitor who had no row when the page began: `visits_began` makes it.
    """

    visitor_id: int
    account_id: int
    key: str
    page_url: str | None = ""
    page_title: str = ""
    token_digest: str = ""


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
def visits_began(arrivals: Iterable[Arrival], *, process_id: UUID | None) -> None:
    """Write visits that began, held by `process_id`, and bring their visitors back (P6).

    Without a process (a message sent while no live process was heard) a visit has one lease of its own.
    """
    by_key = {(arrival.visitor_id, arrival.key): arrival for arrival in arrivals}
    newcomers = {arrival.visitor_id: arrival for arrival in by_key.values() if arrival.token_digest}
    if newcomers:  # an account may be gone with a restored backup: nobody else's visits may fail for it
        accounts = Account.objects.filter(pk__in={one.account_id for one in newcomers.values()}).in_bulk()
        newcomers = {visitor_id: one for visitor_id, one in newcomers.items() if one.account_id in accounts}
    make_rows(Visitor(pk=one.visitor_id, account_id=one.account_id, token_digest=one.token_digest) for one in newcomers.values())
    visitors = lock_visitors({visitor_id for visitor_id, _ in by_key})
    for visitor_id, newcomer in newcomers.items():
        if visitor_id in visitors and visitors[visitor_id].token_digest != newcomer.token_digest:
            del visitors[visitor_id]  # the id is somebody else's
    record = Record(database_now())
    known = [arrival for arrival in by_key.values() if arrival.visitor_id in visitors]
    leases = {} if process_id else _visit_leases({arrival.account_id for arrival in known})
    _store_visits(known, record.now, process_id, leases)
    back = [visitors[visitor_id] for visitor_id in {arrival.visitor_id for arrival in known} if not visitors[visitor_id].is_present]
    if not back:
        return
    dialogs = lock_open_dialogs(back)
    _come_back(back, dialogs, record)
    record.write(dialogs, Dialog.SETTLED)


def known_visitors(visitor_ids: Collection[int]) -> set[int]:
    """Which of these visitors have rows."""
    return set(Visitor.objects.filter(pk__in=visitor_ids).values_list("pk", flat=True))


def _store_visits(arrivals: list[Arrival], now: datetime, process_id: UUID | None, leases: Mapping[int, int]) -> None:
    for told, columns in ((True, ["page_url", "page_title"]), (False, [])):
        Visit.objects.bulk_create(
            [
                Visit(
                    visitor_id=arrival.visitor_id,
                    account_id=arrival.account_id,
                    key=arrival.key,
                    process_id=process_id,
                    began_at=now,
                    expires_at=None if process_id else now + timedelta(seconds=leases[arrival.account_id]),
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


def _come_back(visitors: list[Visitor], dialogs: list[Dialog], record: Record) -> None:
    """P6 for locked visitors who were away, and all their open dialogs, locked too; the caller writes the dialogs."""
    for visitor in visitors:
        visitor.is_present, visitor.left_at = True, None
    Visitor.objects.filter(pk__in=[visitor.pk for visitor in visitors]).update(is_present=True, left_at=None)
    catch_up(dialogs, record)
    assign_soon({dialog.account_id for dialog in dialogs if dialog.is_offline})
    for dialog in dialogs:
        before = dialog.facts
        facts, steps = state.returned(before, record.now)
        dialog.settle(facts, state.NO_ABSENCE)
        if before.away_since is not None or before.is_offline:
            data: dict[str, Any] = moved_to(dialog) if before.is_offline else {}
            if before.away_since is not None:
                data["away"] = seconds(record.now - before.away_since)
            record.event(dialog, EventKind.VISITOR_CAME_BACK, record.now, data=data)
        record.steps(dialog, steps, state.NO_ABSENCE)
        if dialog.always_online:
            record.hint(dialog)  # whether the app is open is shown, too


def page_wrote(arrival: Arrival, visitor: Visitor, record: Record, *, lease: int, open_dialogs: list[Dialog]) -> list[Dialog]:
    """A message is a sign of life of its page (P2): the visit lasts one lease (seconds) from now, whichever process holds it.

    The visitor and all their open dialogs are locked; returns the dialogs to write.
    """
    _renew_or_store_visit(arrival, record.now, record.now + timedelta(seconds=lease))
    if visitor.is_present:
        return []
    _come_back([visitor], open_dialogs, record)
    return open_dialogs


def _renew_or_store_visit(arrival: Arrival, now: datetime, expires_at: datetime) -> None:
    """One that is alive stays with the process that holds it; one that ended, or is not known, begins and is held by none."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO dialogs_visit (visitor_id, account_id, key, began_at, expires_at, page_url, page_title)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (visitor_id, key) DO UPDATE SET expires_at = excluded.expires_at,"
            " process_id = CASE WHEN dialogs_visit.ended_at IS NULL THEN dialogs_visit.process_id END,"
            " page_url = CASE WHEN dialogs_visit.ended_at IS NULL THEN dialogs_visit.page_url ELSE excluded.page_url END,"
            " page_title = CASE WHEN dialogs_visit.ended_at IS NULL THEN dialogs_visit.page_title ELSE excluded.page_title END,"
            " ended_at = NULL",
            [
                *(arrival.visitor_id, arrival.account_id, arrival.key),
                *(connection.ops.adapt_datetimefield_value(moment) for moment in (now, expires_at)),
                *(arrival.page_url or "", arrival.page_title),
            ],
        )


class OutageBetween(Exception):
    """Between the finding of departures and their writing the database was away: nothing was written."""


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
    _refuse_late(found_at)
    alive = Visit.objects.filter(visitor__in=visitors, ended_at=None)
    ends: dict[int, tuple[int, datetime]] = {}
    staying: set[int] = set()
    let_go: list[int] = []
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
            let_go.append(visit_id)
    Visit.objects.filter(pk__in=let_go).update(process=None)
    _end(ends, staying, visitors, accounts, now, known_since=now)


def _lease_changes(account_ids: Collection[int], now: datetime, earliest: datetime) -> dict[int, datetime]:
    """When accounts changed their `visit_lease` last, if after `earliest`: no visit ended by it before (Z2)."""
    changes = SettingChange.objects.filter(account__in=account_ids, field=VISIT_LEASE, at__gt=earliest, at__lte=now)
    return dict(changes.order_by("pk").values_list("account_id", "at"))


def _refuse_late(found_at: float | None) -> None:
    if found_at is not None and steady_now() - found_at > LONGEST_GAP.total_seconds():
        raise OutageBetween


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
    _refuse_late(found_at)
    follow_leases(accounts)
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
) -> None:
    """End visits {visit id: (visitor id, moment)} of locked visitors; `staying` have another visit alive.

    Ends that nothing stored told of before `known_since` have led to nothing before it (Z2).
    """
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
    dialogs = lock_open_dialogs(gone)
    timeouts = timeouts_by_account(accounts, ((visitor.account_id, left[visitor.pk]) for visitor in gone), now)
    changed = []
    for dialog in dialogs:
        facts = state.left(dialog.facts, left[dialog.visitor_id])
        if dialog.always_online:
            record.hint(dialog)  # whether the app is open is shown, too
        if facts == dialog.facts:
            continue
        in_force = timeouts[dialog.account_id]
        # a closing that is due as well is left to the sweep, which knows how to close
        facts, steps = state.caught_up(facts, replace(in_force, since=known_since, before=None) if known_since else in_force, now)
        dialog.settle(facts, in_force)
        record.event(dialog, EventKind.VISITOR_LEFT, facts.away_since)
        record.steps(dialog, steps, in_force)
        changed.append(dialog)
    record.write(changed, Dialog.SETTLED)
    assign_soon({dialog.account_id for dialog in changed if dialog.is_offline})


def lock_accounts_of(visitor_ids: set[int]) -> dict[int, Account]:
    """The accounts of these visitors under the shared lock, which comes before the visitors' own.

    Whoever begins an absence holds it: a change of timeouts finds the absence, or the absence begins with the change.
    """
    account_ids = set(Visitor.objects.filter(pk__in=visitor_ids).values_list("account_id", flat=True))
    return lock_accounts_shared(account_ids)


def lock_visitors(visitor_ids: set[int]) -> dict[int, Visitor]:
    """The visitors' rows under their locks, by id."""
    rows = Visitor.objects.filter(pk__in=visitor_ids).select_for_update(no_key=True).order_by("pk")
    return {visitor.pk: visitor for visitor in rows}


def lock_open_dialogs(visitors: Iterable[Visitor]) -> list[Dialog]:
    """The open dialogs of locked visitors under their locks."""
    rows = Dialog.objects.filter(visitor__in=[visitor.pk for visitor in visitors], state__in=OPEN_STATES)
    return list(rows.select_for_update(no_key=True).order_by("pk"))


def _visit_leases(account_ids: set[int]) -> dict[int, int]:
    return dict(Account.objects.filter(pk__in=account_ids).values_list("pk", "visit_lease"))


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
    follow_leases()
    held = Visit.objects.filter(process=process_id, ended_at=None)
    for lease in _leases_of(held):
        held.filter(account__visit_lease=lease).update(process=None, expires_at=ended_at + timedelta(seconds=lease))
    return now, (now - ended_at).total_seconds() if known else None


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
        if now < last.at:
            clock_set_back(now)
        _give_one_lease_more(alive_at=last.at, now=now)
    Pulse.objects.filter(name=Pulse.LEASES).update(at=now)
    return now


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


def _give_one_lease_more(*, alive_at: datetime, now: datetime) -> None:
    LiveProcess.objects.filter(expires_at__gt=alive_at).update(renewed_at=now, expires_at=now + PROCESS_LEASE)
    follow_leases()
    unheld = Visit.objects.filter(ended_at=None, process=None, expires_at__gt=alive_at)
    for lease in _leases_of(unheld):
        unheld.filter(account__visit_lease=lease).update(expires_at=now + timedelta(seconds=lease))
    extend_pickups(alive_at=alive_at, now=now)


def _leases_of(visits: QuerySet[Visit]) -> list[int]:
    return list(visits.values_list("account__visit_lease", flat=True).distinct().order_by())


def _release_lost_processes(now: datetime) -> None:
    lost = list(LiveProcess.objects.filter(expires_at__lte=now).select_for_update(skip_locked=True))
    if lost:
        follow_leases()
    for process in lost:
        held = Visit.objects.filter(process=process, ended_at=None)
        for lease in _leases_of(held):
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
