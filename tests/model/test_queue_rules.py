"""The reference model's own rules of queues, on histories told by hand (Q1 to Q11)."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.model.facts import (
    ASSIGNED,
    CLOSED_BY_VISITOR,
    PICKED_UP,
    TO_DEPARTMENT,
    TO_OPERATOR,
    TO_QUEUE,
    Dialog,
    History,
    Move,
    Operator,
    Timeline,
    Visitor,
    Written,
)
from tests.model.holding_rules import holding
from tests.model.life_rules import receiver
from tests.model.queue_rules import (
    DONE,
    IS_CLOSED,
    NOT_THEIRS,
    REFUSED,
    admissible,
    asks,
    is_taken,
    of_closing,
    of_taking,
    of_transfer,
    section,
    state,
)

NINE = datetime(2040, 1, 2, 9, tzinfo=UTC)
SETTINGS = {
    "visit_lease": 30,
    "operator_lease": 60,
    "left_notice_after": 120,
    "offline_after": 1200,
    "left_messages_in_workspace": True,
    "assignment": "automatic",
    "pickup_timeout": 40,
    "reopen_window": 600,
    "close_after": 3600,
    "max_online_dialogs": 0,
    "max_offline_dialogs": 0,
}
LIMITS = ("max_online_dialogs", "max_offline_dialogs")


def after(seconds: float) -> datetime:
    return NINE + timedelta(seconds=seconds)


def person(name: str, *departments: str, online: bool = True, is_supervisor: bool = False) -> Operator:
    """Speaks English; an online one has a workspace that is heard every ten seconds for two hours."""
    return Operator(
        name,
        Timeline(NINE, "online" if online else "offline"),
        Timeline(NINE, True),
        Timeline(NINE, frozenset(departments)),
        Timeline(NINE, frozenset({"en"})),
        is_supervisor=is_supervisor,
        signs=[after(seconds) for seconds in range(0, 7200, 10)],
        limits={name: Timeline(NINE, None) for name in LIMITS},
    )


@pytest.fixture
def history():
    """Anna and Clara of support, Boris of sales, Vera the supervisor: all online."""
    people = [person("anna", "support"), person("boris", "sales"), person("clara", "support"), person("vera", is_supervisor=True)]
    history = History(
        settings={name: Timeline(NINE, value) for name, value in SETTINGS.items()},
        languages=["en", "ru"],
        departments={slug: Timeline(NINE, False) for slug in ("support", "sales")},
        ahead=Timeline(NINE, timedelta()),
        operators={one.name: one for one in people},
        pickup_timeouts={slug: Timeline(NINE, None) for slug in ("support", "sales")},
    )
    history.heard.ran(after(7200), after(7200))
    history.sweep.ran(after(7200), after(7200))
    return history


def begin(history, at: float, department: str | None = "support") -> Dialog:
    """A fresh visitor writes, and is on the site no more than that: the dialog's current state is offline (P10)."""
    visitor = Visitor(f"visitor-{len(history.visitors)}")
    history.visitors[visitor.name] = visitor
    dialog = Dialog(visitor, after(at), department, "en", written=[Written(after(at), "visitor")])
    history.dialogs.append(dialog)
    return dialog


def happens(dialog: Dialog, at: float, what: str, operator: str | None = None, department: str | None = None) -> None:
    dialog.moves.append(Move(after(at), what, operator, department))


def who(history, dialog: Dialog, at: float) -> tuple[str | None, bool]:
    held = holding(history, dialog, after(at))
    return held.operator, held.is_picked_up


def may_give(history, at: float) -> set[tuple[int, str]]:
    return admissible(history, after(at))


class TestAssignment:
    def test_those_with_the_fewest_open_dialogs_are_tied(self, history):
        begin(history, 1)
        assert may_give(history, 1) == {(1, "anna"), (1, "clara")}
        happens(history.dialogs[0], 1, ASSIGNED, "anna")
        begin(history, 2)
        assert may_give(history, 2) == {(2, "clara")}

    def test_a_queue_whose_first_dialog_finds_nobody_is_passed_over(self, history):
        history.operators["boris"].status.set(after(0.5), "lunch")
        begin(history, 1, "sales")
        begin(history, 2, "sales")
        begin(history, 3)
        assert may_give(history, 3) == {(3, "anna"), (3, "clara")}

    def test_nobody_is_given_a_dialog_at_the_limit_of_its_kind(self, history):
        history.settings["max_offline_dialogs"].set(after(0), 1)
        history.operators["clara"].limits["max_offline_dialogs"].set(after(0), 2)
        for number in (1, 2):
            happens(begin(history, number), number, ASSIGNED, ["anna", "clara"][number - 1])
        begin(history, 3)
        assert may_give(history, 3) == {(3, "clara")}
        happens(history.dialogs[2], 3, ASSIGNED, "clara")
        begin(history, 4)
        assert may_give(history, 4) == set()

    def test_somebody_who_was_not_heard_of_for_25_seconds_is_online_and_given_nothing(self, history):
        history.operators["anna"].signs = [after(0)]
        begin(history, 1)
        assert may_give(history, 25) == {(1, "anna"), (1, "clara")}
        assert may_give(history, 25.001) == {(1, "clara")}

    def test_nothing_of_an_archived_department_is_given(self, history):
        happens(begin(history, 1), 1, ASSIGNED, "anna")
        history.departments["support"].set(after(5), True)
        assert who(history, history.dialogs[0], 5) == (None, False)
        assert may_give(history, 5) == set()

    def test_manual_assignment_gives_nothing(self, history):
        history.settings["assignment"].set(after(0), "manual")
        begin(history, 1)
        assert may_give(history, 1) == set()


