"""Visits begin, and what that does to visitors and their open dialogs (P1, P2, P6)."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection, transaction

from dialogs.actions.automatic_assignment import assign_soon
from dialogs.actions.deadlines import catch_up
from dialogs.actions.record import Record, queue_now, seconds
from dialogs.actions.visitors import make_rows
from dialogs.events import VisitorCameBack
from dialogs.locks import lock_open_dialogs, lock_visitors, lock_visits
from dialogs.models import Dialog, LiveProcess, Visit, Visitor
from dialogs.rules import presence
from operators.models import Account
from webim_offline.foundation.database.clock import database_now
from webim_offline.foundation.database.dialect import Statement
from webim_offline.foundation.database.locks import keep_row

BATCH = 1000  # visits that are written in one transaction at most


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
    if process_id is not None:
        keep_row(LiveProcess, process_id)  # the visits will name it: whoever ends it comes before or after all of this
    make_rows(Visitor(pk=one.visitor_id, account_id=one.account_id, token_digest=one.token_digest) for one in newcomers.values())
    visitors = lock_visitors({visitor_id for visitor_id, _ in by_key})
    for visitor_id, newcomer in newcomers.items():
        if visitor_id in visitors and visitors[visitor_id].token_digest != newcomer.token_digest:
            del visitors[visitor_id]  # the id is somebody else's
    known = [arrival for arrival in by_key.values() if arrival.visitor_id in visitors]
    leases = {} if process_id else _visit_leases({arrival.account_id for arrival in known})
    back = [visitors[visitor_id] for visitor_id in {arrival.visitor_id for arrival in known} if not visitors[visitor_id].is_present]
    dialogs = lock_open_dialogs(back) if back else []
    record = Record(database_now())
    if len({arrival.page_url is None for arrival in known}) > 1:  # two statements write them: all are locked before the first
        lock_visits(Visit.objects.filter(visitor__in=visitors, key__in={arrival.key for arrival in known}))
    _store_visits(known, record.now, process_id, leases)
    if not back:
        return
    _come_back(back, dialogs, record)
    record.write(dialogs)


def known_visitors(visitor_ids: Collection[int]) -> set[int]:
    """Which of these visitors have rows."""
    return set(Visitor.objects.filter(pk__in=visitor_ids).values_list("pk", flat=True))


def _store_visits(arrivals: list[Arrival], now: datetime, process_id: UUID | None, leases: Mapping[int, int]) -> None:
    # one statement locks rows in the order of its values: that of `lock_visits`
    arrivals = sorted(arrivals, key=lambda arrival: (arrival.visitor_id, arrival.key))
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
        facts, steps = presence.returned(before, record.now)
        dialog.settle(facts, presence.NO_ABSENCE)
        if before.away_since is not None or before.is_offline:
            away = seconds(record.now - before.away_since) if before.away_since is not None else None
            queue = queue_now(dialog) if before.is_offline else None
            record.event(dialog, VisitorCameBack(away=away, queue=queue), record.now)
        record.steps(dialog, steps, presence.NO_ABSENCE)
        if dialog.always_online:
            record.hint(dialog)  # whether the app is open is shown, too


def page_wrote(arrival: Arrival, visitor: Visitor, record: Record, *, lease: int, open_dialogs: list[Dialog]) -> list[Dialog]:
    """A message is a sign of life of its page (P2): the visit lasts one lease (seconds) from now, whichever process holds it.

    The visitor and all their open dialogs are locked; returns the dialogs to write. The visit is written with the record.
    """
    record.first(_renewed_or_stored(arrival, record.now, record.now + timedelta(seconds=lease)))
    if visitor.is_present:
        return []
    _come_back([visitor], open_dialogs, record)
    return open_dialogs


def _renewed_or_stored(arrival: Arrival, now: datetime, expires_at: datetime) -> Statement:
    """One that is alive stays with the process that holds it; one that ended, or is not known, begins and is held by none."""
    sql = """
        INSERT INTO dialogs_visit (visitor_id, account_id, key, began_at, expires_at, page_url, page_title)
        VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (visitor_id, key) DO UPDATE SET expires_at = excluded.expires_at,
            process_id = CASE WHEN dialogs_visit.ended_at IS NULL THEN dialogs_visit.process_id END,
            page_url = CASE WHEN dialogs_visit.ended_at IS NULL THEN dialogs_visit.page_url ELSE excluded.page_url END,
            page_title = CASE WHEN dialogs_visit.ended_at IS NULL THEN dialogs_visit.page_title ELSE excluded.page_title END,
            ended_at = NULL
    """
    moments = (connection.ops.adapt_datetimefield_value(moment) for moment in (now, expires_at))
    return sql, [arrival.visitor_id, arrival.account_id, arrival.key, *moments, arrival.page_url or "", arrival.page_title]


def _visit_leases(account_ids: set[int]) -> dict[int, int]:
    return dict(Account.objects.filter(pk__in=account_ids).values_list("pk", "visit_lease"))
