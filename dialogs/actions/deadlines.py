"""Alarms that have rung, and settings that changed while people were away (P4, P5, P8, Z2)."""

import logging
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import DateTimeField, Exists, F, OuterRef, Q, Value
from django.db.models.functions import Greatest

from dialogs import state
from dialogs.actions.assigner import assign_soon
from dialogs.actions.closings import CLOSINGS, bring_up_to_date, move_closings
from dialogs.actions.holding import pickup_timeouts
from dialogs.actions.record import Record, visitor_channel
from dialogs.actions.timeouts import timeouts_by_account
from dialogs.bulk import update_rows
from dialogs.models import OPEN_STATES, Dialog, Message, Pulse, State, Visit
from operators.actions import TIMEOUTS, VISIT_LEASE, lock_account_shared
from operators.models import Account, SettingChange
from webim_offline.database_clock import database_now

logger = logging.getLogger(__name__)
BATCH = 500
POISONED_FOR = timedelta(hours=1)
PICKUP_TIMEOUT = "pickup_timeout"
RUNG_AT_ONCE = 2000  # rows locked together
RUNG_A_SECOND = 10_000
READ = (
    "account_id", "visitor_id", "operator_id", "state", "in_workspace", "revision", "away_since", "left_notice_at",
    "went_offline_at", "is_offline", "closes_at", "always_online", "away_not_before", "wake_at", "closed_at", "last_message_at",
    "last_is_visitors", "pickup_by",
)  # fmt: skip
WRITTEN = (*Dialog.ADVANCED, "state", "closed_at")


@transaction.atomic
def advance_due_dialogs(limit: int = BATCH) -> int:
    """Bring at most `limit` dialogs whose alarm has rung up to date; returns how many were looked at.

    Safe to run twice at once, or late: a row is worked on under its lock, and its facts say what is already done.
    """
    now = database_now()
    dialogs = list(
        Dialog.objects.filter(wake_at__lte=now)
        .order_by("wake_at")
        .only(*READ)
        .select_for_update(skip_locked=True, no_key=True)[:limit]
    )
    if not dialogs:
        return 0
    timeouts = _timeouts(dialogs, now)
    record = Record(now)
    bring_up_to_date(dialog for dialog in dialogs if dialog.closes_at is not None and dialog.closes_at <= now)
    for dialog in dialogs:
        try:
            facts, steps = state.advance(dialog.facts, timeouts[dialog.account_id], now)
        except Exception:
            logger.exception("dialog %s: the rules failed, looking again in an hour", dialog.pk)
            dialog.wake_at = now + POISONED_FOR
            continue
        dialog.settle(facts, timeouts[dialog.account_id])
        _close(dialog, steps, record)
        record.steps(dialog, steps, timeouts[dialog.account_id])
    _forget_whom_closed_ones_waited_for(dialogs)
    record.write(dialogs, WRITTEN)
    assign_soon({dialog.account_id for dialog in dialogs if dialog.is_offline or not dialog.is_open})
    return len(dialogs)


def close_overdue(dialogs: Sequence[Dialog]) -> None:
    """What time has done to these locked dialogs of one visitor and the sweep has not noticed yet (Q9, Q11, M10)."""
    bring_up_to_date(dialogs)
    if not any(dialog.closes_at for dialog in dialogs):
        return
    now = database_now()
    late = [dialog for dialog in dialogs if dialog.closes_at and dialog.closes_at <= now]
    if not late:
        return
    record = Record(now)
    timeouts = _timeouts(late, now)
    for dialog in late:
        facts, steps = state.advance(dialog.facts, timeouts[dialog.account_id], now)
        dialog.settle(facts, timeouts[dialog.account_id])
        _close(dialog, steps, record)
        record.steps(dialog, steps, timeouts[dialog.account_id])
    _forget_whom_closed_ones_waited_for(late)
    record.write(late, WRITTEN)


CLOSED_AS = {
    state.Step.CLOSED_BY_TIME: State.CLOSED,
    state.Step.CLOSED_BY_SILENCE: State.CLOSED_BY_OPERATOR,
    state.Step.CLOSED_FOR_GOOD: State.CLOSED,
}


def _close(dialog: Dialog, steps: Iterable[state.Due], record: Record) -> None:
    """The state that the steps led to, and when the dialog closed first (Q9, Q11, M10)."""
    for at, step in steps:
        if step in CLOSED_AS:
            dialog.state, dialog.closed_at = CLOSED_AS[step], dialog.closed_at or at
            record.channels.add(visitor_channel(dialog.visitor_id))


def _forget_whom_closed_ones_waited_for(dialogs: Iterable[Dialog]) -> None:
    """Whoever a dialog was assigned to when it closed had not begun with it: rare, so in a statement of its own."""
    forgotten = [dialog for dialog in dialogs if not dialog.is_open and dialog.pickup_by is not None]
    for dialog in forgotten:
        dialog.operator_id = dialog.assigned_at = dialog.pickup_by = dialog.pickup_from = None
    columns = ("operator_id", "assigned_at", "pickup_by", "pickup_from")
    update_rows(Dialog, columns, [(dialog.pk, None, None, None, None) for dialog in forgotten])


def catch_up(dialogs: Iterable[Dialog], record: Record) -> None:
    """Before the absence of these locked dialogs is undone or they close: what the sweep has not noticed yet has happened (P8).

    Each step at its own moment (Z2). They are written afterwards, with Dialog.ADVANCED; nothing is read where nothing is due.
    """
    late = [dialog for dialog in dialogs if dialog.away_since and dialog.wake_at and dialog.wake_at <= record.now]
    if not late:
        return
    timeouts = _timeouts(late, record.now)
    for dialog in late:
        facts, steps = state.caught_up(dialog.facts, timeouts[dialog.account_id], record.now)
        dialog.settle(facts, timeouts[dialog.account_id])
        record.steps(dialog, steps, timeouts[dialog.account_id])


