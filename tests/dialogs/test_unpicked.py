"""What is assigned and not picked up, while the clock worker is away and after the clock was set back (Q8, A2, P9, Z2, Z3)."""

from datetime import timedelta

import pytest

from dialogs import tasks
from dialogs.actions.assignment_by_hand import return_to_queue, take, transfer_to_operator
from dialogs.actions.conversation import close_by_visitor
from dialogs.actions.errors import AlreadyTaken, NeedsConfirmation
from dialogs.events import UnassignedReason
from dialogs.models import Dialog, EventKind, Pulse
from operators import history
from operators import tasks as people_tasks
from operators.actions.people import change_people
from operators.actions.settings import change_settings
from operators.actions.signs_of_life import workspaces_seen
from operators.actions.status import note_of_act, set_status, sign_out
from operators.models import Account, Operator, WorkspacesHeard
from tests import people
from tests.model.clock import Wall
from tests.passing_time import fresh
from webim_offline.foundation.database.clock import database_now
from webim_offline.foundation.database.statements import run_together


@pytest.fixture
def clara(account):
    return people.make_operator(account, "clara", online=True)


@pytest.fixture
def dialog(account, anna, vera):
    """Waits for Anna's reply, who is online."""
    people.go_online(anna)
    dialog = people.start_dialog(account)
    transfer_to_operator(dialog.pk, vera, anna.pk)
    return fresh(dialog)


def clock_worker_ran(seconds_ago):
    at = database_now() - timedelta(seconds=seconds_ago)
    Pulse.objects.update_or_create(name=Pulse.LEASES, defaults={"at": at})


def returned(dialog):
    """When and why it went back to its queue."""
    event = dialog.events.get(kind=EventKind.UNASSIGNED)
    return event.at, event.details.reason


class TestWhileTheClockWorkerIsAway:
    """Whoever acts on a dialog judges whether its assignment is over."""

    def test_what_waited_for_somebody_who_left_is_taken_from_its_queue(self, dialog, anna, clara):
        clock_worker_ran(3600)
        sign_out(anna)
        left_at = anna.changes.latest("pk").at
        take(dialog.pk, clara)
        assert fresh(dialog).operator == clara
        assert returned(dialog) == (left_at, UnassignedReason.NOT_ONLINE)
        assert dialog.events.get(kind=EventKind.PICKED_UP).details.from_operator_id is None

    def test_a_lease_that_ran_out_counts_though_nothing_says_so(self, dialog, anna, clara):
        clock_worker_ran(3600)
        seen_at = database_now() - timedelta(seconds=70)
        Operator.objects.filter(pk=anna.pk).update(last_seen_at=seen_at)
        Dialog.objects.filter(pk=dialog.pk).update(assigned_at=seen_at + timedelta(seconds=20))
        anna.changes.update(at=seen_at)
        take(dialog.pk, clara)
        assert returned(dialog) == (seen_at + timedelta(seconds=60), UnassignedReason.NOT_ONLINE)
        assert people_tasks.record_expiries() == 1
        clock_worker_ran(0)
        tasks.assign_dialogs()
        assert fresh(dialog).operator == clara

    def test_not_while_signs_of_life_could_not_be_written(self, dialog, anna, clara):
        seen_at = database_now() - timedelta(seconds=70)
        WorkspacesHeard.objects.update_or_create(pk=1, defaults={"at": seen_at})
        Operator.objects.filter(pk=anna.pk).update(last_seen_at=seen_at)
        Dialog.objects.filter(pk=dialog.pk).update(assigned_at=seen_at + timedelta(seconds=20))
        anna.changes.update(at=seen_at)
        with pytest.raises(AlreadyTaken, match="Anna"):
            take(dialog.pk, clara)

    def test_a_visitor_who_ends_the_chat_ends_one_that_waits_in_its_queue(self, dialog, anna):
        sign_out(anna)
        close_by_visitor(dialog.visitor_id, dialog.number)
        assert returned(dialog)[1] == UnassignedReason.NOT_ONLINE

    def test_what_somebody_lost_is_not_counted_against_their_limit(self, account, dialog, anna):
        Account.objects.filter(pk=account.pk).update(max_offline_dialogs=1)
        other = people.start_dialog(account)
        with pytest.raises(NeedsConfirmation):
            take(other.pk, anna)
        set_status(anna, "lunch")
        set_status(anna, "online")
        take(other.pk, anna)
        assert fresh(other).operator == anna

    @pytest.mark.parametrize(("silent_for", "is_over"), [(4, True), (6, False)])
    def test_nobody_is_late_for_an_outage(self, dialog, clara, silent_for, is_over):
        """P9: of five seconds at least."""
        clock_worker_ran(silent_for)
        by = database_now() - timedelta(seconds=1)
        Dialog.objects.filter(pk=dialog.pk).update(pickup_by=by)
        if is_over:
            take(dialog.pk, clara)
            assert returned(dialog) == (by, UnassignedReason.NOT_PICKED_UP)
        else:
            with pytest.raises(AlreadyTaken, match="Anna"):
                take(dialog.pk, clara)


