"""Starting, joining, answering and closing dialogs (S1, S2, M5, M10, Q6, Q9, B1)."""

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from dialogs.actions.assignment_by_hand import take
from dialogs.actions.conversation import Contacts, answer, bring_into_workspace, close_by_operator, close_by_visitor
from dialogs.actions.errors import AlreadyTaken, ContactsMissing, DialogClosed
from dialogs.models import Dialog, EventKind, Message, StartState, State
from operators.actions.settings import change_settings
from tests import people


def test_a_dialog_starts_online_when_a_matching_operator_is_online(account, anna):
    people.go_online(anna)
    assert people.start_dialog(account).start_state == StartState.ONLINE


def test_a_dialog_starts_offline_when_nobody_matches(account, anna):
    people.go_online(anna)
    assert people.start_dialog(account, department="sales").start_state == StartState.OFFLINE


def test_a_start_takes_at_most_ten_statements(account, anna, process):
    visitor = people.make_visitor(account)
    people.arrive(visitor, process)
    contacts = Contacts(name="Marina", email="marina@mail.example")
    with CaptureQueriesContext(
        connection,
    ) as captured:
        people.write(visitor, contacts=contacts, visit_key="page-1")
    statements = [q["sql"] for q in captured if not q["sql"].startswith(("SAVEPOINT", "RELEASE", "BEGIN", "COMMIT"))]
    assert len(statements) <= 10, "\n".join(statements)


def test_a_repeated_submission_makes_one_dialog_and_one_message(account):
    visitor = people.make_visitor(account)
    first = people.write(visitor, key="k1")
    again = people.write(visitor, key="k1")
    assert again.repeated
    assert again.dialog == first.dialog
    assert Message.objects.count() == Dialog.objects.count() == 1


def test_a_second_message_joins_the_open_dialog(account):
    visitor = people.make_visitor(account)
    first = people.write(visitor)
    second = people.write(visitor, "And one more thing")
    assert second.dialog == first.dialog
    assert not second.is_new
    assert [m.text for m in first.dialog.messages.all()] == ["Where is my order?", "And one more thing"]


def test_two_operators_cannot_take_the_same_dialog(account, anna, boris):
    dialog = people.start_dialog(account)
    take(dialog.pk, anna)
    with pytest.raises(AlreadyTaken, match="Anna has this dialog"):
        take(dialog.pk, boris)
    dialog.refresh_from_db()
    assert (dialog.operator, dialog.state) == (anna, State.CHATTING)
    assert dialog.events.filter(kind=EventKind.PICKED_UP).count() == 1


def test_an_answer_to_a_dialog_nobody_has_picks_it_up(account, anna):
    dialog = people.start_dialog(account)
    answer(dialog.pk, anna, "It is on its way", key="a1")
    answer(dialog.pk, anna, "It is on its way", key="a1")
    dialog.refresh_from_db()
    assert dialog.operator == anna
    assert dialog.waiting_since is None
    assert dialog.messages.filter(kind="operator").count() == 1


def test_the_same_key_in_two_dialogs_makes_an_answer_in_each(account, anna):
    """A key is made for one dialog's page: it says nothing about an answer elsewhere (B1)."""
    first, second = people.start_dialog(account), people.start_dialog(account)
    for dialog in (first, second, first):
        answer(dialog.pk, anna, f"About {dialog}", key="the-same")
    answers = Message.objects.filter(author=anna, client_key="the-same").order_by("dialog_id")
    assert [(message.dialog_id, message.text) for message in answers] == [
        (first.pk, f"About {first}"),
        (second.pk, f"About {second}"),
    ]


def test_the_same_key_of_two_operators_makes_two_answers(account, anna, vera):
    dialog = people.start_dialog(account)
    answer(dialog.pk, anna, "From Anna", key="the-same")
    take(dialog.pk, vera, instead_of=anna.pk)
    answer(dialog.pk, vera, "From Vera", key="the-same")
    assert [message.text for message in dialog.messages.filter(kind="operator")] == ["From Anna", "From Vera"]


def test_a_visitors_key_is_used_once_whatever_dialog_it_went_to(account, anna):
    """What a client sends again after the dialog was closed for good is what it sent before (B1)."""
    change_settings(account, {"reopen_window": 0}, actor=None)
    visitor = people.make_visitor(account)
    first = people.write(visitor, key="the-same").dialog
    close_by_visitor(visitor.pk, first.number)
    assert people.write(visitor, key="the-same").repeated
    assert Message.objects.filter(visitor=visitor).count() == 1


