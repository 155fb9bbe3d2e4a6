"""Rights as pure functions, and that pages and actions obey them (Q3, Q6, Q9, Q10, Q14, M8, A1, X1)."""

from dataclasses import replace

import pytest
from django.core.exceptions import PermissionDenied

from dialogs.actions.assignment_by_hand import return_to_queue, take
from dialogs.actions.conversation import answer, bring_into_workspace, close_by_operator
from dialogs.actions.errors import NotVisible
from dialogs.actions.statuses import choose_status
from dialogs.models import Dialog, State
from dialogs.rules import permissions
from dialogs.rules.permissions import Decision, DialogFacts, Person
from operators.models import Operator, Status
from tests import people

SUPPORT, SALES, ENGLISH, RUSSIAN = 1, 2, 11, 12
ANNA = Person(1, account_id=7, departments=frozenset({SUPPORT}), languages=frozenset({ENGLISH}))
BORIS = Person(2, account_id=7, departments=frozenset({SALES}), languages=frozenset({RUSSIAN}))
VERA = Person(3, account_id=7, is_supervisor=True)
STRANGER = replace(VERA, id=4, account_id=8)
NINA = Person(5, account_id=None, is_support=True)
FREE = DialogFacts(account_id=7, route=(SUPPORT, ENGLISH))
ANNAS = replace(FREE, holder_id=ANNA.id, is_begun=True)
CLOSED = replace(ANNAS, is_open=False)
BY_MAIL = replace(FREE, in_workspace=False)


@pytest.mark.parametrize(
    ("person", "dialog", "read", "take", "answer", "close", "transfer"),
    [
        (ANNA, FREE, "allowed", "allowed", "allowed", "not_taken", "not_taken"),
        (ANNA, ANNAS, "allowed", "allowed", "allowed", "allowed", "allowed"),
        (ANNA, CLOSED, "allowed", "closed", "closed", "closed", "closed"),
        (ANNA, BY_MAIL, "not_in_workspace", "not_in_workspace", "allowed", "not_taken", "not_in_workspace"),
        (BORIS, FREE, "other_route", "other_route", "other_route", "not_taken", "not_taken"),
        (BORIS, ANNAS, "other_route", "held_by_another", "held_by_another", "held_by_another", "held_by_another"),
        (BORIS, replace(FREE, route=(None, RUSSIAN)), "allowed", "allowed", "allowed", "not_taken", "not_taken"),
        (BORIS, replace(FREE, route=(SALES, ENGLISH)), "other_route", "other_route", "other_route", "not_taken", "not_taken"),
        (BORIS, replace(ANNAS, holder_id=BORIS.id), "allowed", "allowed", "allowed", "allowed", "allowed"),
        (VERA, FREE, "allowed", "allowed", "allowed", "allowed", "allowed"),
        (VERA, ANNAS, "allowed", "held_by_another", "held_by_another", "allowed", "allowed"),
        (VERA, CLOSED, "allowed", "closed", "closed", "closed", "closed"),
        (VERA, BY_MAIL, "not_in_workspace", "not_in_workspace", "allowed", "allowed", "not_in_workspace"),
        (STRANGER, FREE, *["other_account"] * 5),
        (STRANGER, CLOSED, *["other_account"] * 5),
        (NINA, FREE, *["support_staff"] * 5),
        (replace(ANNA, is_active=False), ANNAS, *["inactive"] * 5),
    ],
)
def test_what_people_may_do_with_a_dialog(person, dialog, read, take, answer, close, transfer):
    decisions = [
        permissions.may_read(person, dialog),
        permissions.may_take(person, dialog),
        permissions.may_answer(person, dialog),
        permissions.may_close(person, dialog),
        permissions.may_transfer(person, dialog),
    ]
    assert decisions == [read, take, answer, close, transfer]


def test_only_the_allowed_decision_is_true():
    assert [decision for decision in Decision if decision] == [Decision.ALLOWED]


def test_a_supervisor_takes_over_from_whom_the_page_named():
    assert permissions.may_take(VERA, ANNAS, instead_of=ANNA.id)
    assert permissions.may_take(VERA, ANNAS, instead_of=BORIS.id) == Decision.HELD_BY_ANOTHER
    assert permissions.may_take(BORIS, ANNAS, instead_of=ANNA.id) == Decision.HELD_BY_ANOTHER
    assert permissions.may_take_over(VERA, ANNAS)
    assert permissions.may_take_over(BORIS, ANNAS) == Decision.HELD_BY_ANOTHER
    assert permissions.may_take_over(VERA, FREE) == Decision.NOT_TAKEN
    assert permissions.may_take_over(VERA, replace(ANNAS, holder_id=VERA.id)) == Decision.NOT_TAKEN


