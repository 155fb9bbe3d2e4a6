"""Who has a dialog, by people's hands: take, answer, hand over, take over, and every refusal (Q5, Q6, Q8, Q9, Q10)."""

from contextlib import contextmanager
from datetime import timedelta

import pytest

from dialogs import tasks
from dialogs.actions import unpicked
from dialogs.actions.assignment_by_hand import return_to_queue, take, transfer_to_department, transfer_to_operator
from dialogs.actions.conversation import answer, close_by_operator, close_by_visitor
from dialogs.actions.errors import AlreadyTaken, DialogClosed, NeedsConfirmation, NotYours, Refused
from dialogs.events import ConfirmedWarning, PickedUp, Queue, Transferred, TransferTarget, Unassigned, UnassignedReason
from dialogs.models import Dialog, DialogEvent, EventKind, Message, State
from operators.actions.status import note_of_act
from operators.models import Account, Assignment, Department, Operator
from tests import people
from webim_offline.foundation.database.clock import database_now
from webim_offline.foundation.database.statements import run_together


@pytest.fixture
def dialog(account):
    """Of support, in Offline inquiries: its visitor is on no page (P10)."""
    return people.start_dialog(account)


@pytest.fixture
def online_anna(anna):
    people.go_online(anna)
    return anna


@pytest.fixture
def online_boris(boris):
    people.go_online(boris)
    return boris


def fresh(row):
    row.refresh_from_db()
    return row


def event(dialog, kind):
    return dialog.events.get(kind=kind)


def stored():
    return [list(rows.order_by("pk").values()) for rows in (Dialog.objects, DialogEvent.objects, Message.objects, Operator.objects)]


@contextmanager
def refused(error, match=None):
    """The error comes, and nothing was written: not even that somebody acted."""
    before = stored()
    with pytest.raises(error, match=match) as caught:
        yield
    assert type(caught.value) is error
    assert stored() == before


def department(account, slug):
    return Department.objects.get(account=account, slug=slug)


def limit(account, **limits):
    Account.objects.filter(pk=account.pk).update(**limits)


class TestTaking:
    def test_a_waiting_dialog_is_picked_up_by_whoever_took_it(self, dialog, anna):
        take(dialog.pk, anna)
        fresh(dialog)
        assert (dialog.operator, dialog.state) == (anna, State.CHATTING)
        assert (dialog.assigned_at, dialog.pickup_by, dialog.pickup_from, dialog.passed_over) == (None, None, None, {})
        assert event(dialog, EventKind.PICKED_UP).actor == anna
        assert event(dialog, EventKind.PICKED_UP).at == dialog.picked_up_at

    def test_taking_again_changes_nothing_of_the_dialog(self, dialog, anna):
        take(dialog.pk, anna)
        before = stored()[:3]
        assert take(dialog.pk, anna) == dialog
        assert stored()[:3] == before

    def test_it_is_an_own_action_in_the_workspace(self, dialog, anna):
        take(dialog.pk, anna)
        assert fresh(anna).acted_at is not None

    def test_the_second_one_is_told_who_has_it(self, dialog, anna, boris):
        take(dialog.pk, anna)
        with refused(AlreadyTaken, "Anna has this dialog"):
            take(dialog.pk, boris, confirmed=True)

    def test_one_assigned_to_another_is_not_free(self, dialog, vera, online_anna, boris):
        transfer_to_operator(dialog.pk, vera, online_anna.pk)
        with refused(AlreadyTaken, "Anna has this dialog"):
            take(dialog.pk, boris)

    def test_ones_own_assigned_dialog_is_picked_up_at_any_limit(self, account, dialog, vera, online_anna):
        """Q5's warning is about going over: an assigned dialog counts already."""
        transfer_to_operator(dialog.pk, vera, online_anna.pk)
        limit(account, max_offline_dialogs=1)
        take(people.start_dialog(account).pk, online_anna, confirmed=True)
        take(dialog.pk, online_anna)
        assert fresh(dialog).state == State.CHATTING
        assert (dialog.assigned_at, dialog.pickup_by, dialog.pickup_from) == (None, None, None)
        assert event(dialog, EventKind.PICKED_UP).details == PickedUp()

    def test_it_forgets_who_let_it_wait(self, dialog, anna, boris):
        take(dialog.pk, anna)
        return_to_queue(dialog.pk, anna)
        assert set(fresh(dialog).passed_over) == {str(anna.pk)}
        take(dialog.pk, boris)
        assert fresh(dialog).passed_over == {}

    def test_the_first_who_picked_it_up_stays_the_first(self, dialog, anna, boris):
        take(dialog.pk, anna)
        at = fresh(dialog).picked_up_at
        return_to_queue(dialog.pk, anna)
        take(dialog.pk, boris)
        assert fresh(dialog).picked_up_at == at