def test_the_database_keeps_one_answer_for_a_key_in_a_dialog(account, anna):
    dialog = people.start_dialog(account)
    answer(dialog.pk, anna, "Once", key="the-same")
    with pytest.raises(IntegrityError), transaction.atomic():
        Message.objects.create(
            dialog=dialog, kind="operator", author=anna, text="Twice", client_key="the-same", at=dialog.created_at, revision=99
        )


def test_a_message_after_closing_for_good_starts_a_new_dialog(account, anna):
    """Without a `reopen_window` a dialog is closed for good at once (Q9)."""
    change_settings(account, {"reopen_window": 0}, actor=None)
    visitor = people.make_visitor(account)
    first = people.write(visitor).dialog
    close_by_visitor(visitor.pk, first.number)
    second = people.write(visitor)
    assert second.is_new
    assert second.dialog.number == first.number + 1


def test_a_closed_dialog_takes_no_answer_and_no_second_end(account, anna):
    visitor = people.make_visitor(account)
    dialog = people.write(visitor).dialog
    take(dialog.pk, anna)
    close_by_operator(dialog.pk, anna)
    with pytest.raises(DialogClosed):
        answer(dialog.pk, anna, "Late", key="a1")
    with pytest.raises(DialogClosed):
        close_by_visitor(visitor.pk, dialog.number)
    assert not dialog.messages.filter(text="Late").exists()


def test_the_offline_form_must_bring_required_contacts(account):
    visitor = people.make_visitor(account)
    with pytest.raises(ContactsMissing) as refusal:
        people.write(visitor, from_form=True)
    assert refusal.value.fields == ["email"]
    assert not Dialog.objects.exists()


def test_a_window_that_was_online_a_moment_ago_is_accepted_and_asks_for_contacts(account):
    written = people.write(people.make_visitor(account), from_form=False)
    assert written.asks_contacts
    assert written.dialog.start_state == StartState.OFFLINE


class TestSwitchedOff:
    """Left messages only go by mail (M5, M6, M10)."""

    @pytest.fixture
    def account(self, account):
        account.left_messages_email, account.left_messages_in_workspace = "left@north.example", False
        account.save()
        return account

    def test_a_left_message_stays_out_of_the_workspace(self, account):
        dialog = people.start_dialog(account)
        assert dialog.email_only
        assert not dialog.in_workspace

    def test_an_online_dialog_is_untouched(self, account, anna):
        people.go_online(anna)
        dialog = people.start_dialog(account)
        assert not dialog.email_only
        assert dialog.in_workspace

    def test_a_way_to_answer_is_required_even_when_the_form_asks_for_none(self, account):
        account.contact_email = "off"
        account.save()
        with pytest.raises(ContactsMissing):
            people.write(people.make_visitor(account), from_form=True)
        assert people.write(people.make_visitor(account), from_form=True, contacts=Contacts(phone="+7 912 555-01-47"))

    def test_writing_again_while_offline_joins(self, account):
        visitor = people.make_visitor(account, email="m@mail.example")
        first = people.write(visitor).dialog
        assert people.write(visitor).dialog == first

    def test_writing_again_while_online_starts_a_linked_dialog(self, account, anna):
        visitor = people.make_visitor(account, email="m@mail.example")
        first = people.write(visitor).dialog
        people.go_online(anna)
        second = people.write(visitor).dialog
        assert second.continues == first
        assert second.start_state == StartState.ONLINE
        assert not second.email_only

    def test_the_page_of_a_new_dialog_brings_the_one_by_mail_back_too(self, account, anna, process):
        """P6, P10: a message that is heard of before its page's visit ends the absence of every open dialog."""
        visitor = people.make_visitor(account, email="m@mail.example")
        people.arrive(visitor, process)
        first = people.write(visitor).dialog
        people.depart(visitor, process)
        people.go_online(anna)
        people.write(visitor, visit_key="page-2")
        first.refresh_from_db()
        assert (first.away_since, first.wake_at) == (None, first.closes_at)
        assert first.revision == first.events.latest("revision").revision

    def test_brought_into_the_workspace_it_is_an_ordinary_dialog(self, account, vera):
        dialog = people.start_dialog(account)
        assert dialog.closes_at is not None
        bring_into_workspace(dialog.pk, actor=vera)
        dialog.refresh_from_db()
        assert (dialog.in_workspace, dialog.closes_at, dialog.wake_at) == (True, None, None)
        assert dialog.email_only  # the decision of the start is history (M8)
        assert dialog.messages.get(kind="system").params == {"who": "Vera"}
