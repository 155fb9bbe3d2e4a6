"""Automatic assignment, and what comes back from it (Q7, Q8, A5). Its rule is `dialogs.assigning`.

Runs each second, and right after a commit that can change the answer (`assign_soon`). One assigner at a time works on an
account; it holds the account's shared lock, so statuses and memberships stand still while it decides.
"""

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from functools import partial

from django.db import OperationalError, transaction
from django.db.models import Exists, F, OuterRef, Q, Subquery

from dialogs.actions import holding
from dialogs.actions.candidates import lock_and_read, lock_heads, lock_room
from dialogs.actions.record import Record
from dialogs.assigning import Place, Waiting, plan
from dialogs.bulk import update_rows
from dialogs.models import Dialog, EventKind, State
from operators.actions import lock_accounts_shared
from operators.models import Account, Assignment, Operator, OperatorChange
from webim_offline.database_clock import database_now
from webim_offline.transactions import atomic

logger = logging.getLogger(__name__)
AT_ONCE = 1000  # dialogs given in one transaction; it keeps changes of status waiting
LEAST_OF_A_QUEUE = 10
LOCK_NOT_AVAILABLE = "55P03"  # SQLSTATE


class UnassignedReason(StrEnum):
    """Why an assigned dialog went back to its queue (Q8, A5)."""

    NOT_PICKED_UP = "not_picked_up"
    NOT_ONLINE = "not_online"
    NOT_THEIRS = "not_theirs"
    ARCHIVED = "archived"


def assign_soon(account_ids: Collection[int]) -> None:
    """After this transaction's commit, give what can be given in those of the accounts that assign automatically.

    Whatever goes wrong there is logged, and the next second's run sees to it.
    """
    if account_ids:
        transaction.on_commit(partial(_assign_automatic, tuple(account_ids)), robust=True)


def _assign_automatic(account_ids: Sequence[int]) -> None:
    for account_id in Account.objects.filter(pk__in=account_ids, assignment=Assignment.AUTOMATIC).values_list("pk", flat=True):
        assign(account_id)