class TestLimits:
    """Q5: by hand somebody may go over, after a warning that names the limit."""

    @pytest.fixture
    def full(self, account, anna):
        """Anna has one offline dialog, which is all she may have."""
        limit(account, max_offline_dialogs=1)
        take(people.start_dialog(account).pk, anna)
        return anna

    @pytest.mark.parametrize("act", [take, lambda pk, who, **more: answer(pk, who, "Good morning", key="a1", **more)])
    def test_over_it_somebody_is_asked_first_and_what_was_said_is_recorded(self, full, dialog, act):
        with refused(NeedsConfirmation, "You have 1 offline dialog; the limit is 1"):
            act(dialog.pk, full)
        act(dialog.pk, full, confirmed=True)
        assert fresh(dialog).operator == full
        assert event(dialog, EventKind.PICKED_UP).details == PickedUp(warned=(ConfirmedWarning.AT_LIMIT,))

    def test_a_confirmation_without_need_is_recorded_as_nothing(self, dialog, anna):
        take(dialog.pk, anna, confirmed=True)
        assert event(dialog, EventKind.PICKED_UP).details == PickedUp()

    def test_a_dialog_of_the_other_kind_is_not_asked_about(self, full, dialog):
        Dialog.objects.filter(pk=dialog.pk).update(is_offline=False)
        take(dialog.pk, full)
        assert fresh(dialog).operator == full

    def test_the_current_state_says_which_kind_those_are_that_somebody_has(self, full, dialog):
        Dialog.objects.filter(operator=full).update(is_offline=False)
        take(dialog.pk, full)
        assert fresh(dialog).operator == full

    @pytest.mark.parametrize(("own", "is_asked"), [(None, True), (0, False), (1, True), (2, False)])
    def test_the_own_number_counts_instead_and_zero_is_no_limit(self, full, dialog, own, is_asked):
        Operator.objects.filter(pk=full.pk).update(max_offline_dialogs=own)
        fresh(full)
        if is_asked:
            with refused(NeedsConfirmation, "the limit is 1"):
                take(dialog.pk, full)
        else:
            take(dialog.pk, full)

    def test_closed_ones_and_those_by_mail_count_in_no_limit(self, account, full, dialog):
        by_mail = people.start_dialog(account)
        Dialog.objects.filter(pk=by_mail.pk).update(email_only=True, in_workspace=False, operator=full)
        close_by_operator(Dialog.objects.get(operator=full, in_workspace=True).pk, full)
        take(dialog.pk, full)
        assert fresh(dialog).operator == full


class TestTakingOver:
    def test_a_supervisor_takes_over_from_whom_they_named(self, dialog, anna, vera):
        take(dialog.pk, anna)
        take(dialog.pk, vera, instead_of=anna.pk)
        assert fresh(dialog).operator == vera
        last = dialog.events.filter(kind=EventKind.PICKED_UP).last()
        assert (last.actor, last.data) == (vera, {"operator": anna.pk, "who": "Anna"})

    def test_an_assigned_one_too(self, dialog, online_anna, vera):
        transfer_to_operator(dialog.pk, vera, online_anna.pk)
        take(dialog.pk, vera, instead_of=online_anna.pk)
        fresh(dialog)
        assert (dialog.operator, dialog.state, dialog.pickup_by) == (vera, State.CHATTING, None)

    def test_not_by_chance_nor_from_whoever_has_got_it_meanwhile(self, dialog, anna, boris, vera):
        take(dialog.pk, anna)
        for instead_of in (None, boris.pk, 10**9):
            with refused(AlreadyTaken, "Anna has this dialog"):
                take(dialog.pk, vera, instead_of=instead_of)

    def test_an_operator_cannot(self, dialog, anna, boris):
        take(dialog.pk, anna)
        with refused(AlreadyTaken, "Anna has this dialog"):
            take(dialog.pk, boris, instead_of=anna.pk)

    def test_at_the_limit_it_is_asked_about_too(self, account, dialog, anna, vera):
        limit(account, max_offline_dialogs=1)
        take(people.start_dialog(account).pk, vera)
        take(dialog.pk, anna)
        with refused(NeedsConfirmation, "You have 1 offline dialog; the limit is 1"):
            take(dialog.pk, vera, instead_of=anna.pk)
        take(dialog.pk, vera, instead_of=anna.pk, confirmed=True)
        expected = PickedUp(warned=(ConfirmedWarning.AT_LIMIT,), from_operator_id=anna.pk, from_operator_name="Anna")
        assert dialog.events.filter(kind=EventKind.PICKED_UP).last().details == expected


