"""Changed settings, applied to dialogs and visits that run already: each acts from the moment it was stored (P2, P4, P5, Q8, Z2).

The clock worker does so every second. Whoever cannot wait for it applies what concerns him first (`follow_leases`,
`closings.bring_up_to_date`).
"""

from collections.abc import Collection
from datetime import timedelta

from django.db import transaction
from django.db.models import DateTimeField, Exists, F, OuterRef, Q, Value
from django.db.models.functions import Greatest

from dialogs.actions.closings import CLOSINGS, move_closings
from dialogs.actions.holding import pickup_timeouts
from dialogs.locks import lock_visits
from dialogs.models import IS_ASSIGNED, OPEN_STATES, Dialog, Message, Visit
from operators.actions.settings import PICKUP_TIMEOUT, TIMEOUTS, VISIT_LEASE
from operators.locks import lock_account_shared
from operators.models import SettingChange
from webim_offline.foundation.database.bulk import update_rows
from webim_offline.foundation.database.clock import database_now
from webim_offline.foundation.database.due_work import any_row
from webim_offline.foundation.database.locks import lock_keys, lock_rows

BATCH = 500
RUNG_AT_ONCE = 2000  # rows locked together
RUNG_A_SECOND = 10_000


def any_unapplied() -> str:
    """Whether a change is not applied yet (`DueWork`)."""
    return any_row(SettingChange._meta.db_table, "id", "handled_at IS NULL")


def apply_setting_changes() -> int:
    """Apply the oldest changes that are not applied yet, at most BATCH of them; returns how many.

    A timeout of absences that got shorter, or was switched on, rings the alarms of visitors who are away already. A longer one
    needs nothing: the old alarm rings early, and the rules set it anew. Safe to run twice at once, or to be broken off: a change
    is marked as handled when everything it moves is moved.
    """
    changes = list(SettingChange.objects.filter(handled_at=None).order_by("pk")[:BATCH])
    if not changes:
        return 0
    for account_id, setting in {(change.account_id, change.setting) for change in changes if change.setting in CLOSINGS}:
        move_closings(account_id, setting)
    for account_id in {change.account_id for change in changes if change.setting == PICKUP_TIMEOUT}:
        _move_pickups(account_id)
    _ring({change.account_id for change in changes if change.setting in TIMEOUTS and _acts_sooner(change)})
    if leases := {change.account_id for change in changes if change.setting == VISIT_LEASE}:
        follow_leases(leases)
    with transaction.atomic():
        handled = lock_keys(SettingChange.objects.filter(pk__in=[change.pk for change in changes], handled_at=None))
        SettingChange.objects.filter(pk__in=handled).update(handled_at=database_now())
    return len(changes)


@transaction.atomic
def _move_pickups(account_id: int) -> None:
    """Q8: what is assigned waits as long as the new time says, from its assignment or the end of a later outage (P9, Z2)."""
    account = lock_account_shared(account_id)
    changes = SettingChange.objects.filter(account=account_id, setting=PICKUP_TIMEOUT)  # the account's and its departments'
    stored_at = changes.order_by("-pk").values_list("at", flat=True)[0]
    rows = Dialog.objects.filter(IS_ASSIGNED, account=account_id, pickup_by__gt=stored_at)
    locked = lock_rows(rows)
    timeouts = pickup_timeouts(account, {dialog.department_id for dialog in locked})
    moved = [(d.pk, max(d.pickup_from + timeouts[d.department_id], stored_at)) for d in locked if d.pickup_from]
    update_rows(Dialog, ("pickup_by",), moved)


@transaction.atomic
def follow_leases(account_ids: Collection[int] | None = None, *, beside: Q | None = None) -> None:
    """Move at once what changed leases of visits have not moved yet, in all accounts if none are named.

    For whoever is about to give visits an end by the lease in force: moved after that, it would be moved once too often. `beside`
    names the visits that the caller is about to change: all visits of a transaction are locked together.
    """
    waiting = SettingChange.objects.filter(handled_at=None, setting=VISIT_LEASE)
    # one that somebody else has moved meanwhile is not moved twice: it is not waiting any more once its lock is free
    changes = lock_rows(waiting if account_ids is None else waiting.filter(account__in=account_ids))
    concerned = Q(account__in={change.account_id for change in changes}, expires_at__isnull=False)
    if not changes:
        if beside is None:
            return
        concerned = beside
    elif beside is not None:
        concerned |= beside
    lock_visits(Visit.objects.filter(concerned, ended_at=None))
    for change in changes:
        _move_ends(change)


def _move_ends(change: SettingChange) -> None:
    """P2: what a message, or a lost process, gave a visit by the old lease ends by the new one, not before it was stored (Z2)."""
    if not SettingChange.objects.filter(pk=change.pk, handled_at=None).update(handled_at=database_now()):
        return  # moved by somebody else: it must not be moved twice
    before, after = _seconds(change)
    longer_by = timedelta(seconds=after - before)
    given = Visit.objects.filter(account=change.account_id, ended_at=None, expires_at__gt=change.at)
    # who wrote since then got the new lease
    given = given.exclude(Exists(Message.objects.filter(visitor=OuterRef("visitor"), at__gt=change.at)))
    given.update(expires_at=Greatest(F("expires_at") + longer_by, Value(change.at, DateTimeField())))


def _seconds(change: SettingChange) -> tuple[int, int]:
    """The values of a setting of an account that is a time, before and after the change."""
    return int(change.before or 0), int(change.after or 0)


def _acts_sooner(change: SettingChange) -> bool:
    before, after = _seconds(change)
    return after > 0 and (before == 0 or after < before)


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
            locked = lock_keys(batch)
            Dialog.objects.filter(pk__in=locked).filter(Q(wake_at=None) | Q(wake_at__gt=at)).update(wake_at=at)
