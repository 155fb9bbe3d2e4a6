"""Operators answer (B1, Q5, Q6, Q11)."""

from datetime import timedelta
from typing import Any

from django.db.models import QuerySet

from dialogs import events
from dialogs.actions import holding
from dialogs.actions.acts import begin_act
from dialogs.actions.assignment_by_hand import assign_soon_in, warnings_of_taking
from dialogs.actions.errors import NeedsConfirmation
from dialogs.actions.rights import refuse_unless
from dialogs.actions.timeouts import timeouts_in_force
from dialogs.models import Dialog, Message, MessageKind, State
from dialogs.reading.rights import acting_person
from dialogs.rules import presence
from dialogs.rules.permissions import may_answer
from operators.models import Operator
from webim_offline.foundation.database.prepared import prepared
from webim_offline.foundation.database.transactions import atomic


@atomic
def answer(dialog_id: int, operator: Operator, text: str, key: str, *, confirmed: bool = False) -> Dialog:
    """Send an operator's answer. To a dialog that nobody has picked up, answering is picking it up (behaviour.md, "Words").

    `key` is made by the page that sends the answer: the same key of the same operator is accepted once in each dialog, and
    changes nothing when it comes again (B1). Raises DialogClosed, AlreadyTaken, NotVisible (Q3), NeedsConfirmation (Q5).
    """
    act = begin_act(operator, dialog_id, _known_already.asked(dialog_id, operator.pk, key).statement(), whose_dialogs=operator.pk)
    account, dialog, record = act.account, act.dialog, act.record
    if act.also[0]:
        return dialog
    refuse_unless(may_answer(acting_person(operator, dialog), act.facts), dialog)
    if begins := dialog.state == State.QUEUE:
        warnings = {} if dialog.operator_id else warnings_of_taking(account, operator, dialog)
        if warnings and not confirmed:
            raise NeedsConfirmation(list(warnings.values()))
        holding.pick_up(dialog, operator, record, events.PickedUp(warned=tuple(warnings)))
    now = record.now
    record.message(dialog, MessageKind.OPERATOR, text, now, author=operator, key=key)
    record.event(dialog, events.OperatorWrote(), now, actor=operator)
    dialog.waiting_since = None
    dialog.set_last_message(text, now, is_visitors=False)
    if dialog.in_workspace:
        closes_at = now + timedelta(seconds=account.close_after) if account.close_after else None  # Q11
        postponed = presence.postponed(dialog.facts, closes_at)
        dialog.settle(postponed, timeouts_in_force(account, postponed.away_since, now))
    record.write()
    if begins:
        assign_soon_in(account)  # the next of its queue may find somebody (Q7)
    return dialog


@prepared
def _known_already(dialog_id: int, author_id: int, key: str) -> QuerySet[Message, Any]:
    return Message.objects.filter(dialog=dialog_id, author=author_id, client_key=key).order_by().values("pk")[:1]