class TestAnswering:
    def test_an_assigned_dialog_is_picked_up_by_it(self, dialog, vera, online_anna):
        transfer_to_operator(dialog.pk, vera, online_anna.pk)
        answer(dialog.pk, online_anna, "Good morning", key="a1")
        fresh(dialog)
        assert (dialog.state, dialog.pickup_by, dialog.last_is_visitors) == (State.CHATTING, None, False)
        kinds = list(dialog.events.values_list("kind", flat=True))
        assert kinds[-2:] == [EventKind.PICKED_UP, EventKind.OPERATOR_WROTE]

    def test_what_another_has_or_is_assigned_takes_no_answer(self, dialog, vera, online_anna, boris):
        transfer_to_operator(dialog.pk, vera, online_anna.pk)
        for person in (boris, vera):
            with refused(AlreadyTaken, "Anna has this dialog"):
                answer(dialog.pk, person, "Good morning", key="a1", confirmed=True)
        take(dialog.pk, online_anna)
        with refused(AlreadyTaken, "Anna has this dialog"):
            answer(dialog.pk, boris, "Good morning", key="a1")

    def test_a_repeated_key_says_nothing_twice_even_after_the_end(self, dialog, anna):
        answer(dialog.pk, anna, "Good morning", key="a1")
        close_by_operator(dialog.pk, anna)
        before = stored()[:3]
        answer(dialog.pk, anna, "Good morning", key="a1")
        assert stored()[:3] == before


