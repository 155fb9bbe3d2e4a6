"""An open dialog whose last word is the operator's closes by itself, and by which setting (Q9, Q11, Z2)."""

from datetime import timedelta

import pytest

from dialogs import tasks
from dialogs.actions import deadlines, presence
from dialogs.actions.assignment_by_hand import take, transfer_to_operator
from dialogs.actions.conversation import answer
from dialogs.actions.errors import DialogClosed
from dialogs.events import ClosedBySilence
from dialogs.models import Dialog, EventKind, State, Visit
from operators.actions.settings import change_settings
from operators.models import Account, SettingChange
from tests import people
from tests.passing_time import fresh, let_pass, sweep
from webim_offline.foundation.database.clock import database_now

THREE_DAYS = timedelta(seconds=259_200)


@pytest.fixture
def visitor(account):
    return people.make_visitor(account, name="Marina", email="marina@mail.example")


@pytest.fixture
def dialog(visitor, anna):
    """Anna has just answered; its visitor is on no page."""
    dialog = people.start_dialog(visitor.account, visitor=visitor)
    answer(dialog.pk, anna, "It is on its way", key="a1")
    return fresh(dialog)


def change(account, close_after):
    """Stored, and applied by the clock worker; returns when it was stored."""
    change_settings(account, {"close_after": close_after}, actor=None)
    tasks.apply_setting_changes()
    return SettingChange.objects.latest("pk").at


def silent(dialog):
    return dialog.events.get(kind=EventKind.CLOSED_BY_SILENCE)


class TestSilence:
    def test_it_closes_three_days_after_the_answer_without_a_message(self, dialog, anna):
        assert dialog.closes_at == dialog.wake_at == dialog.last_message_at + THREE_DAYS
        messages = dialog.messages.count()
        let_pass(259_201)
        sweep()
        fresh(dialog)
        assert (dialog.state, dialog.operator) == (State.CLOSED_BY_OPERATOR, anna)
        assert dialog.closed_at == silent(dialog).at == dialog.last_message_at + THREE_DAYS
        assert dialog.closes_at == dialog.closed_at + timedelta(seconds=600)
        assert (silent(dialog).actor, silent(dialog).details) == (None, ClosedBySilence(after=259_200))
        assert dialog.messages.count() == messages

    def test_not_sooner(self, dialog):
        let_pass(259_190)
        sweep()
        assert fresh(dialog).state == State.CHATTING

    def test_noticed_late_both_ends_have_their_own_moments(self, dialog):
        let_pass(400_000)
        sweep()
        assert fresh(dialog).state == State.CLOSED
        assert dialog.closed_at == silent(dialog).at == dialog.last_message_at + THREE_DAYS
        assert dialog.events.get(kind=EventKind.CLOSED_FOR_GOOD).at == dialog.closed_at + timedelta(seconds=600)

    @pytest.mark.parametrize(("late", "is_new"), [(500, False), (700, True)])
    def test_a_message_after_it_reopens_it_within_the_window_though_nobody_had_looked(self, visitor, dialog, late, is_new):
        let_pass(259_200 + late)
        assert people.write(visitor).is_new == is_new
        assert silent(dialog).at < Dialog.objects.latest("pk").last_message_at
        assert dialog.events.filter(kind=EventKind.REOPENED).exists() is not is_new

    def test_the_visitors_word_ends_it_and_the_next_answer_counts_anew(self, visitor, dialog, anna):
        people.write(visitor)
        assert fresh(dialog).closes_at is None
        answer(dialog.pk, anna, "Yes", key="a2")
        assert fresh(dialog).closes_at == dialog.last_message_at + THREE_DAYS

    def test_what_is_handed_on_after_the_answer_closes_and_forgets_whom_it_waited_for(self, dialog, vera, boris):
        transfer_to_operator(dialog.pk, vera, boris.pk, confirmed=True)
        let_pass(259_201)
        sweep()
        fresh(dialog)
        assert (dialog.state, dialog.operator, dialog.pickup_by) == (State.CLOSED_BY_OPERATOR, None, None)

    def test_it_closes_though_its_visitor_leaves_before_anybody_has_looked(self, account, anna):
        visitor = people.make_visitor(account)
        dialog = people.start_dialog(account, visitor=visitor, visit_key="page-1")
        answer(dialog.pk, anna, "It is on its way", key="a1")
        let_pass(259_205)
        Visit.objects.update(expires_at=database_now() - timedelta(seconds=1))
        presence.end_lost_visits()
        sweep()
        fresh(dialog)
        assert dialog.state == State.CLOSED_BY_OPERATOR
        assert dialog.closed_at == silent(dialog).at == dialog.last_message_at + THREE_DAYS

    @pytest.mark.parametrize("is_taken", [False, True])
    def test_a_waiting_one_never_closes(self, account, anna, is_taken):
        dialog = people.start_dialog(account)
        if is_taken:
            take(dialog.pk, anna)
        change(account, 1)
        let_pass(2_592_000)
        sweep()
        assert fresh(dialog).is_open
        assert dialog.closes_at is None


