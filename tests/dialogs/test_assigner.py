"""Automatic assignment, and what comes back from it (Q7, Q8, A5)."""

from datetime import timedelta

import pytest
from django.db import connection

from dialogs import tasks
from dialogs.actions import assignment_by_hand, automatic_assignment, conversation, free_operators
from dialogs.models import Dialog, EventKind, Pulse
from operators.actions.parts import archive_part, restore_part
from operators.actions.settings import change_settings
from operators.actions.status import note_of_act, set_status
from operators.models import Assignment, Department, Operator, OperatorChange
from tests import people
from webim_offline.foundation.database.clock import database_now
from webim_offline.foundation.database.statements import run_together

pytestmark = pytest.mark.django_db


def test_nothing_of_an_archived_department_is_given(account):
    account.assignment = Assignment.AUTOMATIC
    account.save(update_fields=["assignment"])
    support = Department.objects.get(account=account, slug="support")
    anna = people.make_operator(account, "anna", online=True)
    dialog = people.start_dialog(account)
    tasks.assign_dialogs()
    dialog.refresh_from_db()
    assert dialog.operator == anna

    archive_part(support, actor=None)
    tasks.assign_dialogs()
    dialog.refresh_from_db()
    assert dialog.operator is None, "back in its queue, and left there to the supervisors"
    restore_part(support, actor=None)
    other = people.make_operator(account, "clara", online=True)
    tasks.assign_dialogs()
    dialog.refresh_from_db()
    assert dialog.operator == other


def test_whoever_is_over_the_limit_of_one_kind_is_given_the_other(account):
    account.assignment, account.max_online_dialogs, account.max_offline_dialogs = Assignment.AUTOMATIC, 1, 1
    account.save(update_fields=["assignment", "max_online_dialogs", "max_offline_dialogs"])
    anna = people.make_operator(account, "anna", online=True)
    online = [people.start_dialog(account, name=name) for name in ("Nina", "Oleg", "Rita")]
    Dialog.objects.update(is_offline=False)
    for dialog in online[:2]:
        assignment_by_hand.take(dialog.pk, anna, confirmed=True)
    offline = people.start_dialog(account)  # its visitor is on no page (P10)
    tasks.assign_dialogs()
    offline.refresh_from_db()
    assert offline.operator == anna


def test_a_changed_time_to_pick_up_counts_from_the_end_of_an_outage(account):
    account.assignment, account.pickup_timeout = Assignment.AUTOMATIC, 5
    account.save(update_fields=["assignment", "pickup_timeout"])
    anna = people.make_operator(account, "anna", online=True)
    dialog = people.start_dialog(account)
    tasks.assign_dialogs()
    dialog.refresh_from_db()
    # all of it, and the last sweep, a minute and a half ago: an outage that ends now
    ago = timedelta(seconds=90)
    before = {name: getattr(dialog, name) - ago for name in ("assigned_at", "pickup_from", "pickup_by")}
    Dialog.objects.filter(pk=dialog.pk).update(**before)
    Pulse.objects.filter(name=Pulse.LEASES).update(at=before["assigned_at"])
    tasks.assign_dialogs()

    change_settings(account, {"pickup_timeout": 60}, actor=None)
    tasks.apply_setting_changes()
    tasks.assign_dialogs()
    dialog.refresh_from_db()
    assert dialog.operator == anna
    assert dialog.pickup_by == dialog.pickup_from + timedelta(seconds=60)
    assert dialog.assigned_at == before["assigned_at"]


@pytest.mark.parametrize(("few", "messages"), [(50, 3), (2, 4)])
def test_assigning_takes_few_messages_to_the_database_however_many_wait(
    account, django_assert_num_queries, monkeypatch, few, messages
):
    monkeypatch.setattr(free_operators, "FEW", few)
    account.assignment = Assignment.AUTOMATIC
    account.save(update_fields=["assignment"])
    for visitor in people.make_visitors(account, 12):
        people.write(visitor)
    operators = [people.make_operator(account, online=True) for _ in range(3)]
    Dialog.objects.update(operator=None, assigned_at=None, pickup_by=None, pickup_from=None)
    if connection.vendor == "postgresql":
        with django_assert_num_queries(messages + 2):  # and the test's own savepoint
            assert automatic_assignment.assign(account.pk) == 12
    else:
        assert automatic_assignment.assign(account.pk) == 12
    assert sorted(Dialog.objects.values_list("operator", flat=True)) == sorted([o.pk for o in operators] * 4)


def test_an_assignment_after_the_clock_was_set_back_is_not_ended_by_a_break_before_it(account):
    account.assignment = Assignment.AUTOMATIC
    account.save(update_fields=["assignment"])
    anna = people.make_operator(account, "anna", online=True)
    for status in ("lunch", "online"):
        set_status(anna, status)
    # the break was at a time that the clock, set back by five minutes, does not show yet
    OperatorChange.objects.order_by("-pk").filter(status="lunch").update(at=database_now() + timedelta(minutes=5))
    OperatorChange.objects.filter(pk=OperatorChange.objects.latest("pk").pk).update(at=database_now() + timedelta(minutes=6))
    dialog = people.start_dialog(account)
    tasks.assign_dialogs()
    tasks.assign_dialogs()
    dialog.refresh_from_db()
    assert dialog.operator == anna
    assert not dialog.events.filter(kind=EventKind.UNASSIGNED).exists()


def test_an_action_before_the_clock_was_set_back_is_none_after_it(account):
    account.assignment = Assignment.AUTOMATIC
    account.save(update_fields=["assignment"])
    anna = people.make_operator(account, "anna", online=True)
    dialog = people.start_dialog(account)
    tasks.assign_dialogs()
    ahead = database_now() + timedelta(minutes=5)
    Operator.objects.filter(pk=anna.pk).update(acted_at=ahead)
    Pulse.objects.filter(name=Pulse.LEASES).update(at=ahead)  # the last sweep was before the clock was set back
    tasks.assign_dialogs()

    Dialog.objects.filter(pk=dialog.pk).update(pickup_by=database_now() - timedelta(milliseconds=1))
    tasks.assign_dialogs()
    dialog.refresh_from_db()
    assert dialog.operator is None, "she let it wait, and has done nothing since"
    run_together(note_of_act(anna))
    tasks.assign_dialogs()
    dialog.refresh_from_db()
    assert dialog.operator == anna


def test_who_answers_the_first_of_a_queue_makes_way_for_the_next_at_once(account, django_capture_on_commit_callbacks):
    account.assignment, account.max_offline_dialogs = Assignment.AUTOMATIC, 1
    account.save(update_fields=["assignment", "max_offline_dialogs"])
    clara = people.make_operator(account, "clara", online=True)
    anna = people.make_operator(account, "anna")
    first, second = people.start_dialog(account), people.start_dialog(account)
    let_wait = {str(clara.pk): (database_now() + timedelta(seconds=1)).isoformat()}  # by her, who has done nothing since
    Dialog.objects.filter(pk=first.pk).update(passed_over=let_wait)
    tasks.assign_dialogs()
    assert not Dialog.objects.filter(operator=clara).exists()
    with django_capture_on_commit_callbacks(execute=True):
        conversation.answer(first.pk, anna, "It is on its way", key="a1")
    second.refresh_from_db()
    assert second.operator == clara
