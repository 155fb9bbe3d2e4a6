"""A visitor's message to a closed dialog: it opens again within the window, else a new one begins (Q9)."""

from datetime import timedelta

import pytest

from dialogs import tasks
from dialogs.actions.assignment_by_hand import take, transfer_to_operator
from dialogs.actions.conversation import answer, close_by_operator, close_by_visitor
from dialogs.events import ClosedForGood, Queue, Reopened
from dialogs.models import OPEN_STATES, REOPENABLE_STATES, Device, Dialog, EventKind, StartState, State
from dialogs.reading.queues import queue_of
from dialogs.rules.sections import Section
from operators.actions.people import change_people
from operators.actions.settings import change_settings
from operators.actions.status import set_status
from operators.models import Account, Assignment, Operator, SettingChange
from tests import people
from tests.passing_time import fresh, let_pass, sweep
from webim_offline.foundation.database.clock import database_now

WINDOW = timedelta(seconds=600)


@pytest.fixture
def anna(anna):
    """Online."""
    people.go_online(anna)
    return anna


@pytest.fixture
def visitor(account):
    return people.make_visitor(account, name="Marina", email="marina@mail.example")


@pytest.fixture
def dialog(visitor, anna):
    """Closed by Anna, who had it, a moment ago; its visitor is on no page."""
    dialog = people.start_dialog(visitor.account, visitor=visitor)
    answer(dialog.pk, anna, "It is on its way", key="a1")
    close_by_operator(dialog.pk, anna)
    return fresh(dialog)


def kinds(dialog):
    return list(dialog.events.values_list("kind", flat=True))


class TestWithinTheWindow:
    def test_it_is_the_same_dialog_in_the_hands_of_whoever_had_it(self, visitor, dialog, anna):
        kept = ("number", "start_state", "created_at", "picked_up_at", "evidence")
        before = {name: getattr(dialog, name) for name in kept}
        written = people.write(visitor, "One more thing")
        assert (written.dialog, written.is_new) == (dialog, False)
        assert {name: getattr(fresh(dialog), name) for name in kept} == before
        assert (dialog.state, dialog.operator) == (State.CHATTING, anna)
        assert (dialog.closed_at, dialog.closes_at, dialog.wake_at) == (None, None, None)
        assert (dialog.last_text, dialog.last_is_visitors) == ("One more thing", True)
        assert dialog.waiting_since == dialog.last_message_at == dialog.messages.last().at
        said = dialog.events.get(kind=EventKind.REOPENED)
        assert (said.at, said.actor, said.details) == (dialog.last_message_at, None, Reopened(operator_name="Anna"))

    def test_until_its_last_moment(self, visitor, dialog):
        let_pass(590)
        sweep()
        assert people.write(visitor).dialog == dialog

    def test_the_one_that_the_visitor_ended_too(self, visitor, anna):
        dialog = people.start_dialog(visitor.account, visitor=visitor)
        take(dialog.pk, anna)
        close_by_visitor(visitor.pk, dialog.number)
        assert fresh(dialog).closes_at == dialog.closed_at + WINDOW
        people.write(visitor)
        assert (fresh(dialog).state, dialog.operator) == (State.CHATTING, anna)

    def test_a_limit_takes_it_from_nobody(self, account, visitor, dialog, anna):
        take(people.start_dialog(account).pk, anna)
        Account.objects.filter(pk=account.pk).update(max_offline_dialogs=1)
        people.write(visitor)
        assert fresh(dialog).operator == anna

    def test_again_and_again(self, visitor, dialog, anna):
        for _ in range(3):
            people.write(visitor)
            close_by_operator(dialog.pk, anna)
            let_pass(500)
        assert Dialog.objects.count() == 1
        assert kinds(dialog).count(EventKind.REOPENED) == 3

    def test_one_key_opens_it_once(self, visitor, dialog, anna):
        people.write(visitor, key="the-same")
        close_by_operator(dialog.pk, anna)
        written = people.write(visitor, key="the-same")
        assert (written.repeated, written.dialog) == (True, dialog)
        assert fresh(dialog).state == State.CLOSED_BY_OPERATOR

    def test_the_department_and_language_of_the_page_do_not_move_it(self, visitor, dialog):
        people.write(visitor, department="sales", language="ru")
        assert (fresh(dialog).department.slug, dialog.language.code) == ("support", "en")


