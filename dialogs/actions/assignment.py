"""Who has a dialog, by people's hands: take, hand over, take over (Q5, Q6, Q10). Automatic assignment is `assigner`."""

from collections.abc import Sequence
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from dialogs.actions import holding
from dialogs.actions.assigner import assign_soon
from dialogs.actions.closings import bring_up_to_date
from dialogs.actions.errors import AlreadyTaken, DialogClosed, NeedsConfirmation, NotYours, Refused
from dialogs.actions.record import Record, moved_to
from dialogs.models import Dialog, EventKind, State
from dialogs.queues import held
from operators.actions import acted, lock_account_shared
from operators.availability import is_online_now
from operators.models import Account, Assignment, Department, Operator
from webim_offline.database_clock import database_now
from webim_offline.transactions import atomic

AT_LIMIT, NOT_ONLINE, NOT_SPOKEN = "at_limit", "not_online", "not_spoken"  # what a person was warned of


def lock_dialog(dialog_id: int) -> Dialog:
    """The dialog's row under its lock. Raises Dialog.DoesNotExist.

    Nothing may be joined here: a row that waited for its lock is read anew, what is joined to it is not.
    """
    return Dialog.objects.select_for_update(no_key=True).get(pk=dialog_id)


def lock_open_dialog(dialog_id: int, account: Account) -> tuple[Dialog, Record]:
    """An open dialog of the account under its lock, and the record of what happens to it now.

    Raises Dialog.DoesNotExist, also for another account's (X1), and DialogClosed.
    """
    dialog = lock_dialog(dialog_id)
    return dialog, record_of_open(dialog, account)


def record_of_open(dialog: Dialog, account: Account) -> Record:
    """The same for a dialog that is locked already."""
    if dialog.account_id != account.pk:
        raise Dialog.DoesNotExist
    record = Record(database_now())
    bring_up_to_date([dialog])
    if not dialog.is_open or (dialog.closes_at is not None and dialog.closes_at <= record.now):
        raise DialogClosed  # if by time, the sweep is about to say so
    return record


@atomic
def take(dialog_id: int, operator: Operator, *, instead_of: int | None = None, confirmed: bool = False) -> Dialog:
    """Give a waiting dialog to the operator who reached for it first (Q6); one's own assigned dialog is picked up.

    `instead_of`: the id of whom a supervisor takes it over from. Taking at a limit needs `confirmed` (Q5). Raises DialogClosed,
    AlreadyTaken (with who has it), NotYours for a dialog that goes by mail only, NeedsConfirmation. Taking again changes nothing.
    """
    account = lock_account_shared(operator.account_id)
    acted(operator)
    holding.lock_share(operator.pk)
    dialog, record = lock_open_dialog(dialog_id, account)
    if not dialog.in_workspace:
        raise NotYours
    holder = dialog.operator_id
    if holder not in {None, operator.pk} and not (operator.is_supervisor and holder == instead_of):
        raise AlreadyTaken(str(dialog.operator))
    if holder == operator.pk and dialog.state == State.CHATTING:
        return dialog
    data: dict[str, Any] = {}
    if holder != operator.pk:
        warnings = warnings_of_taking(account, operator, dialog)
        if warnings and not confirmed:
            raise NeedsConfirmation(list(warnings.values()))
        data = {"warned": list(warnings)} if warnings else {}
        if holder is not None:
            data |= {"operator": holder, "who": str(dialog.operator)}
    holding.pick_up(dialog, operator, record, data=data)
    record.write([dialog], Dialog.HELD)
    assign_soon_in(account)
    return dialog


def assign_soon_in(account: Account) -> None:
    """`assign_soon` for an account that was read under its lock: nothing to ask where dialogs are taken by hand."""
    if account.assignment == Assignment.AUTOMATIC:
        assign_soon([account.pk])


def warnings_of_taking(account: Account, operator: Operator, dialog: Dialog) -> dict[str, str]:
    """Q5: what somebody is told before they reach or pass their limit for the dialog's kind; empty below it."""
    reached = _limit_reached(account, operator, dialog)
    if reached is None:
        return {}
    count, limit = reached
    text = (
        ngettext(
            "You have %(count)s offline dialog; the limit is %(limit)s.",
            "You have %(count)s offline dialogs; the limit is %(limit)s.",
            count,
        )
        if dialog.is_offline
        else ngettext(
            "You have %(count)s online dialog; the limit is %(limit)s.",
            "You have %(count)s online dialogs; the limit is %(limit)s.",
            count,
        )
    )
    return {AT_LIMIT: text % {"count": count, "limit": limit}}


def _warnings_of_giving(account: Account, target: Operator, dialog: Dialog) -> dict[str, str]:
    """The same of somebody else, for whoever hands them the dialog."""
    reached = _limit_reached(account, target, dialog)
    if reached is None:
        return {}
    count, limit = reached
    text = (
        ngettext(
            "%(who)s has %(count)s offline dialog; the limit is %(limit)s.",
            "%(who)s has %(count)s offline dialogs; the limit is %(limit)s.",
            count,
        )
        if dialog.is_offline
        else ngettext(
            "%(who)s has %(count)s online dialog; the limit is %(limit)s.",
            "%(who)s has %(count)s online dialogs; the limit is %(limit)s.",
            count,
        )
    )
    return {AT_LIMIT: text % {"who": target, "count": count, "limit": limit}}


