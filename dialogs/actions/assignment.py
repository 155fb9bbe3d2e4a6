"""Who has a dialog (Q6)."""

from dialogs.actions.conversation import lock_dialog, pick_up
from dialogs.actions.errors import AlreadyTaken, DialogClosed
from dialogs.actions.record import Record
from dialogs.models import Dialog, State
from operators.models import Operator
from webim_offline.database_clock import database_now
from webim_offline.transactions import atomic


@atomic
def take(dialog_id: int, operator: Operator) -> Dialog:
    """Give a waiting dialog to the operator who reached for it first.

    Raises AlreadyTaken (with who has it) and DialogClosed; taking one's own dialog again changes nothing.
    """
    dialog = lock_dialog(dialog_id)
    if not dialog.is_open:
        raise DialogClosed
    if dialog.operator_id not in {None, operator.pk}:
        raise AlreadyTaken(str(dialog.operator))
    if dialog.state == State.CHATTING:
        return dialog
    record = Record(database_now())
    pick_up(dialog, operator, record)
    record.write([dialog], ("state", "operator_id", "picked_up_at"))
    return dialog