class TestTransferToAnOperator:
    def test_it_waits_for_the_other_and_stays_what_it_was(self, account, dialog, anna, online_boris):
        take(dialog.pk, anna)
        answer(dialog.pk, anna, "I shall ask Boris", key="a1")
        kept = ("number", "start_state", "created_at", "evidence", "department_id", "language_id", "picked_up_at", "is_offline")
        before, messages = {name: getattr(fresh(dialog), name) for name in kept}, list(dialog.messages.values())
        transfer_to_operator(dialog.pk, anna, online_boris.pk)
        assert {name: getattr(fresh(dialog), name) for name in kept} == before
        assert list(dialog.messages.values()) == messages
        assert (dialog.operator, dialog.state) == (online_boris, State.QUEUE)
        said = event(dialog, EventKind.TRANSFERRED)
        assert (said.actor, said.at) == (anna, dialog.assigned_at)
        assert said.details == Transferred(
            to=TransferTarget.OPERATOR,
            operator_id=online_boris.pk,
            operator_name="Boris",
            from_name="Anna",
            from_department="Support",
        )

    @pytest.mark.parametrize(("own", "seconds"), [(None, 60), (5, 5), (0, 0)])
    def test_it_has_the_pick_up_time_of_its_department_or_the_accounts(self, account, dialog, vera, online_anna, own, seconds):
        Department.objects.filter(account=account, slug="support").update(pickup_timeout=own)
        transfer_to_operator(dialog.pk, vera, online_anna.pk)
        assert fresh(dialog).pickup_by == dialog.assigned_at + timedelta(seconds=seconds)
        assert dialog.pickup_from == dialog.assigned_at

    def test_a_dialog_without_a_department_has_the_accounts(self, account, vera, online_anna):
        Department.objects.filter(account=account).update(pickup_timeout=5)
        dialog = people.start_dialog(account, department="")
        transfer_to_operator(dialog.pk, vera, online_anna.pk)
        assert fresh(dialog).pickup_by == dialog.assigned_at + timedelta(seconds=60)

    def test_everything_to_be_known_is_asked_at_once_and_recorded(self, account, dialog, vera):
        limit(account, max_offline_dialogs=1)
        clara = people.make_operator(account, "clara", languages=("ru",))
        take(people.start_dialog(account, language="ru").pk, clara)
        words = (
            "Clara has 1 offline dialog; the limit is 1. Clara is not online: unless they take it in time, it returns to the queue."
            " Clara does not speak the language of this dialog."
        )
        with refused(NeedsConfirmation, f"^{words}$"):
            transfer_to_operator(dialog.pk, vera, clara.pk)
        transfer_to_operator(dialog.pk, vera, clara.pk, confirmed=True)
        assert fresh(dialog).operator == clara
        assert event(dialog, EventKind.TRANSFERRED).details.warned == ("at_limit", "not_online", "not_spoken")

    @pytest.mark.parametrize(
        ("languages", "status", "seen_ago", "warned"),
        [
            (("en", "ru"), "online", 50, []),
            (("ru",), "online", 0, ["not_spoken"]),
            (("en",), "lunch", 0, ["not_online"]),
            (("en",), "online", 70, ["not_online"]),
        ],
    )
    def test_each_alone(self, account, dialog, vera, languages, status, seen_ago, warned):
        clara = people.make_operator(account, "clara", departments=("sales",), languages=languages)
        seen_at = database_now() - timedelta(seconds=seen_ago)
        Operator.objects.filter(pk=clara.pk).update(status=status, last_seen_at=seen_at)
        if warned:
            with refused(NeedsConfirmation):
                transfer_to_operator(dialog.pk, vera, clara.pk)
        transfer_to_operator(dialog.pk, vera, clara.pk, confirmed=bool(warned))
        assert event(dialog, EventKind.TRANSFERRED).details.warned == tuple(warned)

    def test_the_target_is_asked_about_not_who_hands_it_on(self, account, dialog, anna, online_boris):
        take(dialog.pk, anna)
        limit(account, max_offline_dialogs=1)
        transfer_to_operator(dialog.pk, anna, online_boris.pk)
        assert fresh(dialog).operator == online_boris

    def test_nobody_but_somebody_who_works_in_this_account(self, account, other_account, dialog, vera, boris):
        Operator.objects.filter(pk=boris.pk).update(is_active=False)
        theirs, helper = people.make_operator(other_account, online=True), people.make_operator(None, "help")
        for target in (boris.pk, theirs.pk, helper.pk, 10**9):
            with refused(Refused, "Choose somebody who works in this account"):
                transfer_to_operator(dialog.pk, vera, target, confirmed=True)

    def test_not_to_whoever_has_it(self, dialog, anna, vera):
        take(dialog.pk, anna)
        for actor in (anna, vera):
            with refused(Refused, "Anna has this dialog already"):
                transfer_to_operator(dialog.pk, actor, anna.pk, confirmed=True)

    def test_not_taken_in_time_it_returns_to_the_queue(self, account, dialog, anna, online_boris):
        take(dialog.pk, anna)
        transfer_to_operator(dialog.pk, anna, online_boris.pk)
        by = fresh(dialog).pickup_by
        assert unpicked.return_unpicked(by - timedelta(microseconds=1)) == 0
        assert unpicked.return_unpicked(by) == 1
        fresh(dialog)
        assert (dialog.operator, dialog.state, set(dialog.passed_over)) == (None, State.QUEUE, {str(online_boris.pk)})
        back = event(dialog, EventKind.UNASSIGNED)
        reason = UnassignedReason.NOT_PICKED_UP
        returned = Unassigned(operator_id=online_boris.pk, operator_name="Boris", reason=reason, queue=Queue.OFFLINE)
        assert (back.at, back.details) == (by, returned)

    def test_whoever_was_away_when_it_came_cannot_lose_it_by_that(self, dialog, anna, boris):
        take(dialog.pk, anna)
        transfer_to_operator(dialog.pk, anna, boris.pk, confirmed=True)
        assert unpicked.return_unpicked(database_now()) == 0
        assert fresh(dialog).operator == boris