class TestWhoeverHadIt:
    """Effectively online, or it goes to its queue."""

    def gone(self, visitor, dialog):
        created_at = dialog.created_at
        people.write(visitor)
        fresh(dialog)
        assert (dialog.state, dialog.operator, dialog.created_at) == (State.QUEUE, None, created_at)
        assert dialog.events.get(kind=EventKind.REOPENED).details == Reopened(queue=Queue(queue_of(dialog)))
        return dialog

    def test_on_a_break(self, visitor, dialog, anna):
        set_status(anna, "lunch")
        self.gone(visitor, dialog)

    def test_silent_for_longer_than_the_lease(self, visitor, dialog, anna):
        Operator.objects.filter(pk=anna.pk).update(last_seen_at=database_now() - timedelta(seconds=61))
        self.gone(visitor, dialog)

    def test_silent_for_less(self, visitor, dialog, anna):
        Operator.objects.filter(pk=anna.pk).update(last_seen_at=database_now() - timedelta(seconds=40))
        people.write(visitor)
        assert fresh(dialog).operator == anna, "the 25 s are automatic assignment's alone (A2)"

    def test_deactivated(self, visitor, dialog, anna):
        change_people(anna, departments=[], languages=list(anna.languages.all()), active=False)
        self.gone(visitor, dialog)

    def test_nobody_had_begun_with_it(self, visitor, anna, vera):
        dialog = people.start_dialog(visitor.account, visitor=visitor)
        transfer_to_operator(dialog.pk, vera, anna.pk)
        close_by_visitor(visitor.pk, dialog.number)
        self.gone(visitor, fresh(dialog))

    def test_from_the_queue_it_is_given_like_any_other(self, account, visitor, dialog, anna, boris):
        Account.objects.filter(pk=account.pk).update(assignment=Assignment.AUTOMATIC)
        set_status(anna, "lunch")
        people.go_online(boris)
        self.gone(visitor, dialog)
        tasks.assign_dialogs()
        assert (fresh(dialog).operator, dialog.state) == (boris, State.QUEUE)

    def test_a_closed_dialog_is_given_to_nobody(self, account, visitor, dialog, anna):
        Account.objects.filter(pk=account.pk).update(assignment=Assignment.AUTOMATIC)
        tasks.assign_dialogs()
        assert fresh(dialog).state == State.CLOSED_BY_OPERATOR
        assert EventKind.ASSIGNED not in kinds(dialog)


class TestPresence:
    """Read anew when it opens again."""

    def test_from_mail_without_a_visit_it_is_offline_and_nothing_is_due(self, visitor, dialog):
        people.write(visitor)
        assert (fresh(dialog).is_offline, dialog.away_since, dialog.wake_at) == (True, None, None)

    def test_from_a_page_it_is_online(self, visitor, dialog):
        people.write(visitor, visit_key="page-2")
        assert (fresh(dialog).is_offline, dialog.away_since) == (False, None)

    def test_a_page_that_was_opened_while_it_was_closed_counts(self, visitor, dialog, process, anna):
        people.arrive(visitor, process)
        assert fresh(dialog).is_offline, "a closed dialog follows nobody"
        set_status(anna, "lunch")
        people.write(visitor)
        assert (fresh(dialog).is_offline, queue_of(dialog)) == (False, Section.GENERAL)

    def test_an_absence_from_before_the_end_is_over(self, visitor, process, anna):
        people.arrive(visitor, process)
        dialog = people.start_dialog(visitor.account, visitor=visitor)
        take(dialog.pk, anna)
        people.depart(visitor, process)
        let_pass(130)
        sweep()
        close_by_operator(dialog.pk, anna)
        people.write(visitor)
        assert (fresh(dialog).is_offline, dialog.away_since, dialog.left_notice_at) == (True, None, None)
        assert list(dialog.messages.filter(kind="system").values_list("code", flat=True)) == ["left"]
        people.arrive(visitor, process, "page-2")
        assert not fresh(dialog).is_offline
        people.depart(visitor, process, "page-2")
        assert fresh(dialog).away_since is not None, "a new absence counts anew"
        assert dialog.wake_at == dialog.away_since + timedelta(seconds=120)

    def test_a_push_token_keeps_it_online(self, account, visitor, anna):
        visitor.has_token = True
        visitor.save(update_fields=["has_token"])
        Device.objects.create(account=account, visitor=visitor, key="phone", token="abc", platform="ios", updated_at=database_now())
        dialog = people.start_dialog(account, visitor=visitor, from_app=True)
        take(dialog.pk, anna)
        close_by_operator(dialog.pk, anna)
        people.write(visitor)
        assert (fresh(dialog).always_online, dialog.is_offline) == (True, False)


