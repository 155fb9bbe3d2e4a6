"""How an act of somebody in the workspace begins: with everything it needs locked and read in one message to the database."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.core.exceptions import PermissionDenied

from dialogs.actions.closings import bring_up_to_date, closings_to_follow
from dialogs.actions.presence import lateness_judged_at
from dialogs.actions.record import Record
from dialogs.actions.unpicked import bring_back
from dialogs.locks import dialog_lock
from dialogs.models import Dialog, State
from dialogs.reading.rights import facts_of
from dialogs.rules.permissions import Decision, DialogFacts
from operators.actions.status import note_of_act
from operators.locks import shared_account_lock
from operators.models import Account, Operator, SettingChange
from webim_offline.foundation.database.clock import database_now, moment_of, now_statement
from webim_offline.foundation.database.dialect import Statement
from webim_offline.foundation.database.loading import instance_of
from webim_offline.foundation.database.locks import operator_lock
from webim_offline.foundation.database.statements import Rows, run_together


@dataclass(frozen=True, slots=True)
class Act:
    """An act on a locked dialog, under the account's shared lock. `also` are the rows of the statements that were sent with it."""

    account: Account
    dialog: Dialog
    record: Record
    facts: DialogFacts
    also: list[Rows]


def begin_act(actor: Operator, dialog_id: int, *also: Statement, whose_dialogs: int | None = None) -> Act:
    """Begin an act of an operator on a dialog; that they acted is noted (Q8).

    `whose_dialogs` is the id of the operator who may get the dialog: how many they have stands still until the transaction ends
    (Q5). Raises Dialog.DoesNotExist, and PermissionDenied for support staff, who belong to no account.
    """
    if actor.account_id is None:
        raise PermissionDenied(Decision.SUPPORT_STAFF.value)
    before = [shared_account_lock(actor.account_id), note_of_act(actor), *(operator_lock(whose_dialogs) if whose_dialogs else ())]
    closings = closings_to_follow.asked(actor.account_id)
    read = [dialog_lock(dialog_id), now_statement(), closings.statement()]
    accounts, *rows = run_together(*before, *read, *also)
    dialogs, moments, changes, *others = rows[len(before) - 1 :]
    if not dialogs:
        raise Dialog.DoesNotExist
    dialog = instance_of(Dialog, dialogs[0])
    record, facts = begin_record(dialog, now=moment_of(moments[0][0]), changes=closings.found(changes))
    return Act(instance_of(Account, accounts[0]), dialog, record, facts, others)


def begin_record(
    dialog: Dialog, *, now: datetime | None = None, changes: Sequence[SettingChange] | None = None
) -> tuple[Record, DialogFacts]:
    """The record of what happens now to a locked dialog, and the facts about it as the settings in force say.

    A dialog whose time to close is over is closed in these facts; the sweep is about to write that. One whose assignment is over
    is back in its queue (Q8), which is written with whatever the caller does. `now` and `changes` (of `closings_to_follow`) are
    read here where the caller has not.
    """
    record = Record(now or database_now())
    bring_up_to_date([dialog], changes)
    if dialog.state == State.QUEUE and dialog.operator_id is not None:
        bring_back(dialog, dialog.account, record, judged_at=lateness_judged_at(record.now))
    return record, facts_of(dialog, record.now)
