"""Who has a locked dialog: the steps that every way of getting or losing one is made of (Q2, Q6 to Q10)."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from dialogs.actions.record import Record, moved_to, visitor_channel
from dialogs.models import Dialog, EventKind, State
from operators.actions import operator_channel
from operators.models import Account, Department, Operator
from webim_offline.statements import Statement

SHARES = 0x7732 << 44  # where the numbers of our advisory locks on PostgreSQL begin, one for each person


def lock_share(operator_id: int) -> None:
    """Nobody else gives this person a dialog until the end of the transaction: limits are counted under this lock (Q5).

    Comes after the account's lock and before the dialog's. Not the person's row: their signs of life must not wait.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [SHARES + operator_id])


def shares_to_lock(operator_ids: Sequence[int]) -> Statement:
    """The same of several people without waiting (PostgreSQL): gives the ids of those whom nobody else is giving a dialog."""
    sql = "SELECT id FROM unnest(%s::bigint[]) AS id WHERE pg_try_advisory_xact_lock(%s + id)"
    return sql, [operator_ids, SHARES]


def pickup_timeouts(account: Account, department_ids: Iterable[int | None]) -> dict[int | None, timedelta]:
    """Q8: how long a dialog of each department may wait for its operator; None: of no department. One query at most."""
    asked = {None, *department_ids}
    found: dict[int | None, timedelta] = dict.fromkeys(asked, timedelta(seconds=account.pickup_timeout))
    if ids := asked - {None}:
        own = Department.objects.filter(pk__in=ids, pickup_timeout__isnull=False)
        found |= {pk: timedelta(seconds=seconds) for pk, seconds in own.values_list("pk", "pickup_timeout")}
    return found


def pick_up(
    dialog: Dialog, operator: Operator, record: Record, *, actor: Operator | None = None, data: dict[str, Any] | None = None
) -> None:
    """The locked dialog is this operator's now, and begun (Q9). Written with Dialog.HELD."""
    dialog.operator, dialog.state = operator, State.CHATTING
    dialog.picked_up_at = dialog.picked_up_at or record.now
    dialog.assigned_at = dialog.pickup_by = dialog.pickup_from = None
    dialog.passed_over = {}
    record.event(dialog, EventKind.PICKED_UP, record.now, actor=actor or operator, data=data)
    record.channels.add(visitor_channel(dialog.visitor_id))


def assign(dialog: Dialog, operator_id: int, record: Record, *, timeout: timedelta) -> None:
    """The locked dialog waits for this operator's reply, for `timeout` at most (Q2, Q8). The caller records the event."""
    dialog.operator_id, dialog.state = operator_id, State.QUEUE
    dialog.assigned_at = dialog.pickup_from = record.now
    dialog.pickup_by = record.now + timeout
    record.channels |= {operator_channel(operator_id), visitor_channel(dialog.visitor_id)}


def release(dialog: Dialog, record: Record, *, at: datetime | None = None) -> None:
    """Nobody has the locked dialog any more: it waits in its queue, its creation time unchanged. The caller records the event.

    `at`: since when whoever had it is not to be given it again (Q8).
    """
    if dialog.operator_id is not None and at is not None:
        dialog.passed_over = {**dialog.passed_over, str(dialog.operator_id): at.isoformat()}
    dialog.operator_id, dialog.state = None, State.QUEUE
    dialog.assigned_at = dialog.pickup_by = dialog.pickup_from = None
    record.channels.add(visitor_channel(dialog.visitor_id))


def returned_to_queue(dialog: Dialog, record: Record, reason: str, *, at: datetime) -> None:
    """Q8: the locked dialog goes back from the operator it was assigned to, at the moment the rule names (Z2)."""
    data = {"operator": dialog.operator_id, "who": str(dialog.operator), "reason": reason}
    release(dialog, record, at=at)
    record.event(dialog, EventKind.UNASSIGNED, at, data=data | moved_to(dialog))
