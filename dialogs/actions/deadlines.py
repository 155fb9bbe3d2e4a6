"""Alarms that have rung, and settings that changed while people were away (P4, P5, P8, Z2)."""

import logging
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from dialogs import state
from dialogs.actions.presence import timeouts_of
from dialogs.actions.record import Record
from dialogs.models import OPEN_STATES, Dialog, Pulse, State
from operators.actions import TIMEOUTS
from operators.models import Account, SettingChange
from webim_offline.database_clock import database_now

logger = logging.getLogger(__name__)
BATCH = 500
POISONED_FOR = timedelta(hours=1)
READ = (
    "account_id", "visitor_id", "state", "in_workspace", "revision", "away_since", "left_notice_at", "went_offline_at",
    "is_offline", "closes_at", "wake_at", "closed_at",
)  # fmt: skip
WRITTEN = (*Dialog.SETTLED, "state", "closed_at")


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
    accounts = Account.objects.only("left_notice_after", "offline_after", "timeouts_changed_at").in_bulk(
        {dialog.account_id for dialog in dialogs}
    )
    timeouts = {pk: timeouts_of(account) for pk, account in accounts.items()}
    record = Record(now)
    for dialog in dialogs:
        try:
            facts, steps = state.advance(dialog.facts, timeouts[dialog.account_id], now)
        except Exception:
            logger.exception("dialog %s: the rules failed, looking again in an hour", dialog.pk)
            dialog.wake_at = now + POISONED_FOR
            continue
        if dialog.is_open and not facts.is_open:
            dialog.state, dialog.closed_at = State.CLOSED, steps[-1][0]
        dialog.settle(facts, timeouts[dialog.account_id])
        record.steps(dialog, steps)
    record.write(dialogs, WRITTEN)
    return len(dialogs)


def beat(name: str) -> None:
    """Note that a part of the service has just run (/healthz)."""
    row = Pulse(name=name, at=database_now())
    Pulse.objects.bulk_create([row], update_conflicts=True, unique_fields=["name"], update_fields=["at"])


def forget_beats() -> None:
    """A new start: what an earlier one noted proves nothing now. The sweep of visits needs its last run (P9) and keeps it."""
    Pulse.objects.exclude(name=Pulse.LEASES).delete()


@transaction.atomic
def apply_setting_changes() -> int:
    """Look again at dialogs whose visitor is already gone when a timeout of their account changed."""
    changes = list(
        SettingChange.objects.filter(handled_at=None).select_for_update(skip_locked=True, no_key=True).order_by("pk")[:BATCH]
    )
    if not changes:
        return 0
    now: datetime = database_now()
    account_ids = {change.account_id for change in changes if change.field in TIMEOUTS}
    waiting = Dialog.objects.filter(account__in=account_ids, state__in=OPEN_STATES, away_since__isnull=False)
    waiting.filter(Q(wake_at=None) | Q(wake_at__gt=now)).update(wake_at=now)
    SettingChange.objects.filter(pk__in=[change.pk for change in changes]).update(handled_at=now)
    return len(changes)
