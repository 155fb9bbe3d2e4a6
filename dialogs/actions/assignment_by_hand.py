"""Operators take dialogs, take them over and transfer them (Q5, Q6, Q10).

What the system assigns by itself is `automatic_assignment`; what getting or losing a dialog changes in it is `holding`.
"""

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from dialogs.actions import holding
from dialogs.actions.acts import begin_act
from dialogs.actions.automatic_assignment import assign_soon
from dialogs.actions.errors import NeedsConfirmation, Refused
from dialogs.actions.presence import lateness_judged_at
from dialogs.actions.record import Record, queue_now
from dialogs.actions.rights import refuse_unless
from dialogs.actions.unpicked import end_now
from dialogs.events import ConfirmedWarning, PickedUp, Transferred, TransferTarget
from dialogs.models import Dialog, State
from dialogs.reading.queues import held
from dialogs.reading.rights import acting_person, facts_of, person_of
from dialogs.rules.permissions import may_be_given, may_take, may_transfer
from operators.availability import is_online_now
from operators.models import Account, Assignment, Department, Operator
from webim_offline.foundation.database.clock import database_now
from webim_offline.foundation.database.transactions import atomic


@atomic
def take(dialog_id: int, operator: Operator, *, instead_of: int | None = None, confirmed: bool = False) -> Dialog:
    """Give a waiting dialog to the operator who reached for it first (Q6); one's own assigned dialog is picked up.

    `instead_of`: the id of whom a supervisor takes it over from. Taking at a limit needs `confirmed` (Q5). Raises DialogClosed,
    AlreadyTaken (with who has it), NotVisible (Q3), NotYours for a dialog that goes by mail only, NeedsConfirmation. Taking
    again changes nothing.
    """
    act = begin_act(operator, dialog_id, whose_dialogs=operator.pk)
    account, dialog, record = act.account, act.dialog, act.record
    refuse_unless(may_take(acting_person(operator, dialog), act.facts, instead_of=instead_of), dialog)
    holder = dialog.operator_id
    if holder == operator.pk and dialog.state == State.CHATTING:
        return dialog
    event = PickedUp()
    if holder != operator.pk:
        warnings = warnings_of_taking(account, operator, dialog)
        if warnings and not confirmed:
            raise NeedsConfirmation(list(warnings.values()))
        before = str(dialog.operator) if holder is not None else None
        event = PickedUp(warned=tuple(warnings), from_operator_id=holder, from_operator_name=before)
    holding.pick_up(dialog, operator, record, event)
    record.write()
    assign_soon_in(account)
    return dialog


def assign_soon_in(account: Account) -> None:
    """`assign_soon` for an account that was read under its lock; nothing happens where dialogs are only assigned by hand."""
    if account.assignment == Assignment.AUTOMATIC:
        assign_soon([account.pk])


def warnings_of_taking(account: Account, operator: Operator, dialog: Dialog) -> dict[ConfirmedWarning, str]:
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
    return {ConfirmedWarning.AT_LIMIT: text % {"count": count, "limit": limit}}


def _warnings_of_giving(account: Account, target: Operator, dialog: Dialog) -> dict[ConfirmedWarning, str]:
    """What somebody is told before they hand the dialog to a `target` who reached the limit for its kind; empty below it."""
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
    return {ConfirmedWarning.AT_LIMIT: text % {"who": target, "count": count, "limit": limit}}


def _limit_reached(account: Account, operator: Operator, dialog: Dialog) -> tuple[int, int] | None:
    """How many other dialogs of the dialog's kind the operator has, and their limit, if they are there."""
    limit = operator.limit("max_offline_dialogs" if dialog.is_offline else "max_online_dialogs", account)
    if not limit:
        return None
    others = held(operator).filter(is_offline=dialog.is_offline).exclude(pk=dialog.pk)
    count = others.count()
    if count >= limit:
        now = database_now()
        judged_at = lateness_judged_at(now)
        assigned = others.filter(state=State.QUEUE)
        count -= sum(end_now(one, account, now, judged_at=judged_at) is not None for one in assigned)
    return (count, limit) if count >= limit else None


