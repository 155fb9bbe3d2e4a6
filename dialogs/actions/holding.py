"""What changes in a dialog when somebody gets or loses it (Q2, Q6 to Q10).

Every way of getting or losing one is made of these steps: by hand, automatically, by time. The dialog is locked by the caller,
who writes the record afterwards.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from dialogs.actions.record import Record, queue_now, visitor_channel
from dialogs.events import PickedUp, Unassigned, UnassignedReason
from dialogs.models import Dialog, State
from operators.channels import operator_channel
from operators.models import Account, Department, Operator


def pickup_timeouts(account: Account, department_ids: Iterable[int | None]) -> dict[int | None, timedelta]:
    """Q8: how long a dialog of each department may wait for its operator; None: of no department. One query at most."""
    asked = {None, *department_ids}
    found: dict[int | None, timedelta] = dict.fromkeys(asked, timedelta(seconds=account.pickup_timeout))
    if ids := [department_id for department_id in asked if department_id is not None]:
        own = Department.objects.filter(pk__in=ids).values_list("pk", "pickup_timeout")
        found |= {pk: timedelta(seconds=seconds) for pk, seconds in own if seconds is not None}
    return found


def pick_up(dialog: Dialog, operator: Operator, record: Record, event: PickedUp) -> None:
    """The operator has the dialog now and has begun with it (Q9). `event` is recorded as the operator's own act."""
    dialog.operator, dialog.state = operator, State.CHATTING
    dialog.picked_up_at = dialog.picked_up_at or record.now
    dialog.assigned_at = dialog.pickup_by = dialog.pickup_from = None
    dialog.passed_over = {}
    record.event(dialog, event, record.now, actor=operator)
    record.channels.add(visitor_channel(dialog.visitor_id))


def assign(dialog: Dialog, operator_id: int, record: Record, *, timeout: timedelta) -> None:
    """The dialog waits for this operator to pick it up, for `timeout` at most (Q2, Q8). The caller records the event."""
    dialog.operator_id, dialog.state = operator_id, State.QUEUE
    dialog.assigned_at = dialog.pickup_from = record.now
    dialog.pickup_by = record.now + timeout
    record.channels |= {operator_channel(operator_id), visitor_channel(dialog.visitor_id)}


def release(dialog: Dialog, record: Record, *, at: datetime | None = None) -> None:
    """Nobody has the dialog any more: it waits in its queue, its creation time unchanged. The caller records the event.

    With `at`, whoever had it let it wait until that moment, and is passed over in the next assignment (Q8).
    """
    if dialog.operator_id is not None and at is not None:
        dialog.passed_over = {**dialog.passed_over, str(dialog.operator_id): at.isoformat()}
    dialog.operator_id, dialog.state = None, State.QUEUE
    dialog.assigned_at = dialog.pickup_by = dialog.pickup_from = None
    record.channels.add(visitor_channel(dialog.visitor_id))


def returned_to_queue(dialog: Dialog, record: Record, reason: UnassignedReason, *, at: datetime) -> None:
    """Q8: the dialog goes back from the operator it was assigned to, at the moment the rule names (Z2), and this is recorded."""
    operator = dialog.operator
    if operator is None:
        return
    release(dialog, record, at=at)
    event = Unassigned(operator_id=operator.pk, operator_name=str(operator), reason=reason, queue=queue_now(dialog))
    record.event(dialog, event, at)
