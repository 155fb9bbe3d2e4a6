"""Alarms of dialogs that have rung: what time alone does to a dialog (P4, P5, P8, Q9, Q11, M10)."""

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.db import transaction

from dialogs.actions.automatic_assignment import assign_soon
from dialogs.actions.closings import bring_up_to_date
from dialogs.actions.record import Record, visitor_channel
from dialogs.actions.timeouts import timeouts_by_account
from dialogs.models import Dialog, State
from dialogs.rules import presence
from operators.models import Account, SettingChange
from webim_offline.foundation.database.clock import database_now
from webim_offline.foundation.database.due_work import any_past

logger = logging.getLogger(__name__)
BATCH = 500
POISONED_FOR = timedelta(hours=1)
READ = (
    "account_id", "visitor_id", "operator_id", "state", "in_workspace", "revision", "away_since", "left_notice_at",
    "went_offline_at", "is_offline", "closes_at", "always_online", "away_not_before", "wake_at", "closed_at", "last_message_at",
    "last_is_visitors", "pickup_by",
)  # fmt: skip


def any_due() -> str:
    """Whether an alarm has rung (`DueWork`)."""
    return any_past(Dialog._meta.db_table, "wake_at")


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
            facts, steps = presence.advance(dialog.facts, timeouts[dialog.account_id], now)
        except Exception:
            logger.exception("dialog %s: the rules failed, looking again in an hour", dialog.pk)
            dialog.wake_at = now + POISONED_FOR
            continue
        dialog.settle(facts, timeouts[dialog.account_id])
        _close(dialog, steps, record)
        record.steps(dialog, steps, timeouts[dialog.account_id])
    _forget_whom_closed_ones_waited_for(dialogs)
    record.write(dialogs)
    assign_soon({dialog.account_id for dialog in dialogs if dialog.is_offline or not dialog.is_open})
    return len(dialogs)


def close_overdue(dialogs: Sequence[Dialog], now: datetime, changes: Iterable[SettingChange]) -> None:
    """What time has done by `now` to these locked dialogs of one visitor and the sweep has not noticed yet (Q9, Q11, M10).

    `changes` are those of the account's settings that have not moved the closings yet (`closings_to_follow`).
    """
    bring_up_to_date(dialogs, changes)
    late = [dialog for dialog in dialogs if dialog.closes_at and dialog.closes_at <= now]
    if not late:
        return
    record = Record(now)
    timeouts = _timeouts(late, now)
    for dialog in late:
        facts, steps = presence.advance(dialog.facts, timeouts[dialog.account_id], now)
        dialog.settle(facts, timeouts[dialog.account_id])
        _close(dialog, steps, record)
        record.steps(dialog, steps, timeouts[dialog.account_id])
    _forget_whom_closed_ones_waited_for(late)
    record.write(late)


CLOSED_AS = {
    presence.Step.CLOSED_BY_TIME: State.CLOSED,
    presence.Step.CLOSED_BY_SILENCE: State.CLOSED_BY_OPERATOR,
    presence.Step.CLOSED_FOR_GOOD: State.CLOSED,
}


def _close(dialog: Dialog, steps: Iterable[presence.Due], record: Record) -> None:
    """The state that the steps led to, and when the dialog closed first (Q9, Q11, M10)."""
    for at, step in steps:
        if step in CLOSED_AS:
            dialog.state, dialog.closed_at = CLOSED_AS[step], dialog.closed_at or at
            record.channels.add(visitor_channel(dialog.visitor_id))


def _forget_whom_closed_ones_waited_for(dialogs: Iterable[Dialog]) -> None:
    """Whoever a dialog was assigned to when it closed had not begun with it."""
    for dialog in dialogs:
        if not dialog.is_open and dialog.pickup_by is not None:
            dialog.operator_id = dialog.assigned_at = dialog.pickup_by = dialog.pickup_from = None


def catch_up(dialogs: Iterable[Dialog], record: Record) -> None:
    """Before the absence of these locked dialogs is undone or they close: what the sweep has not noticed yet has happened (P8).

    Each step at its own moment (Z2). The caller writes them afterwards; nothing is read where nothing is due.
    """
    late = [dialog for dialog in dialogs if dialog.away_since and dialog.wake_at and dialog.wake_at <= record.now]
    if not late:
        return
    timeouts = _timeouts(late, record.now)
    for dialog in late:
        facts, steps = presence.caught_up(dialog.facts, timeouts[dialog.account_id], record.now)
        dialog.settle(facts, timeouts[dialog.account_id])
        record.steps(dialog, steps, timeouts[dialog.account_id])


def _timeouts(dialogs: Iterable[Dialog], now: datetime) -> dict[int, presence.Timeouts]:
    accounts = Account.objects.only("left_notice_after", "offline_after", "timeouts_changed_at", "reopen_window").in_bulk(
        {dialog.account_id for dialog in dialogs}
    )
    return timeouts_by_account(accounts, ((d.account_id, d.away_since) for d in dialogs if d.away_since), now)
