"""Hands and assigners at the same dialogs from many connections on PostgreSQL (Q5, Q6, Q7)."""

import random
import threading
from collections import Counter
from datetime import timedelta
from functools import partial
from time import monotonic

import pytest
from django.db import connection, transaction

from dialogs.actions import automatic_assignment, deadlines, free_operators, unpicked
from dialogs.actions.assignment_by_hand import return_to_queue, take, transfer_to_operator
from dialogs.actions.conversation import close_by_operator
from dialogs.actions.errors import AlreadyTaken, DialogClosed, NeedsConfirmation, NotYours, Refused
from dialogs.models import OPEN_STATES, Dialog, DialogEvent, EventKind, State
from dialogs.reading.queues import held, others, queued
from dialogs.reading.rights import facts_of
from dialogs.rules.sections import section_of
from operators.actions.status import set_status
from operators.models import Assignment, Operator, Role
from tests import people
from tests.dialogs.test_concurrency import at_once
from webim_offline.foundation.database.clock import database_now

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer"),
]


@pytest.fixture(params=[free_operators.FEW, 0], ids=["few", "many"])
def few_or_many(request, monkeypatch):
    """Operators are locked with the oldest dialogs of the queues, or counted again once they are chosen."""
    monkeypatch.setattr(free_operators, "FEW", request.param)


def test_sixteen_hands_at_the_same_dialogs_give_each_one_owner(account):
    operators = [people.make_operator(account) for _ in range(16)]
    dialogs = [people.start_dialog(account).pk for _ in range(40)]

    def takes(operator):
        order, results = random.Random(operator.pk).sample(dialogs, len(dialogs)), Counter()
        for pk in order:
            try:
                take(pk, operator)
                results["taken"] += 1
            except AlreadyTaken:
                results["told"] += 1
        return results

    results = at_once(*(partial(takes, operator) for operator in operators))
    assert sum(results, Counter()) == {"taken": 40, "told": 15 * 40}
    owners = Counter(Dialog.objects.filter(state=State.CHATTING).values_list("operator", flat=True))
    assert [owners[operator.pk] for operator in operators] == [result["taken"] for result in results]
    assert DialogEvent.objects.filter(kind=EventKind.PICKED_UP).count() == 40


def test_three_assigners_keep_to_the_limits_while_statuses_change(account, few_or_many):
    account.assignment, account.max_offline_dialogs = Assignment.AUTOMATIC, 3
    account.save(update_fields=["assignment", "max_offline_dialogs"])
    operators = [people.make_operator(account, online=True) for _ in range(8)]
    for visitor in people.make_visitors(account, 60):
        people.write(visitor)
    Dialog.objects.update(state=State.QUEUE, operator=None, assigned_at=None, pickup_by=None, pickup_from=None)
    DialogEvent.objects.filter(kind=EventKind.ASSIGNED).delete()

    def assigns():
        for _ in range(15):
            automatic_assignment.assign(account.pk)

    def flips():
        dice = random.Random(5)
        for _ in range(30):
            set_status(Operator.objects.get(pk=dice.choice(operators).pk), dice.choice(["lunch", "online"]))

    assert at_once(assigns, assigns, assigns, flips) == [None] * 4
    for operator in operators:
        set_status(operator, "online")
    automatic_assignment.assign(account.pk)
    given = list(DialogEvent.objects.filter(kind=EventKind.ASSIGNED).values_list("dialog", "data__operator"))
    assert len({dialog for dialog, _ in given}) == len(given) == 24, "nothing was taken back meanwhile: each is given once"
    assert Counter(operator for _, operator in given) == {operator.pk: 3 for operator in operators}
    assert set(given) == set(Dialog.objects.filter(operator__isnull=False).values_list("pk", "operator"))
    assert Dialog.objects.filter(state=State.QUEUE, operator=None).count() == 36


LIMIT = 3
SECONDS = 5  # in which everybody is at it