class TestPickup:
    def test_what_nobody_picks_up_goes_back_and_not_to_the_same_one(self, history):
        dialog = begin(history, 1)
        happens(dialog, 1, ASSIGNED, "anna")
        assert who(history, dialog, 40.999) == ("anna", False)
        assert section(history, dialog, history.operators["anna"], after(40)) == "waiting"
        assert who(history, dialog, 41) == (None, False)
        assert may_give(history, 41) == {(1, "clara")}

    def test_the_same_one_gets_it_after_an_own_action_if_nobody_else_qualifies(self, history):
        dialog = begin(history, 1)
        happens(dialog, 1, ASSIGNED, "anna")
        history.operators["clara"].status.set(after(5), "lunch")
        assert may_give(history, 50) == set()
        history.operators["anna"].acts.append(after(60))
        assert may_give(history, 60) == {(1, "anna")}

    def test_a_department_has_a_time_of_its_own(self, history):
        history.pickup_timeouts["support"].set(after(0), 5)
        dialog = begin(history, 1)
        happens(dialog, 1, ASSIGNED, "anna")
        assert who(history, dialog, 6) == (None, False)

    def test_a_shorter_time_acts_from_when_it_was_stored(self, history):
        dialog = begin(history, 1)
        happens(dialog, 1, ASSIGNED, "anna")
        history.settings["pickup_timeout"].set(after(20), 5)
        assert who(history, dialog, 19) == ("anna", False)
        assert who(history, dialog, 20) == (None, False)

    def test_it_goes_back_when_its_operator_stops_being_online(self, history):
        dialog = begin(history, 1)
        happens(dialog, 1, ASSIGNED, "anna")
        history.operators["anna"].status.set(after(7), "invisible")
        history.operators["anna"].status.set(after(8), "online")
        assert who(history, dialog, 6) == ("anna", False)
        assert who(history, dialog, 9) == (None, False)

    def test_a_silent_workspace_ends_it_after_its_lease(self, history):
        history.settings["pickup_timeout"].set(after(0), 600)
        history.operators["anna"].signs = [after(0)]
        dialog = begin(history, 1)
        happens(dialog, 1, ASSIGNED, "anna")
        assert who(history, dialog, 60) == ("anna", False)
        assert who(history, dialog, 60.001) == (None, False)

    def test_who_was_away_when_it_was_given_to_them_has_the_whole_time(self, history):
        history.operators["anna"].status.set(after(0), "lunch")
        dialog = begin(history, 1)
        happens(dialog, 2, TO_OPERATOR, "anna")
        assert who(history, dialog, 41) == ("anna", False)
        assert who(history, dialog, 42) == (None, False)

    def test_what_is_picked_up_stays_whatever_its_operator_does(self, history):
        dialog = begin(history, 1)
        happens(dialog, 1, ASSIGNED, "anna")
        happens(dialog, 2, PICKED_UP, "anna")
        history.operators["anna"].status.set(after(3), "offline")
        history.operators["anna"].departments.set(after(3), frozenset())
        history.departments["support"].set(after(4), True)
        assert who(history, dialog, 600) == ("anna", True)
        assert section(history, dialog, history.operators["anna"], after(600)) == "mine"
        assert section(history, dialog, history.operators["vera"], after(600)) == "others"
        assert section(history, dialog, history.operators["clara"], after(600)) is None

    def test_an_outage_gives_the_full_time_more(self, history):
        dialog = begin(history, 1)
        happens(dialog, 1, ASSIGNED, "anna")
        history.sweep.last = history.sweep.last_shown = None
        history.sweep.ran(after(10), after(10))
        assert who(history, dialog, 50) == who(history, dialog, 99) == ("anna", False)
        for seconds in range(100, 142):
            history.sweep.ran(after(seconds), after(seconds))
        assert who(history, dialog, 139) == ("anna", False)
        assert who(history, dialog, 140) == (None, False)


