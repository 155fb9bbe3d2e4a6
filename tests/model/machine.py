"""Random histories: hypothesis chooses the steps, the story tells them to product and oracle and compares."""

from datetime import timedelta
from typing import Any

from django.db import transaction
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.model import operator_steps, oracle, visitor_steps
from tests.model.story import OPERATORS, VISITORS, Story

TABS = ["1", "2"]
DEPARTMENTS = ["", "support", "sales", visitor_steps.UNKNOWN]
LANGUAGES = ["en", "ru", visitor_steps.OTHER]
SECONDS = {
    "visit_lease": [6, 15, 30],
    "operator_lease": [5, 20, 60],
    "left_notice_after": [0, 3, 10, 120],
    "offline_after": [0, 10, 30, 120, 1200],
}
STATUSES = ["online", "online", "online", "invisible", "lunch", "offline"]
CONNECTED = ["open_page", "leave_page", "leave_page", "say_goodbye_and_stay", "lose_network", "lose_network", "answer_ping"]
STEP_KINDS = (visitor_steps, operator_steps)


class Presence(RuleBasedStateMachine):
    """One account, two visitors with two tabs each."""

    @initialize(
        visit_lease=st.sampled_from(SECONDS["visit_lease"]),
        notice=st.sampled_from(SECONDS["left_notice_after"]),
        offline=st.sampled_from(SECONDS["offline_after"]),
        operator_lease=st.sampled_from(SECONDS["operator_lease"]),
    )
    def begin(self, visit_lease: int, notice: int, offline: int, operator_lease: int) -> None:
        if offline and offline < notice:
            offline = notice
        settings = {
            "visit_lease": visit_lease,
            "operator_lease": operator_lease,
            "left_notice_after": notice,
            "offline_after": offline,
        }
        self.transaction = transaction.atomic()
        self.transaction.__enter__()
        self.story = Story(settings)
        self.story.__enter__()

    def teardown(self) -> None:
        if hasattr(self, "story"):
            self.story.__exit__(None, None, None)
            transaction.set_rollback(True)
            self.transaction.__exit__(None, None, None)

    # ----- what there is to choose from -----

    def tabs(self, *, connected: bool | None = None) -> list[tuple[str, str]]:
        return sorted(tab for tab, page in self.story.pages.items() if connected is None or page.connected is connected)

    def dialogs(self, *states: str, taken_by: str | None = None) -> list[int]:
        story = self.story
        return [
            number
            for number, dialog in enumerate(story.history.dialogs, start=1)
            if oracle.state(story.history, dialog, story.now) in states
            and (taken_by is None or not dialog.takings or dialog.takings[-1][1] == taken_by)
        ]

    # ----- visitors -----

    @rule(visitor=st.sampled_from(VISITORS), tab=st.sampled_from(TABS), what=st.sampled_from(CONNECTED))
    def tab(self, visitor: str, tab: str, what: str) -> None:
        """Something happens in a tab; an empty one opens a page, one that is cut off is heard again."""
        page = self.story.pages.get((visitor, tab))
        if page is None:
            self.story.do("open_page", visitor=visitor, tab=tab, process="a")
        elif page.connected:
            self.story.do(what, visitor=visitor, tab=tab, **({"process": "a"} if what == "open_page" else {}))
        else:
            self.story.do("come_back", visitor=visitor, tab=tab, process="a")

    @rule(
        data=st.data(),
        visitor=st.sampled_from(VISITORS),
        department=st.sampled_from(DEPARTMENTS),
        language=st.sampled_from(LANGUAGES),
    )
    def write(self, data: st.DataObject, visitor: str, department: str, language: str) -> None:
        tabs = [tab for person, tab in self.tabs() if person == visitor]
        tab = data.draw(st.sampled_from([*tabs, *tabs, None]))
        self.story.do("write", visitor=visitor, tab=tab, department=department, language=language)

    @precondition(lambda self: self.dialogs(*oracle.OPEN))
    @rule(data=st.data())
    def visitor_closes(self, data: st.DataObject) -> None:
        self.story.do("visitor_closes", number=data.draw(st.sampled_from(self.dialogs(*oracle.OPEN))))

    # ----- time -----

    @rule(milliseconds=st.sampled_from([500, 1000, 2000, 3000, 7000, 20_000, 60_000]))
    def wait(self, milliseconds: int) -> None:
        self.story.do("wait", milliseconds=milliseconds)

    @rule(which=st.integers(0, 2), early=st.booleans())
    def wait_for_a_deadline(self, which: int, early: bool) -> None:
        """Up to one of the next moments at which something is due, or to a millisecond before it."""
        story = self.story
        moments = oracle.deadlines(story.history, story.now + timedelta(milliseconds=2))[: which + 1]
        if moments:
            milliseconds = (moments[-1] - story.now) // timedelta(milliseconds=1) - 1 - early
            story.do("wait", milliseconds=milliseconds)

    # ----- operators -----

    @precondition(lambda self: self.dialogs("queue"))
    @rule(data=st.data(), operator=st.sampled_from(sorted(OPERATORS)))
    def take(self, data: st.DataObject, operator: str) -> None:
        self.story.do("take", operator=operator, number=data.draw(st.sampled_from(self.dialogs("queue"))))

    @rule(
        operator=st.sampled_from(sorted(OPERATORS)),
        what=st.sampled_from(["workspace", "status", "status", "appoint", "sign_out"]),
        status=st.sampled_from(STATUSES),
    )
    def operator(self, operator: str, what: str, status: str) -> None:
        """Something an operator does, or is done to one."""
        active = self.story.history.operators[operator].is_active.at(self.story.now)
        has_workspace = operator in self.story.workspaces
        if what == "appoint" and operator != "vera":
            self.story.do("appoint", operator=operator, status=status)
        elif not active:
            self.become(operator, True, True, True)
        elif what == "workspace" and has_workspace:
            self.story.do("lose_workspace", operator=operator)
        elif not has_workspace:
            self.story.do("open_workspace", operator=operator, process="a")
        elif what == "status":
            self.story.do("choose", operator=operator, status=status)
        else:
            self.story.do("sign_out", operator=operator)

    @rule(
        operator=st.sampled_from(sorted(OPERATORS)),
        support=st.booleans(),
        russian=st.booleans(),
        active=st.sampled_from([True, True, False]),
    )
    def become(self, operator: str, support: bool, russian: bool, active: bool) -> None:
        departments = ["support"] if support else []
        self.story.do("become", operator=operator, departments=departments, languages=["ru" if russian else "en"], active=active)

    @rule(name=st.sampled_from(sorted(SECONDS)), data=st.data())
    def change_settings(self, name: str, data: st.DataObject) -> None:
        now, settings = self.story.now, self.story.history.settings
        changes: dict[str, Any] = {name: data.draw(st.sampled_from(SECONDS[name]))}
        after = {key: timeline.at(now) for key, timeline in settings.items()} | changes
        if not after["offline_after"] or after["offline_after"] >= after["left_notice_after"]:
            self.story.do("change_settings", changes=changes)
