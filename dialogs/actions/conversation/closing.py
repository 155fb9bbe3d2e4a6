"""Either side closes a dialog (Q9, W4). What time alone closes is `dialogs.actions.deadlines`."""

from datetime import timedelta

from dialogs import events
from dialogs.actions import holding
from dialogs.actions.acts import begin_act, begin_record
from dialogs.actions.assignment_by_hand import assign_soon_in
from dialogs.actions.deadlines import catch_up
from dialogs.actions.errors import DialogClosed
from dialogs.actions.record import Record, visitor_channel
from dialogs.actions.rights import refuse_unless
from dialogs.event_classes import Event
from dialogs.locks import lock_dialog
from dialogs.models import Dialog, State
from dialogs.reading.rights import acting_person
from dialogs.rules import presence
from dialogs.rules.permissions import may_close
from operators.locks import lock_account_shared
from operators.models import Account, Operator
from webim_offline.foundation.database.transactions import atomic


@atomic
def close_by_operator(dialog_id: int, operator: Operator) -> Dialog:
    """Close a dialog: its operator, or a supervisor (Q9). Raises DialogClosed, NotYours, AlreadyTaken."""
    act = begin_act(operator, dialog_id)
    refuse_unless(may_close(acting_person(operator, act.dialog), act.facts), act.dialog)
    _close(act.account, act.dialog, State.CLOSED_BY_OPERATOR, events.ClosedByOperator(), act.record, actor=operator)
    return act.dialog


@atomic
def close_by_visitor(visitor_id: int, number: int) -> Dialog:
    """The visitor ends the chat (W4). Raises Dialog.DoesNotExist for another's dialog, DialogClosed."""
    account_id, dialog_id = Dialog.objects.values_list("account_id", "pk").get(visitor=visitor_id, number=number)
    account = lock_account_shared(account_id)
    dialog = lock_dialog(dialog_id)
    record, facts = begin_record(dialog)
    if not facts.is_open:
        raise DialogClosed
    _close(account, dialog, State.CLOSED_BY_VISITOR, events.ClosedByVisitor(), record, actor=None)
    return dialog


def _close(account: Account, dialog: Dialog, closed: State, event: Event, record: Record, *, actor: Operator | None) -> None:
    catch_up([dialog], record)
    if dialog.state == State.QUEUE:  # whoever it waited for has not begun with it
        holding.release(dialog, record)
    dialog.settle(presence.closed(dialog.facts, record.now + timedelta(seconds=account.reopen_window)), presence.NO_ABSENCE)
    dialog.state, dialog.closed_at = closed, record.now
    record.event(dialog, event, record.now, actor=actor)
    record.channels.add(visitor_channel(dialog.visitor_id))
    record.write()
    assign_soon_in(account)