class TestTransfers:
    def test_a_department_has_it_then_and_who_handed_it_on_is_not_given_it(self, history):
        history.operators["anna"].departments.set(after(0), frozenset({"support", "sales"}))
        dialog = begin(history, 1)
        happens(dialog, 2, PICKED_UP, "anna")
        happens(dialog, 3, TO_DEPARTMENT, department="sales")
        assert section(history, dialog, history.operators["boris"], after(3)) == "offline"
        assert section(history, dialog, history.operators["clara"], after(3)) is None
        assert may_give(history, 3) == {(1, "boris")}

    def test_who_may_transfer_and_what_is_asked(self, history):
        dialog = begin(history, 1)
        people = history.operators

        def outcome(actor: str, move: Move, *, confirmed: bool = False) -> str:
            return of_transfer(history, dialog, people[actor], move, confirmed=confirmed)

        to_clara, back = Move(after(5), TO_OPERATOR, "clara"), Move(after(5), TO_QUEUE)
        assert outcome("anna", to_clara) == NOT_THEIRS
        assert outcome("vera", back) == REFUSED
        happens(dialog, 2, PICKED_UP, "boris")
        assert outcome("anna", to_clara) == is_taken("boris")
        assert outcome("boris", to_clara) == outcome("vera", to_clara) == outcome("vera", back) == DONE
        assert outcome("boris", Move(after(5), TO_OPERATOR, "boris")) == REFUSED
        people["clara"].status.set(after(3), "lunch")
        assert outcome("boris", to_clara) == asks(["not_online"])
        assert outcome("boris", to_clara, confirmed=True) == DONE
        history.departments["sales"].set(after(4), True)
        assert outcome("boris", Move(after(5), TO_DEPARTMENT, department="sales")) == REFUSED

    def test_only_a_supervisor_takes_over_and_only_from_whom_they_think(self, history):
        history.settings["max_offline_dialogs"].set(after(0), 1)
        first, second = begin(history, 1), begin(history, 2)
        happens(first, 3, PICKED_UP, "anna")

        def outcome(dialog: Dialog, operator: str, instead_of: str | None = None, *, confirmed: bool = False) -> str:
            person = history.operators[operator]
            return of_taking(history, dialog, person, after(4), instead_of=instead_of, confirmed=confirmed)

        assert outcome(first, "clara", "anna") == outcome(first, "vera", "clara") == outcome(first, "vera") == is_taken("anna")
        assert outcome(first, "vera", "anna") == outcome(first, "anna") == outcome(second, "clara") == DONE
        assert outcome(second, "anna") == asks(["at_limit you have 1 offline of 1"])
        assert outcome(second, "anna", confirmed=True) == DONE


class TestClosing:
    def test_silence_after_the_operators_word_closes(self, history):
        dialog = begin(history, 1)
        happens(dialog, 2, PICKED_UP, "anna")
        dialog.written.append(Written(after(2), "anna"))
        assert state(history, dialog, after(3601.999)) == "chatting"
        assert state(history, dialog, after(3602)) == "closed_by_operator"
        assert state(history, dialog, after(4201.999)) == "closed_by_operator"
        assert state(history, dialog, after(4202)) == "closed"

    def test_a_dialog_that_waits_for_an_answer_stays(self, history):
        assert state(history, begin(history, 1), after(7000)) == "queue"

    def test_a_message_reopens_for_whoever_had_it_while_they_are_online(self, history):
        dialog = begin(history, 1)
        happens(dialog, 2, PICKED_UP, "anna")
        happens(dialog, 3, CLOSED_BY_VISITOR)
        assert receiver(history, dialog.visitor, "support", "en", after(602.999)) is dialog
        assert receiver(history, dialog.visitor, "support", "en", after(603)) is None
        assert of_closing(history, dialog, history.operators["anna"], after(4)) == IS_CLOSED
        dialog.written.append(Written(after(300), "visitor"))
        assert state(history, dialog, after(299)) == "closed_by_visitor"
        assert state(history, dialog, after(300)) == "chatting"
        history.operators["anna"].status.set(after(250), "lunch")
        assert state(history, dialog, after(300)) == "queue"

    def test_whom_it_only_waited_for_has_not_had_it(self, history):
        dialog = begin(history, 1)
        happens(dialog, 2, ASSIGNED, "anna")
        happens(dialog, 3, CLOSED_BY_VISITOR)
        dialog.written.append(Written(after(10), "visitor"))
        assert who(history, dialog, 10) == (None, False)