@atomic
def transfer_to_operator(dialog_id: int, actor: Operator, target_id: int, *, confirmed: bool = False) -> Dialog:
    """Q10: the dialog waits for the target's reply; number, start state, history and creation time stay.

    At the target's limit, to somebody who is not online, or who does not speak the language, it needs `confirmed`, and what was
    warned of is recorded. Raises DialogClosed, AlreadyTaken, NotYours, NeedsConfirmation, Refused for a target who cannot be.
    """
    account, dialog, record = _begin_to_transfer(dialog_id, actor, target_id)
    target = Operator.objects.filter(pk=target_id).first()
    if target is None or not may_be_given(person_of(target, with_routes=False), facts_of(dialog)):
        raise Refused(_("Choose somebody who works in this account."))
    if target.pk == dialog.operator_id:
        raise Refused(_("%(who)s has this dialog already.") % {"who": target})
    warnings = _warnings_of_giving(account, target, dialog)
    if not is_online_now(account, target, record.now):
        text = _("%(who)s is not online: unless they take it in time, it returns to the queue.")
        warnings[ConfirmedWarning.NOT_ONLINE] = text % {"who": target}
    if not target.languages.filter(pk=dialog.language_id).exists():
        warnings[ConfirmedWarning.NOT_SPOKEN] = _("%(who)s does not speak the language of this dialog.") % {"who": target}
    if warnings and not confirmed:
        raise NeedsConfirmation(list(warnings.values()))
    timeout = holding.pickup_timeouts(account, [dialog.department_id])[dialog.department_id]
    from_name, from_department = _names_of_holders(dialog)
    event = Transferred(
        to=TransferTarget.OPERATOR,
        operator_id=target.pk,
        operator_name=str(target),
        from_name=from_name,
        from_department=from_department,
        warned=tuple(warnings),
    )
    if dialog.operator_id is not None:
        holding.release(dialog, record)
    holding.assign(dialog, target.pk, record, timeout=timeout)
    return _transferred(account, dialog, actor, record, event)


@atomic
def transfer_to_department(dialog_id: int, actor: Operator, department_id: int) -> Dialog:
    """Q10: the dialog waits in another department's queue. Raises DialogClosed, AlreadyTaken, NotYours, Refused."""
    account, dialog, record = _begin_to_transfer(dialog_id, actor)
    department = Department.objects.filter(pk=department_id, account=account, archived_at=None).first()
    if department is None:
        raise Refused(_("Choose a department of this account that is not archived."))
    if department.pk == dialog.department_id and dialog.operator_id is None:
        raise Refused(_("The dialog waits in %(department)s already.") % {"department": department})
    from_name, from_department = _names_of_holders(dialog)
    holding.release(dialog, record, at=record.now)
    dialog.department = department
    event = Transferred(
        to=TransferTarget.DEPARTMENT,
        department=str(department),
        queue=queue_now(dialog),
        from_name=from_name,
        from_department=from_department,
    )
    return _transferred(account, dialog, actor, record, event)


@atomic
def return_to_queue(dialog_id: int, actor: Operator) -> Dialog:
    """Q10: the dialog waits in its own queue again. Raises DialogClosed, AlreadyTaken, NotYours, Refused."""
    account, dialog, record = _begin_to_transfer(dialog_id, actor)
    if dialog.operator_id is None:
        raise Refused(_("The dialog waits in the queue already."))
    from_name, from_department = _names_of_holders(dialog)
    holding.release(dialog, record, at=record.now)
    event = Transferred(to=TransferTarget.QUEUE, queue=queue_now(dialog), from_name=from_name, from_department=from_department)
    return _transferred(account, dialog, actor, record, event)


def _begin_to_transfer(dialog_id: int, actor: Operator, target_id: int | None = None) -> tuple[Account, Dialog, Record]:
    """The account, the dialog under its lock, which the actor may hand on, and the record of what happens to it."""
    act = begin_act(actor, dialog_id, whose_dialogs=target_id)
    refuse_unless(may_transfer(acting_person(actor, act.dialog), act.facts), act.dialog)
    return act.account, act.dialog, act.record


def _names_of_holders(dialog: Dialog) -> tuple[str | None, str | None]:
    """The names of the operator and of the department that have the dialog before it is transferred; None: none has it."""
    return (
        str(dialog.operator) if dialog.operator_id else None,
        str(dialog.department) if dialog.department_id else None,
    )


def _transferred(account: Account, dialog: Dialog, actor: Operator, record: Record, event: Transferred) -> Dialog:
    record.event(dialog, event, record.now, actor=actor)
    record.write()
    assign_soon_in(account)
    return dialog