def _limit_reached(account: Account, operator: Operator, dialog: Dialog) -> tuple[int, int] | None:
    """How many other dialogs of the dialog's kind the operator has, and their limit, if they are there."""
    limit = operator.limit("max_offline_dialogs" if dialog.is_offline else "max_online_dialogs", account)
    if not limit:
        return None
    count = held(operator).filter(is_offline=dialog.is_offline).exclude(pk=dialog.pk).count()
    return (count, limit) if count >= limit else None


@atomic
def transfer_to_operator(dialog_id: int, actor: Operator, target_id: int, *, confirmed: bool = False) -> Dialog:
    """Q10: the dialog waits for the target's reply; number, start state, history and creation time stay.

    At the target's limit, to somebody who is not online, or who does not speak the language, it needs `confirmed`, and what was
    warned of is recorded. Raises DialogClosed, AlreadyTaken, NotYours, NeedsConfirmation, Refused for a target who cannot be.
    """
    account = lock_account_shared(actor.account_id)
    acted(actor)
    holding.lock_share(target_id)
    dialog, record = lock_open_dialog(dialog_id, account)
    _check_may_transfer(dialog, actor)
    target = Operator.objects.filter(pk=target_id, account=account, is_active=True).first()
    if target is None:
        raise Refused(_("Choose somebody who works in this account."))
    if target.pk == dialog.operator_id:
        raise Refused(_("%(who)s has this dialog already.") % {"who": target})
    warnings = _warnings_of_giving(account, target, dialog)
    if not is_online_now(account, target, record.now):
        warnings[NOT_ONLINE] = _("%(who)s is not online: unless they take it in time, it returns to the queue.") % {"who": target}
    if not target.languages.filter(pk=dialog.language_id).exists():
        warnings[NOT_SPOKEN] = _("%(who)s does not speak the language of this dialog.") % {"who": target}
    if warnings and not confirmed:
        raise NeedsConfirmation(list(warnings.values()))
    timeout = holding.pickup_timeouts(account, [dialog.department_id])[dialog.department_id]
    data = _before(dialog) | {"to": "operator", "operator": target.pk, "who": str(target), "warned": list(warnings)}
    if dialog.operator_id is not None:
        holding.release(dialog, record)
    holding.assign(dialog, target.pk, record, timeout=timeout)
    return _transferred(account, dialog, actor, record, data)


@atomic
def transfer_to_department(dialog_id: int, actor: Operator, department_id: int) -> Dialog:
    """Q10: the dialog waits in another department's queue. Raises DialogClosed, AlreadyTaken, NotYours, Refused."""
    account = lock_account_shared(actor.account_id)
    acted(actor)
    dialog, record = lock_open_dialog(dialog_id, account)
    _check_may_transfer(dialog, actor)
    department = Department.objects.filter(pk=department_id, account=account, archived_at=None).first()
    if department is None:
        raise Refused(_("Choose a department of this account that is not archived."))
    if department.pk == dialog.department_id and dialog.operator_id is None:
        raise Refused(_("The dialog waits in %(department)s already.") % {"department": department})
    data = _before(dialog) | {"to": "department", "department": str(department)}
    holding.release(dialog, record, at=record.now)
    dialog.department = department
    return _transferred(account, dialog, actor, record, data | {"queue": moved_to(dialog).get("to", "")})


@atomic
def return_to_queue(dialog_id: int, actor: Operator) -> Dialog:
    """Q10: the dialog waits in its own queue again. Raises DialogClosed, AlreadyTaken, NotYours, Refused."""
    account = lock_account_shared(actor.account_id)
    acted(actor)
    dialog, record = lock_open_dialog(dialog_id, account)
    _check_may_transfer(dialog, actor)
    if dialog.operator_id is None:
        raise Refused(_("The dialog waits in the queue already."))
    data = _before(dialog) | {"to": "queue"}
    holding.release(dialog, record, at=record.now)
    return _transferred(account, dialog, actor, record, data | {"queue": moved_to(dialog).get("to", "")})


def _check_may_transfer(dialog: Dialog, actor: Operator) -> None:
    """Whoever has the dialog may hand it on; a supervisor may hand out every one that is in the workspace."""
    if not dialog.in_workspace:
        raise NotYours
    if dialog.operator_id == actor.pk or actor.is_supervisor:
        return
    if dialog.operator_id is None:
        raise NotYours
    raise AlreadyTaken(str(dialog.operator))


def _before(dialog: Dialog) -> dict[str, Any]:
    before = {"from": str(dialog.operator)} if dialog.operator_id else {}
    return before | ({"from_department": str(dialog.department)} if dialog.department_id else {})


def _transferred(account: Account, dialog: Dialog, actor: Operator, record: Record, data: dict[str, Any]) -> Dialog:
    record.event(dialog, EventKind.TRANSFERRED, record.now, actor=actor, data=data)
    columns: Sequence[str] = (*Dialog.HELD, "department_id")
    record.write([dialog], tuple(columns))
    assign_soon_in(account)
    return dialog