def _timeouts(dialogs: Iterable[Dialog], now: datetime) -> dict[int, state.Timeouts]:
    accounts = Account.objects.only("left_notice_after", "offline_after", "timeouts_changed_at", "reopen_window").in_bulk(
        {dialog.account_id for dialog in dialogs}
    )
    return timeouts_by_account(accounts, ((d.account_id, d.away_since) for d in dialogs if d.away_since), now)


def beat(name: str) -> None:
    """Note that a part of the service has just run (/healthz)."""
    row = Pulse(name=name, at=database_now())
    Pulse.objects.bulk_create([row], update_conflicts=True, unique_fields=["name"], update_fields=["at"])


def forget_beats() -> None:
    """A new start: what an earlier one noted proves nothing now. The sweep of visits needs its last run (P9) and keeps it."""
    Pulse.objects.exclude(name=Pulse.LEASES).delete()


def apply_setting_changes() -> int:
    """Ring the alarms of visitors who are already gone when a timeout of their account got shorter or was switched on, and
    let a changed lease of visits end those that are there.

    A longer one needs nothing: the old alarm rings early, and the rules set it anew. Returns how many changes were handled.
    Safe to run twice at once, or to be broken off: a change is handled when all its alarms are set.
    """
    changes = list(SettingChange.objects.filter(handled_at=None).order_by("pk")[:BATCH])
    if not changes:
        return 0
    for account_id, field in {(change.account_id, change.field) for change in changes if change.field in CLOSINGS}:
        move_closings(account_id, field)
    for account_id in {change.account_id for change in changes if PICKUP_TIMEOUT in change.field.split(".")[:2]}:
        _move_pickups(account_id)
    _ring({change.account_id for change in changes if change.field in TIMEOUTS and _acts_sooner(change)})
    for change in changes:
        if change.field == VISIT_LEASE:
            _move_ends(change)
    SettingChange.objects.filter(pk__in=[change.pk for change in changes], handled_at=None).update(handled_at=database_now())
    return len(changes)


@transaction.atomic
def _move_pickups(account_id: int) -> None:
    """Q8: what is assigned waits as long as the new time says, from its assignment or the end of a later outage (P9, Z2)."""
    account = lock_account_shared(account_id)
    named = Q(field=PICKUP_TIMEOUT) | Q(field__startswith=f"department.{PICKUP_TIMEOUT}.")
    stored_at = SettingChange.objects.filter(named, account=account_id).order_by("-pk").values_list("at", flat=True)[0]
    rows = Dialog.objects.filter(account=account_id, state=State.QUEUE, operator__isnull=False, pickup_by__gt=stored_at)
    locked = list(rows.select_for_update(no_key=True).order_by("pk"))
    timeouts = pickup_timeouts(account, {dialog.department_id for dialog in locked})
    moved = [(d.pk, max(d.pickup_from + timeouts[d.department_id], stored_at)) for d in locked if d.pickup_from]
    update_rows(Dialog, ("pickup_by",), moved)


@transaction.atomic
def follow_leases(account_ids: Collection[int] | None = None) -> None:
    """Move at once what changed leases of visits have not moved yet, in all accounts if none are named.

    For whoever is about to give visits an end by the lease in force: moved after that, it would be moved once too often.
    """
    changes = SettingChange.objects.filter(handled_at=None, field=VISIT_LEASE)
    for change in (changes if account_ids is None else changes.filter(account__in=account_ids)).order_by("pk"):
        _move_ends(change)


@transaction.atomic
def _move_ends(change: SettingChange) -> None:
    """P2: what a message, or a lost process, gave a visit by the old lease ends by the new one, not before it was stored (Z2)."""
    if not SettingChange.objects.filter(pk=change.pk, handled_at=None).update(handled_at=database_now()):
        return  # moved by somebody else: it must not be moved twice
    longer_by = timedelta(seconds=int(change.new) - int(change.old))
    given = Visit.objects.filter(account=change.account_id, ended_at=None, expires_at__gt=change.at)
    # who wrote since then got the new lease
    given = given.exclude(Exists(Message.objects.filter(visitor=OuterRef("visitor"), at__gt=change.at)))
    given.update(expires_at=Greatest(F("expires_at") + longer_by, Value(change.at, DateTimeField())))


def _acts_sooner(change: SettingChange) -> bool:
    old, new = int(change.old), int(change.new)
    return new > 0 and (old == 0 or new < old)


def _ring(account_ids: set[int]) -> None:
    """Look again at everyone who is away from these accounts; at so many a second that other alarms are not late for it."""
    away = Dialog.objects.filter(account__in=account_ids, state__in=OPEN_STATES, away_since__isnull=False)
    waiting = away.filter(Q(left_notice_at=None) | Q(went_offline_at=None)).order_by("pk")
    ids = list(waiting.values_list("pk", flat=True)) if account_ids else []
    began = database_now()
    for place in range(0, len(ids), RUNG_AT_ONCE):
        at = began + timedelta(seconds=place // RUNG_A_SECOND)
        batch = waiting.filter(pk__in=ids[place : place + RUNG_AT_ONCE])
        with transaction.atomic():
            # which alarms are late is asked under the lock: the sweep may be setting them by the old time at this moment
            locked = list(batch.select_for_update(no_key=True).values_list("pk", flat=True))
            Dialog.objects.filter(pk__in=locked).filter(Q(wake_at=None) | Q(wake_at__gt=at)).update(wake_at=at)