def test_hands_assigners_sweeps_and_returns_at_once(account, few_or_many):
    """Never two owners, nothing given by itself at a limit, nothing lost from all sections (Q2, Q5 to Q8, Q10)."""
    account.assignment, account.pickup_timeout = Assignment.AUTOMATIC, 1
    account.max_online_dialogs = account.max_offline_dialogs = LIMIT
    account.save(update_fields=["assignment", "pickup_timeout", "max_online_dialogs", "max_offline_dialogs"])
    for visitor in people.make_visitors(account, 120):
        people.write(visitor)  # nobody is online: they wait
    ids = list(Dialog.objects.values_list("pk", flat=True))
    # half of their visitors are there, and go one after the other: the sweep has something to say of each
    now = database_now()
    for place, pk in enumerate(ids[::2]):
        at = now + timedelta(seconds=SECONDS * place / len(ids[::2]))
        away = at - timedelta(seconds=account.left_notice_after)
        Dialog.objects.filter(pk=pk).update(
            is_offline=False, away_since=away, away_not_before=None, wake_at=at, went_offline_at=None
        )
    staff = [people.make_operator(account, online=True) for _ in range(16)]
    until = monotonic() + SECONDS

    def works(operator):
        """An operator who takes every dialog in sight, and transfers, returns and closes what they have."""
        dice, done = random.Random(operator.pk), Counter()
        while monotonic() < until:
            own = list(held(operator).values_list("pk", flat=True))
            colleague = dice.choice(staff)
            if not own or dice.random() < 0.4:
                act = partial(take, dice.choice(ids), operator, confirmed=dice.random() < 0.2)
            else:
                hands_on = partial(transfer_to_operator, target_id=colleague.pk, confirmed=dice.random() < 0.2)
                does = dice.choices([hands_on, return_to_queue, close_by_operator], [5, 5, 1])[0]
                act = partial(does, dice.choice(own), operator)
            try:
                act()
                done[act.func.__name__] += 1
            except (AlreadyTaken, DialogClosed, NeedsConfirmation, NotYours, Refused) as no:
                done[type(no).__name__] += 1
        return done

    def again_and_again(job):
        done = 0
        while monotonic() < until:
            done += job()
        return done

    results = at_once(
        *(partial(works, operator) for operator in staff),
        *[partial(again_and_again, partial(automatic_assignment.assign, account.pk))] * 3,
        partial(again_and_again, deadlines.advance_due_dialogs),
        partial(again_and_again, lambda: unpicked.return_unpicked(database_now())),
    )
    assert not [result for result in results if isinstance(result, Exception)]
    done = sum(results[:16], Counter())
    *given, swept, returned = results[16:]
    handed = [done[action.__name__] for action in (take, transfer_to_operator, return_to_queue)]
    assert min(*handed, sum(given), swept, returned) > 0, (done, results[16:])

    holders = _told_by_the_events(LIMIT)
    for dialog in Dialog.objects.all():
        assert holders.get(dialog.pk) == (dialog.operator_id if dialog.is_open else None), f"{dialog.pk} by its history"
    _stands_in_one_section(account)


def test_an_assigner_that_stands_still_holds_up_its_own_account_for_as_long(caplog):
    accounts = [people.make_account(assignment=Assignment.AUTOMATIC) for _ in range(2)]
    held, free = [people.start_dialog(account) for account in accounts]
    anna, boris = [people.make_operator(account, online=True) for account in accounts]
    assert held.operator is None
    assert free.operator is None
    is_held, may_end = threading.Event(), threading.Event()

    def stands_still():
        try:
            with transaction.atomic():
                free_operators.lock_and_read(held.account_id)
                is_held.set()
                may_end.wait(30)
        finally:
            connection.close()

    other = threading.Thread(target=stands_still)
    other.start()
    try:
        assert is_held.wait(10)
        assert automatic_assignment.assign_waiting() == 1
    finally:
        may_end.set()
        other.join()
    assert "somebody keeps it locked" in caplog.text
    for dialog in (held, free):
        dialog.refresh_from_db()
    assert (held.operator, free.operator) == (None, boris)
    assert automatic_assignment.assign_waiting() == 1
    held.refresh_from_db()
    assert held.operator == anna


def _told_by_the_events(limit: int) -> dict[int, int]:
    """Who has which dialog by the history alone, read in the order of its moments; checks every step on the way."""
    holders: dict[int, int] = {}
    kinds = dict(Dialog.objects.values_list("pk", "is_offline"))
    for event in DialogEvent.objects.order_by("at", "pk"):
        pk, holder = event.dialog_id, holders.get(event.dialog_id)
        if event.kind == EventKind.ASSIGNED:
            operator = event.details.operator_id
            assert holder is None, f"{pk} was given to {operator} while {holder} had it"
            held_by_now = sum(1 for other, who in holders.items() if who == operator and kinds[other] == kinds[pk])
            assert held_by_now < limit, f"{operator} was given {pk} by itself with {held_by_now} dialogs"
            holders[pk] = operator
        elif event.kind == EventKind.PICKED_UP:
            assert holder in {None, event.actor_id}, f"{event.actor_id} took {pk} while {holder} had it"
            holders[pk] = event.actor_id
        elif event.kind == EventKind.UNASSIGNED:
            assert holders.pop(pk) == event.details.operator_id
        elif event.kind == EventKind.TRANSFERRED:
            assert holder == event.actor_id
            holders.pop(pk)
            if event.details.to == "operator":
                holders[pk] = event.details.operator_id
        elif event.kind == EventKind.CLOSED_BY_OPERATOR:
            assert holder == event.actor_id
            holders.pop(pk)
    return holders


def _stands_in_one_section(account):
    """Every open dialog is in exactly one section of somebody who sees all of them: the querysets, and the rule."""
    viewer = people.make_operator(account, departments=("support", "sales"), role=Role.SUPERVISOR)
    listed = Counter(
        pk
        for rows in (queued(viewer, is_offline=False), queued(viewer, is_offline=True), held(viewer), others(viewer))
        for pk in rows.values_list("pk", flat=True)
    )
    opened = Dialog.objects.filter(state__in=OPEN_STATES)
    assert listed == Counter(opened.values_list("pk", flat=True))
    for dialog in opened:
        assert section_of(facts_of(dialog), viewer.pk) is not None