class TestAfterTheWindow:
    def test_it_is_closed_for_good_at_the_moment_the_rule_names(self, dialog):
        let_pass(4000)
        sweep()
        fresh(dialog)
        assert (dialog.state, dialog.closes_at, dialog.wake_at) == (State.CLOSED, None, None)
        assert dialog.operator is not None, "whose it was is history"
        said = dialog.events.get(kind=EventKind.CLOSED_FOR_GOOD)
        assert (said.at, said.details) == (dialog.closed_at + WINDOW, ClosedForGood(after=600))

    @pytest.mark.parametrize("is_noticed", [True, False])
    def test_a_message_starts_a_new_one(self, visitor, dialog, anna, is_noticed):
        assert dialog.start_state == StartState.ONLINE
        set_status(anna, "lunch")
        let_pass(601)
        if is_noticed:
            sweep()
        written = people.write(visitor)
        assert written.is_new
        new = fresh(written.dialog)
        assert (new.number, new.start_state, new.operator, new.state) == (dialog.number + 1, "offline", None, State.QUEUE)
        assert fresh(dialog).state == State.CLOSED
        assert dialog.events.get(kind=EventKind.CLOSED_FOR_GOOD).at == dialog.closed_at + WINDOW
        sweep()
        assert kinds(dialog).count(EventKind.CLOSED_FOR_GOOD) == 1

    def test_without_a_window_it_is_closed_for_good_at_once(self, account, visitor, anna):
        change_settings(account, {"reopen_window": 0}, actor=None)
        dialog = people.start_dialog(account, visitor=visitor)
        take(dialog.pk, anna)
        close_by_operator(dialog.pk, anna)
        assert people.write(visitor).is_new
        assert fresh(dialog).state == State.CLOSED

    def test_a_visitor_has_at_most_one_that_is_open_or_can_be_reopened(self, visitor, anna):
        for length in (0, 300, 601, 10, 599, 601, 0):
            people.write(visitor)
            living = Dialog.objects.filter(visitor=visitor, state__in=(*OPEN_STATES, *REOPENABLE_STATES))
            current = living.get()
            if current.operator is None:
                take(current.pk, anna)
            close_by_operator(current.pk, anna)
            let_pass(length)
        assert Dialog.objects.count() == 3


