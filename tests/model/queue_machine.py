"""Random histories of queues: many visitors, operators who are mostly there, limits and times that are really met."""

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from tests.model.facts import TO_DEPARTMENT, TO_OPERATOR, TO_QUEUE
from tests.model.holding_rules import holding
from tests.model.machine import OPEN, Lived, has_database
from tests.model.start_rules import is_email_only
from tests.model.story import LIMITS, OPERATORS

PEOPLE = sorted(OPERATORS)
NUMBERS = {
    "pickup_timeout": [5, 20, 60],
    "reopen_window": [0, 20, 90],
    "close_after": [0, 30, 90, 259_200],
    "max_online_dialogs": [0, 1, 2],
    "max_offline_dialogs": [0, 1, 2],
    "visible_online_dialogs": [0, 1, 2, 100],
    "visible_offline_dialogs": [0, 1, 2, 50],
    "operator_lease": [20, 60],
    "offline_after": [0, 10, 60],
}
ASSIGNMENTS = ["automatic", "automatic", "automatic", "manual"]
CHANGES = ["setting", "setting", "setting", "assignment", "switch", "bring_in", "limit", "limit", "department", "archive", "become"]

SOON = timedelta(milliseconds=2)
# Who acts while the clock worker is away acts by the rows, apart from assignments, which they end themselves (Q8). The rows
# agree with the rules until a visitor is to be shown as gone, a dialog closes by time, or somebody was to have picked one up: who
# acts in the first five seconds cannot know that this will have been an outage, in which nobody is late (P9).
can_act = precondition(
    lambda self: self.story.has_database and self.dialogs(*OPEN) and not self.story.is_overdue(self.story.now + SOON)
)