class TestTheSettingIsChanged:
    """Z2: it acts on running dialogs, never before it was stored."""

    def test_shorter_and_still_ahead(self, account, dialog):
        let_pass(100)
        change(account, 3600)
        assert fresh(dialog).closes_at == dialog.last_message_at + timedelta(seconds=3600)
        assert dialog.wake_at == dialog.closes_at

    def test_shorter_than_the_silence_has_lasted(self, account, dialog):
        let_pass(5000)
        stored_at = change(account, 3600)
        assert fresh(dialog).state == State.CLOSED_BY_OPERATOR
        assert dialog.closed_at == silent(dialog).at == stored_at

    def test_longer(self, account, dialog):
        let_pass(259_000)
        change(account, 300_000)
        let_pass(1000)
        sweep()
        assert fresh(dialog).state == State.CHATTING
        assert dialog.closes_at == dialog.last_message_at + timedelta(seconds=300_000)

    def test_never_and_again(self, account, dialog):
        change(account, 0)
        assert fresh(dialog).closes_at is None
        let_pass(1_000_000)
        sweep()
        assert fresh(dialog).state == State.CHATTING
        stored_at = change(account, 3600)
        assert fresh(dialog).closed_at == stored_at

    def test_what_was_over_before_stays_over_though_nobody_had_looked(self, account, dialog):
        let_pass(259_300)
        change(account, 0)
        sweep()
        assert fresh(dialog).state == State.CLOSED_BY_OPERATOR
        assert silent(dialog).at == dialog.last_message_at + THREE_DAYS

    def test_the_sweep_waits_for_a_change_that_is_not_applied_yet(self, account, dialog):
        let_pass(259_190)
        change_settings(account, {"close_after": 0}, actor=None)
        let_pass(20)
        sweep()
        assert fresh(dialog).state == State.CHATTING
        tasks.apply_setting_changes()
        assert (fresh(dialog).state, dialog.closes_at) == (State.CHATTING, None)

    def test_the_thirty_days_of_an_email_only_dialog_are_not_its_matter(self, account, visitor):
        Account.objects.filter(pk=account.pk).update(left_messages_email="left@tea.example", left_messages_in_workspace=False)
        dialog = people.start_dialog(account, visitor=visitor)
        change(account, 1)
        assert fresh(dialog).closes_at == dialog.last_message_at + timedelta(days=30)


class TestWhileAChangeIsStoredAndNotApplied:
    """Whoever acts in that second, or for as long as the clock worker is away, acts by the setting that is stored (Z2)."""

    def test_a_hand_is_not_stopped_by_a_time_that_is_no_more(self, account, dialog, anna):
        change_settings(account, {"close_after": 518_400}, actor=None)
        let_pass(259_201)
        answer(dialog.pk, anna, "One thing more", key="a2")
        assert fresh(dialog).state == State.CHATTING
        assert dialog.closes_at == dialog.last_message_at + 2 * THREE_DAYS

    def test_a_hand_comes_too_late_by_the_shorter_one(self, account, dialog, anna):
        change_settings(account, {"close_after": 60}, actor=None)
        let_pass(61)
        with pytest.raises(DialogClosed):
            answer(dialog.pk, anna, "One thing more", key="a2")

    def test_a_message_meets_the_dialog_as_the_shorter_one_left_it(self, account, visitor, dialog):
        change_settings(account, {"close_after": 60}, actor=None)
        let_pass(61)
        answered_at = fresh(dialog).last_message_at
        written = people.write(visitor, "Thanks")
        assert (written.dialog.pk, written.is_new) == (dialog.pk, False)
        assert silent(dialog).at == answered_at + timedelta(seconds=60)
        assert dialog.events.filter(kind=EventKind.REOPENED).count() == 1

    def test_the_sweep_looks_once_and_sets_the_alarm_anew(self, account, dialog):
        change_settings(account, {"close_after": 518_400}, actor=None)
        let_pass(259_201)
        assert [deadlines.advance_due_dialogs(), deadlines.advance_due_dialogs()] == [1, 0]
        assert fresh(dialog).state == State.CHATTING
        assert dialog.closes_at == dialog.wake_at == dialog.last_message_at + 2 * THREE_DAYS