class TestAfterTheClockWasSetBack:
    @pytest.fixture
    def clock(self):
        with Wall() as clock:
            yield clock

    def second(self, clock, *present, seconds=1):
        """Time passes in which the clock worker runs, and these people's workspaces are heard."""
        for _ in range(seconds):
            clock.shift(1)
            workspaces_seen({who.pk: who.tickets_valid_from for who in present})
            people_tasks.record_expiries()
            tasks.assign_dialogs()

    def assigned(self, account, vera, anna):
        dialog = people.start_dialog(account)
        transfer_to_operator(dialog.pk, vera, anna.pk, confirmed=True)
        return dialog

    @pytest.mark.parametrize("back", [30, 3600])
    def test_who_leaves_loses_what_was_assigned_before(self, account, vera, anna, clock, back):
        set_status(anna, "online")
        self.second(clock, anna)
        dialog = self.assigned(account, vera, anna)
        self.second(clock, anna)
        clock.shift(-back)
        self.second(clock, anna)
        assert fresh(dialog).operator == anna
        sign_out(anna)
        left_at = database_now()
        self.second(clock)
        assert fresh(dialog).operator is None
        assert returned(dialog) == (left_at, UnassignedReason.NOT_ONLINE)

    def test_who_left_before_loses_nothing_when_the_clock_shows_that_moment_again(self, account, vera, anna, clock):
        set_status(anna, "online")
        self.second(clock, anna, seconds=30)
        set_status(anna, "lunch")
        set_status(anna, "online")
        self.second(clock, anna)
        clock.shift(-25)
        self.second(clock, anna)
        dialog = self.assigned(account, vera, anna)
        self.second(clock, anna, seconds=50)
        assert fresh(dialog).operator == anna

    def test_what_was_lost_just_before_goes_back(self, account, vera, anna, clock):
        set_status(anna, "online")
        self.second(clock, anna)
        dialog = self.assigned(account, vera, anna)
        clock.shift(0.5)
        set_status(anna, "lunch")
        set_status(anna, "online")
        clock.shift(-30)
        self.second(clock, anna)
        assert fresh(dialog).operator is None
        assert returned(dialog)[1] == UnassignedReason.NOT_ONLINE

    def test_a_department_that_was_archived_before_ends_no_later_assignment(self, account, vera, anna, clock):
        set_status(anna, "online")
        dialog = people.start_dialog(account)
        self.second(clock, anna)
        dialog.department.archived_at = database_now()
        dialog.department.save()
        transfer_to_operator(dialog.pk, vera, anna.pk)
        dialog.department.archived_at = database_now() - timedelta(seconds=0.5)
        dialog.department.save()
        self.second(clock, anna)
        clock.shift(-20)
        self.second(clock, anna, seconds=40)
        assert fresh(dialog).operator == anna

    def test_the_history_gives_the_start_state_at_once(self, account, anna, clock):
        """S2: what is asked is who was online at a moment that the clock shows for the second time."""
        self.second(clock, seconds=30)
        set_status(anna, "online")
        self.second(clock, anna)
        clock.shift(-25)
        self.second(clock, anna)
        dialog = people.start_dialog(account)
        assert dialog.start_state == "online"
        there = history.online_at(account.pk, dialog.department_id, dialog.language_id, dialog.created_at)
        assert there == {anna.pk}

    def test_it_is_said_once_of_those_whose_changes_lie_ahead(self, account, vera, anna, clock):
        set_status(anna, "online")
        self.second(clock, anna, seconds=40)
        change_people(vera, departments=(), languages=(), active=True)
        set_status(vera, "lunch")
        clock.shift(-20)
        self.second(clock, anna, seconds=30)
        assert [change.reason for who in (anna, vera) for change in who.changes.filter(reason="clock")] == ["clock"]
        assert vera.changes.latest("pk").status == "lunch"

    @pytest.mark.parametrize("has_acted", [False, True])
    def test_whoever_let_it_wait_is_given_it_again_after_an_own_action(self, account, vera, anna, clock, has_acted):
        """Q8: an action after it came back counts, also when the clock is set back to before both; one before it does not."""
        set_status(anna, "online")
        self.second(clock, anna)
        change_settings(account, {"assignment": "automatic"}, actor=vera)
        self.second(clock, anna)
        dialog = people.start_dialog(account)
        self.second(clock, anna)
        assert fresh(dialog).operator == anna
        return_to_queue(dialog.pk, anna)
        clock.shift(0.2)
        if has_acted:
            run_together(note_of_act(anna))
        clock.shift(-30)
        self.second(clock, anna)
        assert fresh(dialog).operator == (anna if has_acted else None)

    def test_whoever_fell_silent_is_given_nothing_before_their_workspace_is_heard_again(self, account, vera, anna, clock):
        """A2: the sign of life, long ago, lies ahead of the clock that was set back."""
        set_status(anna, "online")
        self.second(clock, anna)
        change_settings(account, {"assignment": "automatic"}, actor=vera)
        self.second(clock, seconds=70)
        dialog = people.start_dialog(account)
        clock.shift(-60)
        tasks.assign_dialogs()
        assert fresh(dialog).operator is None
        self.second(clock)
        assert fresh(dialog).operator is None
        self.second(clock, anna)
        assert fresh(dialog).operator == anna