class Queues(Lived):
    """One account, five visitors, four people: who has which dialog, who is given one, when it closes and opens again."""

    farthest = timedelta(seconds=100)

    @initialize(
        data=st.data(),
        assignment=st.sampled_from(ASSIGNMENTS),
        in_workspace=st.sampled_from([True, True, True, False]),
        there=st.sets(st.sampled_from(PEOPLE), min_size=1),
        waiting=st.integers(0, 4),
    )
    def begin(self, data: st.DataObject, assignment: str, in_workspace: bool, there: set[str], waiting: int) -> None:
        numbers: dict[str, Any] = {name: data.draw(st.sampled_from(values), name) for name, values in NUMBERS.items()}
        self.begin_story(
            left_notice_after=0, visit_lease=15, left_messages_in_workspace=in_workspace, assignment=assignment, **numbers
        )
        for operator in sorted(there):
            self.story.do("open_workspace", operator=operator, process="a")
            self.story.do("choose", operator=operator, status="online")
        for visitor in self.visitors[:waiting]:
            where = {
                "department": data.draw(st.sampled_from(["", "support"])),
                "language": data.draw(st.sampled_from(["en", "ru"])),
            }
            self.story.do("write", visitor=visitor, tab=None, **where)

    # ----- dialogs -----

    @can_act
    @rule(data=st.data(), operator=st.sampled_from(PEOPLE), over=st.booleans(), confirmed=st.booleans())
    def take(self, data: st.DataObject, operator: str, over: bool, confirmed: bool) -> None:
        """Somebody takes a dialog, or a supervisor takes it over."""
        number, held = self.some_dialog(data, operator)
        who = {"operator": "vera", "instead_of": held} if over else {"operator": operator}
        self.story.do("take", number=number, confirmed=confirmed, **who)

    @can_act
    @rule(data=st.data(), operator=st.sampled_from(PEOPLE), confirmed=st.booleans())
    def answer(self, data: st.DataObject, operator: str, confirmed: bool) -> None:
        number, held = self.some_dialog(data, operator)
        self.story.do(
            "answer", operator=data.draw(st.sampled_from([operator, held or operator])), number=number, confirmed=confirmed
        )

    @can_act
    @rule(data=st.data(), operator=st.sampled_from(PEOPLE), by_visitor=st.booleans())
    def close(self, data: st.DataObject, operator: str, by_visitor: bool) -> None:
        number, held = self.some_dialog(data, operator)
        if by_visitor:
            self.story.do("visitor_closes", number=number)
        else:
            self.story.do("operator_closes", operator=held or operator, number=number)

    def some_dialog(self, data: st.DataObject, operator: str) -> tuple[int, str | None]:
        """An open dialog, rather one of the operator's, and who has it."""
        history, now = self.story.history, self.story.now
        number = data.draw(st.sampled_from(self.dialogs(*OPEN) + 2 * self.dialogs(*OPEN, taken_by=operator)))
        return number, holding(history, history.dialogs[number - 1], now).operator

    @can_act
    @rule(data=st.data(), operator=st.sampled_from(PEOPLE), confirmed=st.booleans())
    def transfer(self, data: st.DataObject, operator: str, confirmed: bool) -> None:
        """Q10: mostly by whoever has it, or by the supervisor."""
        number, held = self.some_dialog(data, operator)
        operator = data.draw(st.sampled_from([operator, held or operator, "vera"]))
        where: dict[str, Any] = {}
        what = data.draw(st.sampled_from([TO_OPERATOR, TO_OPERATOR, TO_DEPARTMENT, TO_QUEUE]))
        if what == TO_OPERATOR:
            where = {"to": data.draw(st.sampled_from(PEOPLE))}
        elif what == TO_DEPARTMENT:
            where = {"department": data.draw(st.sampled_from(sorted(self.story.history.departments)))}
        self.story.do("transfer", operator=operator, number=number, what=what, confirmed=confirmed, **where)

    @has_database
    @precondition(lambda self: self.closed())
    @rule(data=st.data(), on_page=st.booleans())
    def write_again(self, data: st.DataObject, on_page: bool) -> None:
        """Q9: the visitor of a closed dialog writes."""
        visitor = self.story.history.dialogs[data.draw(st.sampled_from(self.closed())) - 1].visitor.name
        tabs = [tab for person, tab in self.tabs() if person == visitor and on_page]
        self.story.do("write", visitor=visitor, tab=tabs[0] if tabs else None, department="support", language="en")

    def closed(self) -> list[int]:
        return self.dialogs("closed_by_visitor", "closed_by_operator")

    # ----- what the company does -----

    @has_database
    @rule(data=st.data(), what=st.sampled_from(CHANGES), operator=st.sampled_from(PEOPLE), flag=st.booleans())
    def administration(self, data: st.DataObject, what: str, operator: str, flag: bool) -> None:
        """A setting changes, a limit, a department or an operator."""
        story = self.story
        department = data.draw(st.sampled_from(sorted(story.history.departments)))
        match what:
            case "setting":
                name = data.draw(st.sampled_from(sorted(NUMBERS)))
                story.do("change_settings", changes={name: data.draw(st.sampled_from(NUMBERS[name]))})
            case "assignment":
                story.do("change_settings", changes={"assignment": data.draw(st.sampled_from(ASSIGNMENTS))})
            case "switch":
                story.do("change_settings", changes={"left_messages_in_workspace": flag})
            case "bring_in":
                by_mail = [n for n in self.dialogs(*OPEN) if is_email_only(story.history, story.history.dialogs[n - 1], story.now)]
                for number in by_mail:
                    story.do("bring_in", operator="vera", number=number)
            case "limit":
                value = data.draw(st.sampled_from([None, 0, 1, 2]))
                story.do("limit_operator", operator=operator, name=data.draw(st.sampled_from(LIMITS)), value=value)
            case "department":
                story.do("change_department", department=department, pickup_timeout=data.draw(st.sampled_from([None, 3, 30])))
            case "archive":
                story.do("archive", department=department, archived=not story.history.departments[department].at(story.now))
            case _:
                departments, languages = (["support"], ["en", "ru"]) if flag else (["sales"], ["ru"])
                story.do("become", operator=operator, departments=departments, languages=languages, active=True)