class TestTheWindowIsChanged:
    """Z2: what is closed can be reopened as long as the new window says, and nothing ends before the change was stored."""

    def change(self, account, window):
        """Stored, and applied by the clock worker; returns when it was stored."""
        change_settings(account, {"reopen_window": window}, actor=None)
        tasks.apply_setting_changes()
        return SettingChange.objects.latest("pk").at

    def test_longer(self, account, visitor, dialog):
        self.change(account, 3600)
        assert fresh(dialog).closes_at == dialog.closed_at + timedelta(seconds=3600)
        let_pass(3000)
        sweep()
        assert people.write(visitor).dialog == dialog

    def test_shorter_than_it_has_been_closed(self, account, visitor, dialog):
        let_pass(300)
        stored_at = self.change(account, 100)
        assert fresh(dialog).state == State.CLOSED
        assert dialog.events.get(kind=EventKind.CLOSED_FOR_GOOD).at == stored_at
        assert people.write(visitor).is_new

    def test_shorter_and_still_ahead(self, account, dialog):
        let_pass(50)
        self.change(account, 100)
        assert fresh(dialog).closes_at == dialog.closed_at + timedelta(seconds=100)

    def test_none_any_more(self, account, dialog):
        stored_at = self.change(account, 0)
        assert fresh(dialog).state == State.CLOSED
        assert dialog.events.get(kind=EventKind.CLOSED_FOR_GOOD).at == stored_at

    def test_what_was_over_before_stays_over_though_nobody_had_looked(self, account, visitor, dialog):
        let_pass(700)
        self.change(account, 3600)
        sweep()
        assert fresh(dialog).state == State.CLOSED
        assert dialog.events.get(kind=EventKind.CLOSED_FOR_GOOD).at == dialog.closed_at + WINDOW
        assert people.write(visitor).is_new

    def test_the_sweep_waits_for_a_change_that_is_not_applied_yet(self, account, visitor, dialog):
        let_pass(595)
        change_settings(account, {"reopen_window": 3600}, actor=None)
        let_pass(20)
        sweep()
        assert fresh(dialog).state == State.CLOSED_BY_OPERATOR
        tasks.apply_setting_changes()
        assert people.write(visitor).dialog == dialog

    def test_an_open_dialog_does_not_care(self, account, visitor, dialog):
        people.write(visitor)
        self.change(account, 5)
        assert (fresh(dialog).state, dialog.closes_at) == (State.CHATTING, None)


class TestTwoTabs:
    def test_first_messages_make_one_dialog_with_two_messages(self, visitor):
        one, two = people.write(visitor, "One", visit_key="tab-1"), people.write(visitor, "Two", visit_key="tab-2")
        assert one.dialog == two.dialog
        assert [message.text for message in one.dialog.messages.all()] == ["One", "Two"]

    def test_the_first_opens_it_again_and_the_second_joins(self, visitor, dialog):
        people.write(visitor, "One", visit_key="tab-1")
        people.write(visitor, "Two", visit_key="tab-2")
        assert Dialog.objects.count() == 1
        assert kinds(dialog)[-2:] == [EventKind.REOPENED, EventKind.VISITOR_WROTE]
        assert fresh(dialog).waiting_since == dialog.messages.get(text="One").at


class TestEmailOnly:
    """Apart from the others (M10)."""

    @pytest.fixture
    def by_mail(self, account, visitor):
        Account.objects.filter(pk=account.pk).update(left_messages_email="left@tea.example", left_messages_in_workspace=False)
        dialog = people.start_dialog(account, visitor=visitor)
        assert dialog.email_only
        return dialog

    def test_one_that_was_closed_is_never_reopened(self, visitor, by_mail):
        close_by_visitor(visitor.pk, by_mail.number)
        written = people.write(visitor)
        assert written.is_new
        assert fresh(by_mail).state == State.CLOSED_BY_VISITOR

    def test_it_keeps_no_closed_dialog_from_opening_again(self, account, visitor, by_mail, anna):
        online = people.write(visitor).dialog
        assert online.continues == by_mail
        take(online.pk, anna)
        close_by_operator(online.pk, anna)
        assert people.write(visitor).dialog == online
        assert (fresh(online).state, fresh(by_mail).state) == (State.CHATTING, State.QUEUE)


@pytest.mark.parametrize(("window", "passed", "is_new"), [(60, 61, True), (1200, 601, False)])
def test_a_changed_window_that_is_not_applied_yet_decides(account, visitor, dialog, window, passed, is_new):
    change_settings(account, {"reopen_window": window}, actor=None)
    let_pass(passed)
    written = people.write(visitor, "One thing more")
    assert written.is_new is is_new
    assert (written.dialog.pk != dialog.pk) is is_new