def assign_waiting() -> int:
    """Q7, each second: every account that assigns automatically and has dialogs in a queue; returns how many were given."""
    queued = Dialog.objects.filter(account=OuterRef("pk"), state=State.QUEUE, operator=None, in_workspace=True)
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
    found = lock_and_read(account_id)
    places = found.places
    if not places:
        return 0, False
    most = min(max(LEAST_OF_A_QUEUE, AT_ONCE // len(places)), found.room)
    asked = len(found.people)
    heads, now = lock_heads(account_id, places, most, found.people)
    waiting = [_waiting(dialog) for dialog in heads.values()]
    counts = Counter(dialog.place for dialog in waiting)
    cut = frozenset(place for place, count in counts.items() if count == most)
    planned = pairs = plan(waiting, found.people, cut=cut, most=AT_ONCE)
    if now is None and planned:
        pairs, now = _still_free(planned, heads)
    if now is None or not pairs:
        return 0, False
    counts.subtract(_place(heads[dialog_id]) for dialog_id, _ in planned)
    is_cut_short = len(planned) == AT_ONCE or any(not counts[place] for place in cut)
    is_cut_short |= len(pairs) < len(planned) or len(found.people) < asked  # a hand was giving them something, too
    names = {person.id: person.name for person in found.people}
    record = Record(now)
    for dialog_id, operator_id in pairs:
        dialog = heads[dialog_id]
        holding.assign(dialog, operator_id, record, timeout=found.timeouts[dialog.department_id])
        record.event(dialog, EventKind.ASSIGNED, now, data={"operator": operator_id, "who": names[operator_id]})
    record.write([heads[dialog_id] for dialog_id, _ in pairs], Dialog.HELD)
    return len(pairs), is_cut_short and found.room > 0


def _still_free(pairs: list[tuple[int, int]], heads: Mapping[int, Dialog]) -> tuple[list[tuple[int, int]], datetime]:
    """The pairs that keep to the limits although hands give these people dialogs, too; the others come up again. And the moment."""
    room, now = lock_room({operator_id for _, operator_id in pairs})
    kept = []
    for dialog_id, operator_id in pairs:
        kind = heads[dialog_id].is_offline
        if operator_id in room and room[operator_id][kind] > 0:
            room[operator_id][kind] -= 1
            kept.append((dialog_id, operator_id))
    return kept, now


def _place(dialog: Dialog) -> Place:
    return dialog.department_id, dialog.language_id, dialog.is_offline


def _waiting(dialog: Dialog) -> Waiting:
    passed_over = {int(pk): datetime.fromisoformat(at) for pk, at in dialog.passed_over.items()}
    return Waiting(dialog.pk, _place(dialog), dialog.created_at, passed_over)


# ----- what was assigned and not picked up (Q8, A5) -----


def return_unpicked(judged_at: datetime) -> int:
    """Dialogs that nobody picked up in time, or whose operator or department is there no more, go back to their queues.

    Returns how many went back. `judged_at`: who is late is asked of that moment, which `presence.end_outage` has just
    returned: neither an outage before it nor a database that hangs after it lets anybody be late (P9).
    """
    newest = OperatorChange.objects.filter(operator=OuterRef("operator")).order_by("-pk").values("at")[:1]
    due = (
        Dialog.objects.filter(state=State.QUEUE, operator__isnull=False)
        .annotate(changed_at=Subquery(newest))
        .filter(
            Q(pickup_by__lte=judged_at) | Q(changed_at__gte=F("assigned_at")) | Q(department__archived_at__gte=F("assigned_at"))
        )
        .order_by("pk")
    )
    done = after = 0
    while rows := list(due.filter(pk__gt=after).values_list("account_id", "pk")[:AT_ONCE]):
        after = rows[-1][1]
        ids: dict[int, list[int]] = {}
        for account_id, dialog_id in rows:
            ids.setdefault(account_id, []).append(dialog_id)
        done += sum(_return(account_id, dialog_ids, judged_at) for account_id, dialog_ids in ids.items())
    return done


@atomic
def _return(account_id: int, dialog_ids: list[int], judged_at: datetime) -> int:
    lock_accounts_shared([account_id])
    rows = Dialog.objects.filter(pk__in=dialog_ids, state=State.QUEUE, operator__isnull=False)
    locked = list(rows.select_for_update(skip_locked=True, no_key=True).order_by("pk"))
    record = Record(database_now())
    back = []
    for dialog in locked:
        end = _end_of_assignment(dialog, judged_at, record.now)
        if end is not None:
            at, reason = end
            holding.returned_to_queue(dialog, record, reason, at=at)
            back.append(dialog)
    record.write(back, Dialog.HELD)
    if back:
        assign_soon([account_id])
    return len(back)


def _end_of_assignment(dialog: Dialog, judged_at: datetime, now: datetime) -> tuple[datetime, UnassignedReason] | None:
    """When and why the assignment of a locked dialog ended, if it did: the earliest reason counts."""
    if dialog.assigned_at is None or dialog.pickup_by is None:
        return None
    ends = [(dialog.pickup_by, UnassignedReason.NOT_PICKED_UP)] if dialog.pickup_by <= judged_at else []
    if dialog.department is not None and (at := dialog.department.archived_at) and at >= dialog.assigned_at:
        ends.append((at, UnassignedReason.ARCHIVED))
    ends += _losses(dialog, now)
    return min(ends, default=None)


def _losses(dialog: Dialog, now: datetime) -> Iterable[tuple[datetime, UnassignedReason]]:
    """The first moments since the assignment at which the operator was no longer online, or no longer of its place.

    What the operator was not when the dialog was given to them (a transfer after a warning) they cannot lose. What is stamped
    later than now was before the clock was set back, and before the assignment (Z3).
    """
    changes = OperatorChange.objects.filter(operator=dialog.operator_id, at__lte=now).order_by("pk")
    before = changes.filter(at__lt=dialog.assigned_at).last()
    was = _fits(dialog, before) if before else dict.fromkeys((UnassignedReason.NOT_ONLINE, UnassignedReason.NOT_THEIRS), False)
    for change in changes.filter(at__gte=dialog.assigned_at):
        fits = _fits(dialog, change)
        for reason in list(was):
            if was[reason] and not fits[reason]:
                yield change.at, reason
                del was[reason]
        was = {reason: fits[reason] for reason in was}


def _fits(dialog: Dialog, change: OperatorChange) -> dict[UnassignedReason, bool]:
    in_department = dialog.department_id is None or dialog.department_id in change.departments
    return {
        UnassignedReason.NOT_ONLINE: change.is_online,
        UnassignedReason.NOT_THEIRS: in_department and dialog.language_id in change.languages,
    }


def extend_pickups(*, alive_at: datetime, now: datetime) -> None:
    """P9: whoever was still in time at `alive_at`, before an outage, has the full time from now."""
    rows = Dialog.objects.filter(state=State.QUEUE, operator__isnull=False, pickup_by__gt=alive_at)
    locked = list(rows.select_for_update(no_key=True).only("pk", "account_id", "department_id").order_by("pk"))
    for account in Account.objects.filter(pk__in={dialog.account_id for dialog in locked}):
        own = [dialog for dialog in locked if dialog.account_id == account.pk]
        timeouts = holding.pickup_timeouts(account, {dialog.department_id for dialog in own})
        update_rows(Dialog, ("pickup_by", "pickup_from"), [(d.pk, now + timeouts[d.department_id], now) for d in own])


def clock_set_back(now: datetime) -> None:
    """Z3, Q8: what people did and whom they let wait before the clock was set back is not later than what they do from now on."""
    Operator.objects.filter(acted_at__gt=now).update(acted_at=now)
    let_wait = Dialog.objects.filter(state=State.QUEUE).exclude(passed_over={})
    locked = let_wait.select_for_update(no_key=True).order_by("pk").values_list("pk", "passed_over")
    not_later = [
        (dialog_id, {pk: min(datetime.fromisoformat(at), now).isoformat() for pk, at in passed_over.items()})
        for dialog_id, passed_over in locked
    ]
    update_rows(Dialog, ("passed_over",), not_later)
