"""Dialogs that were assigned to somebody and are not picked up: when and why they go back to their queues (Q8, A5, P9).

The clock worker brings them back each second (`return_unpicked`). While it is away, whoever acts on such a dialog does it for
this one (`bring_back`), so that nobody is refused with the name of somebody who is gone.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from django.db.models import F, OuterRef, Q, Subquery

from dialogs.actions import holding
from dialogs.actions.automatic_assignment import AT_ONCE, assign_soon
from dialogs.actions.record import Record
from dialogs.events import UnassignedReason
from dialogs.models import IS_ASSIGNED, Dialog, State
from operators.history import changes_ahead, state_anew, unrecorded_expiry
from operators.locks import lock_account, lock_accounts_shared
from operators.models import Account, Department, Operator, OperatorChange
from webim_offline.foundation.database.bulk import update_rows
from webim_offline.foundation.database.clock import database_now
from webim_offline.foundation.database.conditions import condition_sql
from webim_offline.foundation.database.due_work import any_row
from webim_offline.foundation.database.locks import lock_rows
from webim_offline.foundation.database.transactions import atomic

FAR_FUTURE = datetime.max.replace(tzinfo=UTC)
CHANGES_AT_ONCE = 20  # of one person, read together; few happen while a dialog waits for somebody


def any_assigned() -> str:
    """Whether a dialog is assigned and not picked up (`DueWork`)."""
    return any_row(Dialog._meta.db_table, "pickup_by", condition_sql(Dialog, IS_ASSIGNED))


def return_unpicked(judged_at: datetime) -> int:
    """Dialogs that nobody picked up in time, or whose operator or department is there no more, go back to their queues.

    Returns how many went back. `judged_at`: who is late is asked of that moment, which `presence.end_outage` has just
    returned: neither an outage before it nor a database that hangs after it lets anybody be late (P9).
    """
    newest = OperatorChange.objects.filter(operator=OuterRef("operator")).order_by("-pk").values("at")[:1]
    due = (
        Dialog.objects.filter(IS_ASSIGNED)
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
    rows = Dialog.objects.filter(IS_ASSIGNED, pk__in=dialog_ids)
    locked = list(rows.select_for_update(skip_locked=True, no_key=True).order_by("pk"))
    record = Record(database_now())
    back = []
    for dialog in locked:
        end = _end_of_assignment(dialog, judged_at, record.now)
        if end is not None:
            at, reason = end
            holding.returned_to_queue(dialog, record, reason, at=at)
            back.append(dialog)
    record.write()
    if back:
        assign_soon([account_id])
    return len(back)


def bring_back(dialog: Dialog, account: Account, record: Record, *, judged_at: datetime | None) -> None:
    """Before somebody acts on this locked dialog: if its assignment is over, it goes back to its queue, at that moment (Q8, Z2).

    The account's row is locked by the caller, who writes it afterwards. `judged_at`: see `end_now`.
    """
    if end := end_now(dialog, account, record.now, judged_at=judged_at):
        at, reason = end
        holding.returned_to_queue(dialog, record, reason, at=at)


def end_now(
    dialog: Dialog, account: Account, now: datetime, *, judged_at: datetime | None
) -> tuple[datetime, UnassignedReason] | None:
    """When and why the assignment of a dialog ended, if it did; whether or not the clock worker has noticed (A2).

    `judged_at`: who is late is asked of that moment (`presence.lateness_judged_at`); None: nobody is (P9).
    """
    if dialog.state != State.QUEUE or dialog.operator_id is None:
        return None
    return _end_of_assignment(dialog, judged_at, now, expired_at=unrecorded_expiry(dialog.operator_id, account, now))


def _end_of_assignment(
    dialog: Dialog, judged_at: datetime | None, now: datetime, *, expired_at: datetime | None = None
) -> tuple[datetime, UnassignedReason] | None:
    """When and why an assignment ended, if it did: the earliest reason counts. `judged_at` None: nobody is late."""
    if dialog.assigned_at is None or dialog.pickup_by is None:
        return None
    ends = [(dialog.pickup_by, UnassignedReason.NOT_PICKED_UP)] if judged_at and dialog.pickup_by <= judged_at else []
    if dialog.department is not None and (at := dialog.department.archived_at) and at >= dialog.assigned_at:
        ends.append((at, UnassignedReason.ARCHIVED))
    ends += _losses(dialog, dialog.assigned_at, now, expired_at)
    return min(ends, default=None)


def _losses(
    dialog: Dialog, assigned_at: datetime, now: datetime, expired_at: datetime | None
) -> Iterator[tuple[datetime, UnassignedReason]]:
    """The first moments since the assignment at which the operator was no longer online, or no longer fitted the dialog.

    What the operator was not when the dialog was given to them (a transfer after a warning) they cannot lose. `expired_at`: when
    the operator's lease ended, if no change says so yet.
    """
    before, since = _changes_since(dialog.operator_id, assigned_at, now)
    was = _fits(dialog, before) if before else dict.fromkeys((UnassignedReason.NOT_ONLINE, UnassignedReason.NOT_THEIRS), False)
    for change in since:
        fits = _fits(dialog, change)
        for reason in list(was):
            if was[reason] and not fits[reason]:
                yield change.at, reason
                del was[reason]
        was = {reason: fits[reason] for reason in was}
    if expired_at is not None and expired_at >= assigned_at and was.get(UnassignedReason.NOT_ONLINE):
        yield expired_at, UnassignedReason.NOT_ONLINE


def _changes_since(
    operator_id: int | None, assigned_at: datetime, now: datetime
) -> tuple[OperatorChange | None, list[OperatorChange]]:
    """The operator's last change before the assignment (None: there is none), and all since then, in their order.

    A person's changes are stored in the order of their moments. Where they run backwards the clock was set back, and what lies
    before that was before the assignment (Z3): `clock_set_back` has moved the moments of assignments.
    """
    since: list[OperatorChange] = []
    latest = now
    for change in _newest_first(operator_id):
        if not assigned_at <= change.at <= latest:
            return change, since[::-1]
        since.append(change)
        latest = change.at
    return None, since[::-1]


def _newest_first(operator_id: int | None) -> Iterator[OperatorChange]:
    changes = OperatorChange.objects.filter(operator=operator_id).order_by("-pk")
    found = list(changes[:CHANGES_AT_ONCE])
    while found:
        yield from found
        found = list(changes.filter(pk__lt=found[-1].pk)[:CHANGES_AT_ONCE])


def _fits(dialog: Dialog, change: OperatorChange) -> dict[UnassignedReason, bool]:
    in_department = dialog.department_id is None or dialog.department_id in change.departments
    return {
        UnassignedReason.NOT_ONLINE: change.is_online,
        UnassignedReason.NOT_THEIRS: in_department and dialog.language_id in change.languages,
    }


def extend_pickups(*, alive_at: datetime, now: datetime) -> None:
    """P9: whoever was still in time at `alive_at`, before an outage, has the full time from now."""
    rows = Dialog.objects.filter(IS_ASSIGNED, pickup_by__gt=alive_at)
    locked = lock_rows(rows.only("pk", "account_id", "department_id"))
    for account in Account.objects.filter(pk__in={dialog.account_id for dialog in locked}):
        own = [dialog for dialog in locked if dialog.account_id == account.pk]
        timeouts = holding.pickup_timeouts(account, {dialog.department_id for dialog in own})
        update_rows(Dialog, ("pickup_by", "pickup_from"), [(d.pk, now + timeouts[d.department_id], now) for d in own])


def clock_set_back(now: datetime) -> None:
    """Z3: what was before the clock was set back is not later than what happens from now on.

    This holds for people's own actions and for whom they let wait (Q8), and for assignments and what ends them: those that
    had ended go back to their queues, the others count from now.
    """
    assigned = Dialog.objects.filter(IS_ASSIGNED)
    ahead = changes_ahead(now)
    account_ids = {*ahead, *assigned.order_by().values_list("account_id", flat=True).distinct()}
    accounts = {account_id: lock_account(account_id) for account_id in sorted(account_ids)}
    ends = {dialog.pk: _end_of_assignment(dialog, None, FAR_FUTURE) for dialog in assigned}
    for account_id, operator_ids in ahead.items():
        state_anew(accounts[account_id], operator_ids)
    acted_ahead = {
        person.pk: person.acted_at for person in lock_rows(Operator.objects.filter(acted_at__gt=now).only("pk", "acted_at"))
    }
    Operator.objects.filter(pk__in=acted_ahead).update(acted_at=now)
    Department.objects.filter(archived_at__gt=now).update(archived_at=now - timedelta(microseconds=1))
    waiting = Dialog.objects.filter(state=State.QUEUE).exclude(operator=None, passed_over={})
    record = Record(now)
    locked = lock_rows(waiting)  # all that `extend_pickups` may lock after it, too
    for dialog in locked:
        if end := ends.get(dialog.pk):
            at, reason = end
            holding.returned_to_queue(dialog, record, reason, at=at)
        elif dialog.assigned_at is not None:
            dialog.assigned_at = min(dialog.assigned_at, now)
        dialog.passed_over = {
            pk: _not_ahead(datetime.fromisoformat(at), acted_ahead.get(int(pk)), now).isoformat()
            for pk, at in dialog.passed_over.items()
        }
    record.write(locked)


def _not_ahead(moment: datetime, acted_at: datetime | None, now: datetime) -> datetime:
    """The moment since when somebody has let a dialog wait, at most `now`.

    `acted_at`: their last own action, if it was ahead of `now`; it counts as one of now, and stays after a moment before it.
    """
    is_before_action = acted_at is not None and moment < acted_at
    return min(moment, now - timedelta(microseconds=1) if is_before_action else now)