class TestTransferToADepartment:
    def test_it_waits_in_the_other_queue_and_stays_what_it_was(self, account, dialog, anna):
        take(dialog.pk, anna)
        created_at, number = fresh(dialog).created_at, dialog.number
        transfer_to_department(dialog.pk, anna, department(account, "sales").pk)
        fresh(dialog)
        assert (dialog.department.slug, dialog.operator, dialog.state) == ("sales", None, State.QUEUE)
        assert (dialog.created_at, dialog.number) == (created_at, number)
        said = event(dialog, EventKind.TRANSFERRED)
        assert said.details == Transferred(
            to=TransferTarget.DEPARTMENT,
            department="Sales",
            queue=Queue.OFFLINE,
            from_name="Anna",
            from_department="Support",
        )
        assert set(dialog.passed_over) == {str(anna.pk)}

    def test_a_held_one_may_go_back_to_its_own(self, account, dialog, anna):
        take(dialog.pk, anna)
        transfer_to_department(dialog.pk, anna, dialog.department_id)
        assert fresh(dialog).operator is None

    def test_not_to_one_that_is_archived_foreign_or_none(self, account, other_account, dialog, anna):
        take(dialog.pk, anna)
        Department.objects.filter(account=account, slug="sales").update(archived_at=database_now())
        for pk in (department(account, "sales").pk, department(other_account, "sales").pk, 10**9):
            with refused(Refused, "Choose a department of this account that is not archived"):
                transfer_to_department(dialog.pk, anna, pk)

    def test_not_to_where_it_waits_already(self, dialog, vera):
        with refused(Refused, "The dialog waits in Support already"):
            transfer_to_department(dialog.pk, vera, dialog.department_id)


class TestReturningToTheQueue:
    def test_it_waits_again_with_its_creation_time(self, dialog, anna):
        take(dialog.pk, anna)
        created_at = fresh(dialog).created_at
        return_to_queue(dialog.pk, anna)
        fresh(dialog)
        assert (dialog.operator, dialog.state, dialog.created_at) == (None, State.QUEUE, created_at)
        said = event(dialog, EventKind.TRANSFERRED)
        before = {"from_name": "Anna", "from_department": "Support"}
        assert said.details == Transferred(to=TransferTarget.QUEUE, queue=Queue.OFFLINE, **before)

    def test_not_what_waits_there_already(self, dialog, vera):
        with refused(Refused, "The dialog waits in the queue already"):
            return_to_queue(dialog.pk, vera)

    def test_whoever_gave_it_back_is_not_given_it_again_before_their_next_action(self, account, dialog, online_anna):
        """Or automatic assignment would bring it straight back."""
        limit(account, assignment=Assignment.AUTOMATIC)
        tasks.assign_dialogs()
        assert fresh(dialog).operator == online_anna
        return_to_queue(dialog.pk, online_anna)
        tasks.assign_dialogs()
        assert fresh(dialog).operator is None
        run_together(note_of_act(online_anna))
        tasks.assign_dialogs()
        assert fresh(dialog).operator == online_anna

    def test_another_gets_it_at_once(self, account, dialog, online_anna):
        limit(account, assignment=Assignment.AUTOMATIC)
        tasks.assign_dialogs()
        boris = people.make_operator(account, "boris", online=True)
        take(people.start_dialog(account).pk, boris)
        return_to_queue(dialog.pk, online_anna)
        run_together(note_of_act(online_anna))
        tasks.assign_dialogs()
        assert fresh(dialog).operator == boris


MOVES = {
    "to_operator": lambda pk, actor, target: transfer_to_operator(pk, actor, target.pk, confirmed=True),
    "to_department": lambda pk, actor, target: transfer_to_department(pk, actor, department(actor.account, "sales").pk),
    "to_queue": lambda pk, actor, target: return_to_queue(pk, actor),
}


