"""Hands and assigners at the same dialogs from many connections on PostgreSQL (Q5, Q6, Q7)."""

import random
from collections import Counter
from functools import partial

import pytest
from django.db import connection

from dialogs.actions import assigner
from dialogs.actions.assignment import take
from dialogs.actions.errors import AlreadyTaken
from dialogs.models import Dialog, DialogEvent, EventKind, State
from operators.actions import set_status
from operators.models import Assignment, Operator
from tests import people
from tests.dialogs.test_concurrency import at_once

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer"),
]


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


def test_three_assigners_keep_to_the_limits_while_statuses_change(account):
    account.assignment, account.max_offline_dialogs = Assignment.AUTOMATIC, 3
    account.save(update_fields=["assignment", "max_offline_dialogs"])
    operators = [people.make_operator(account, online=True) for _ in range(8)]
    for visitor in people.make_visitors(account, 60):
        people.write(visitor)
    Dialog.objects.update(state=State.QUEUE, operator=None, assigned_at=None, pickup_by=None, pickup_from=None)
    DialogEvent.objects.filter(kind=EventKind.ASSIGNED).delete()

    def assigns():
        for _ in range(15):
            assigner.assign(account.pk)

    def flips():
        dice = random.Random(5)
        for _ in range(30):
            set_status(Operator.objects.get(pk=dice.choice(operators).pk), dice.choice(["lunch", "online"]))

    assert at_once(assigns, assigns, assigns, flips) == [None] * 4
    for operator in operators:
        set_status(operator, "online")
    assigner.assign(account.pk)
    given = list(DialogEvent.objects.filter(kind=EventKind.ASSIGNED).values_list("dialog", "data__operator"))
    assert len({dialog for dialog, _ in given}) == len(given) == 24, "nothing was taken back meanwhile: each is given once"
    assert Counter(operator for _, operator in given) == {operator.pk: 3 for operator in operators}
    assert set(given) == set(Dialog.objects.filter(operator__isnull=False).values_list("pk", "operator"))
    assert Dialog.objects.filter(state=State.QUEUE, operator=None).count() == 36
