"""Automatic assignment (Q7). Its rule is `dialogs.rules.assignment`; what comes back from it is in `unpicked`.

Runs each second, and right after a commit that can change the answer (`assign_soon`). One assigner at a time works on an
account; it holds the account's shared lock, so statuses and memberships stand still while it decides.
"""

import logging
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import partial

from django.db import OperationalError, transaction
from django.db.models import Exists, OuterRef

from dialogs.actions import holding
from dialogs.actions.free_operators import lock_and_read, lock_capacity, lock_oldest
from dialogs.actions.record import Record
from dialogs.events import Assigned
from dialogs.models import WAITS_IN_QUEUE, Dialog
from dialogs.rules.assignment import QueueKey, Waiting, plan
from operators.models import Account, Assignment
from webim_offline.foundation.database.conditions import condition_sql
from webim_offline.foundation.database.transactions import atomic

logger = logging.getLogger(__name__)
AT_ONCE = 1000  # dialogs given in one transaction; it keeps changes of status waiting
LEAST_OF_A_QUEUE = 10
LOCK_NOT_AVAILABLE = "55P03"  # SQLSTATE


def assign_soon(account_ids: Collection[int]) -> None:
    """After this transaction's commit, give what can be given in those of the accounts that assign automatically.

    Whatever goes wrong there is logged, and the next second's run sees to it.
    """
    if account_ids:
        transaction.on_commit(partial(_assign_automatic, tuple(account_ids)), robust=True)


def _assign_automatic(account_ids: Sequence[int]) -> None:
    for account_id in Account.objects.filter(pk__in=account_ids, assignment=Assignment.AUTOMATIC).values_list("pk", flat=True):
        assign(account_id)


def any_waiting() -> str:
    """Whether an account that assigns automatically has dialogs in a queue (`DueWork`)."""
    return (
        f"EXISTS (SELECT 1 FROM {Account._meta.db_table} account"  # noqa: S608
        f" WHERE account.assignment = '{Assignment.AUTOMATIC}' AND account.archived_at IS NULL AND EXISTS"
        f" (SELECT 1 FROM {Dialog._meta.db_table} WHERE account_id = account.id AND {condition_sql(Dialog, WAITS_IN_QUEUE)}))"
    )


def assign_waiting() -> int:
    """Q7, each second: every account that assigns automatically and has dialogs in a queue; returns how many were given."""
    queued = Dialog.objects.filter(WAITS_IN_QUEUE, account=OuterRef("pk"))
    accounts = Account.objects.filter(Exists(queued), assignment=Assignment.AUTOMATIC, archived_at=None)
    done = 0
    for account_id in accounts.order_by("pk").values_list("pk", flat=True):
        try:
            done += assign(account_id)
        except Exception:  # one account must not hold up the others
            logger.exception("account %s: dialogs could not be assigned, trying again in a second", account_id)
    return done


def assign(account_id: int) -> int:
    """Give the waiting dialogs of one account to whoever may have them now; returns how many were given.

    Where somebody keeps the account locked for long, nothing more is given; the next second's run tries again.
    """
    done, is_more = 0, True
    try:
        while is_more:
            count, is_more = _assign_batch(account_id)
            done += count
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) != LOCK_NOT_AVAILABLE:
            raise
        logger.warning("account %s: somebody keeps it locked, dialogs are assigned when that ends", account_id)
    return done


@atomic
def _assign_batch(account_id: int) -> tuple[int, bool]:
    """How many were given in one transaction, and whether there may be more to give."""
    free = lock_and_read(account_id)
    queues = free.queues
    if not queues:
        return 0, False
    most = min(max(LEAST_OF_A_QUEUE, AT_ONCE // len(queues)), free.capacity)
    asked = len(free.operators)
    oldest, now = lock_oldest(account_id, queues, most, free.operators)
    waiting = [_waiting(dialog) for dialog in oldest.values()]
    counts = Counter(dialog.queue for dialog in waiting)
    cut = frozenset(queue for queue, count in counts.items() if count == most)
    planned = pairs = plan(waiting, free.operators, cut=cut, most=AT_ONCE)
    if now is None and planned:
        pairs, now = _still_free(planned, oldest)
    if now is None or not pairs:
        return 0, False
    counts.subtract(_queue_key(oldest[dialog_id]) for dialog_id, _ in planned)
    is_cut_short = len(planned) == AT_ONCE or any(not counts[queue] for queue in cut)
    # somebody gave these operators a dialog by hand at the same moment
    is_cut_short |= len(pairs) < len(planned) or len(free.operators) < asked
    names = {operator.id: operator.name for operator in free.operators}
    record = Record(now)
    for dialog_id, operator_id in pairs:
        dialog = oldest[dialog_id]
        holding.assign(dialog, operator_id, record, timeout=free.timeouts[dialog.department_id])
        record.event(dialog, Assigned(operator_id=operator_id, operator_name=names[operator_id]), now)
    record.write()
    return len(pairs), is_cut_short and free.capacity > 0


def _still_free(pairs: list[tuple[int, int]], oldest: Mapping[int, Dialog]) -> tuple[list[tuple[int, int]], datetime]:
    """The pairs that keep to the limits although somebody gives these operators dialogs by hand, too; and the moment of giving.

    The dialogs of the other pairs stay where they are and come up again.
    """
    capacity, now = lock_capacity({operator_id for _, operator_id in pairs})
    kept = []
    for dialog_id, operator_id in pairs:
        kind = oldest[dialog_id].is_offline
        if operator_id in capacity and capacity[operator_id][kind] > 0:
            capacity[operator_id][kind] -= 1
            kept.append((dialog_id, operator_id))
    return kept, now


def _queue_key(dialog: Dialog) -> QueueKey:
    return dialog.department_id, dialog.language_id, dialog.is_offline


def _waiting(dialog: Dialog) -> Waiting:
    passed_over = {int(pk): datetime.fromisoformat(at) for pk, at in dialog.passed_over.items()}
    return Waiting(dialog.pk, _queue_key(dialog), dialog.created_at, passed_over)