@pytest.mark.parametrize("move", MOVES.values(), ids=MOVES)
class TestWhoMayHandOn:
    def test_not_an_operator_what_nobody_has(self, dialog, anna, boris, move):
        with refused(NotYours, "Take the dialog first"):
            move(dialog.pk, anna, boris)

    def test_not_an_operator_what_another_has(self, account, dialog, anna, boris, move):
        take(dialog.pk, boris)
        clara = people.make_operator(account, "clara")
        with refused(AlreadyTaken, "Boris has this dialog"):
            move(dialog.pk, anna, clara)

    def test_whoever_it_is_assigned_to(self, dialog, vera, online_anna, boris, move):
        transfer_to_operator(dialog.pk, vera, online_anna.pk)
        move(dialog.pk, online_anna, boris)
        assert fresh(dialog).operator in {None, boris}

    def test_a_supervisor_what_another_has(self, dialog, anna, boris, vera, move):
        take(dialog.pk, anna)
        move(dialog.pk, vera, boris)
        assert fresh(dialog).operator in {None, boris}
        assert event(dialog, EventKind.TRANSFERRED).actor == vera


ACTIONS = MOVES | {
    "take": lambda pk, actor, target: take(pk, actor, instead_of=actor.pk, confirmed=True),
    "answer": lambda pk, actor, target: answer(pk, actor, "Good morning", key="late", confirmed=True),
    "close": lambda pk, actor, target: close_by_operator(pk, actor),
}


@pytest.mark.parametrize("act", ACTIONS.values(), ids=ACTIONS)
class TestClosed:
    """Q9: limits, transfers and assignment are about open dialogs only; not even who had it, nor a supervisor."""

    def test_by_the_operator(self, dialog, anna, boris, vera, act):
        take(dialog.pk, anna)
        close_by_operator(dialog.pk, anna)
        for actor in (anna, vera):
            with refused(DialogClosed, "This dialog is closed"):
                act(dialog.pk, actor, boris)

    def test_by_the_visitor_or_for_good(self, dialog, anna, boris, vera, act):
        close_by_visitor(dialog.visitor_id, dialog.number)
        for state in (State.CLOSED_BY_VISITOR, State.CLOSED):
            Dialog.objects.filter(pk=dialog.pk).update(state=state)
            with refused(DialogClosed):
                act(dialog.pk, vera, boris)

    def test_by_time_though_nobody_has_noticed(self, dialog, anna, boris, act):
        answer(dialog.pk, anna, "Good morning", key="a1")
        Dialog.objects.filter(pk=dialog.pk).update(closes_at=database_now())
        with refused(DialogClosed):
            act(dialog.pk, anna, boris)


@pytest.mark.parametrize("act", [*MOVES.values(), ACTIONS["take"]], ids=[*MOVES, "take"])
def test_what_goes_by_mail_only_is_nobodys_to_take_or_to_hand_on(account, anna, vera, act):
    Account.objects.filter(pk=account.pk).update(left_messages_email="left@north.example", left_messages_in_workspace=False)
    dialog = people.start_dialog(account)
    assert dialog.email_only
    for actor in (anna, vera):
        with refused(NotYours, "Take the dialog first"):
            act(dialog.pk, actor, Operator.objects.filter(account=account).first())


def test_closing_what_nobody_has_picked_up_forgets_whom_it_waited_for(dialog, vera, online_anna):
    transfer_to_operator(dialog.pk, vera, online_anna.pk)
    close_by_visitor(dialog.visitor_id, dialog.number)
    fresh(dialog)
    assert (dialog.operator, dialog.state, dialog.pickup_by) == (None, State.CLOSED_BY_VISITOR, None)


@pytest.mark.parametrize(
    "act",
    [
        lambda dialog, stranger: take(dialog.pk, stranger),
        lambda dialog, stranger: answer(dialog.pk, stranger, "Hello", key="k"),
        lambda dialog, stranger: transfer_to_operator(dialog.pk, stranger, stranger.pk, confirmed=True),
        lambda dialog, stranger: transfer_to_department(dialog.pk, stranger, stranger.account.departments.first().pk),
        lambda dialog, stranger: return_to_queue(dialog.pk, stranger),
        lambda dialog, stranger: close_by_operator(dialog.pk, stranger),
    ],
    ids=["take", "answer", "to an operator", "to a department", "to the queue", "close"],
)
def test_for_another_accounts_people_it_does_not_exist(other_account, dialog, act):
    """X1, whatever the page that asks has checked."""
    stranger = people.make_operator(other_account, online=True, role="supervisor")
    with refused(Dialog.DoesNotExist):
        act(dialog, stranger)