@pytest.mark.parametrize(
    ("actor", "target", "decision"),
    [
        (ANNA, ANNA, "allowed"),
        (ANNA, BORIS, "supervisors_only"),
        (VERA, ANNA, "allowed"),
        (VERA, replace(ANNA, is_active=False), "inactive"),
        (replace(VERA, is_active=False), ANNA, "inactive"),
        (STRANGER, ANNA, "other_account"),
        (NINA, ANNA, "other_account"),
        (NINA, NINA, "support_staff"),
    ],
)
def test_who_may_set_whose_status(actor, target, decision):
    assert permissions.may_set_status(actor, target) == decision


@pytest.mark.parametrize(
    ("person", "dialog", "decision"),
    [
        (VERA, BY_MAIL, "allowed"),
        (NINA, BY_MAIL, "allowed"),
        (ANNA, BY_MAIL, "supervisors_only"),
        (STRANGER, BY_MAIL, "other_account"),
        (replace(NINA, is_active=False), BY_MAIL, "inactive"),
        (VERA, FREE, "already_in_workspace"),
        (VERA, replace(BY_MAIL, is_open=False), "closed"),
    ],
)
def test_who_may_bring_a_dialog_into_the_workspace(person, dialog, decision):
    assert permissions.may_bring_in(person, dialog) == decision


def test_archive_and_transfer_targets():
    assert permissions.may_search_archive(ANNA)
    assert permissions.may_search_archive(NINA) == Decision.SUPPORT_STAFF
    assert permissions.may_be_given(BORIS, FREE)
    assert permissions.may_be_given(replace(BORIS, is_active=False), FREE) == Decision.INACTIVE
    assert permissions.may_be_given(STRANGER, FREE) == Decision.OTHER_ACCOUNT


class TestActions:
    def test_a_dialog_that_moved_to_another_department_is_not_taken_or_answered(self, account, anna):
        """Q3: the page was opened while it still waited in the operator's own department."""
        dialog = people.start_dialog(account, department="sales")
        with pytest.raises(NotVisible):
            take(dialog.pk, anna)
        with pytest.raises(NotVisible):
            answer(dialog.pk, anna, "It is on its way", key="a1")
        dialog.refresh_from_db()
        assert (dialog.operator, dialog.messages.count()) == (None, 1)

    def test_a_dialog_of_another_account_does_not_exist(self, account, other_account):
        dialog, stranger = people.start_dialog(account), people.make_operator(other_account, role="supervisor")
        for act in (take, close_by_operator, return_to_queue):
            with pytest.raises(Dialog.DoesNotExist):
                act(dialog.pk, stranger)

    def test_nobody_sets_the_status_of_a_colleague_but_a_supervisor(self, anna, boris, vera):
        with pytest.raises(PermissionDenied):
            choose_status(anna, boris, Status.OFFLINE)
        choose_status(vera, boris, Status.INVISIBLE)
        choose_status(anna, anna, Status.ONLINE)
        assert [Operator.objects.get(pk=person.pk).status for person in (anna, boris)] == [Status.ONLINE, Status.INVISIBLE]

    def test_an_operator_brings_nothing_into_the_workspace(self, account, anna):
        dialog = people.start_dialog(account)
        Dialog.objects.filter(pk=dialog.pk).update(in_workspace=False, email_only=True)
        with pytest.raises(PermissionDenied):
            bring_into_workspace(dialog.pk, actor=anna)


def test_a_supervisor_closes_a_waiting_dialog_from_its_page(account, vera, client):
    """The page shows Close to a supervisor wherever the action closes, also where nobody has the dialog."""
    people.sign_in(client, vera)
    dialog = people.start_dialog(account)
    address = f"/workspace/{dialog.number}/"
    assert f'action="{address}close/"' in client.get(address).content.decode()
    client.post(f"{address}close/")
    dialog.refresh_from_db()
    assert dialog.state == State.CLOSED_BY_OPERATOR


def test_an_operator_is_not_offered_to_close_a_waiting_dialog(account, anna, client):
    people.sign_in(client, anna)
    dialog = people.start_dialog(account)
    address = f"/workspace/{dialog.number}/"
    assert f'action="{address}close/"' not in client.get(address).content.decode()
    assert client.post(f"{address}close/").status_code in {302, 409}
    dialog.refresh_from_db()
    assert dialog.state == State.QUEUE
