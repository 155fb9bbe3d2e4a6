"""Random histories: hypothesis chooses the steps, the story tells them to product and oracle and compares."""

from datetime import timedelta
from typing import Any

from django.db import transaction
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.model import oracle, queue_rules, visitor_steps
from tests.model.holding_rules import holding
from tests.model.start_rules import is_email_only, last_sign
from tests.model.story import NOTICED_WITHIN, OPERATORS, VISITORS, Page, Story

TABS = ["1", "2"]
DEPARTMENTS = ["", "support", "sales", visitor_steps.UNKNOWN]
LANGUAGES = ["en", "ru", visitor_steps.OTHER]
SECONDS = {
    "visit_lease": [6, 15, 30],
    "operator_lease": [5, 20, 60],
    "left_notice_after": [0, 3, 10, 120],
    "offline_after": [0, 10, 30, 120, 1200],
}
SWITCH = "left_messages_in_workspace"
STATUSES = ["online", "online", "online", "invisible", "lunch", "offline"]
CONNECTED = ["open_page", "leave_page", "leave_page", "say_goodbye_and_stay", "lose_network", "lose_network", "answer_ping"]
GOODBYES = {"leave_page", "say_goodbye_and_stay"}
DEVICES = ["phone", "tablet"]
TOKENS = ["token-1", "token-1", "token-2", "none", None]
OUTAGES = ["suspend", "stop_clock_worker", "lose_database", "kill_process", "kill_process", "start_process", "set_clock"]
MOST_PROCESSES = 2
OVER = timedelta(seconds=70)  # after a process was killed: what it held has ended, or is heard of elsewhere
OPEN = ("queue", "chatting")  # Q9

has_database = precondition(lambda self: self.story.has_database)


class Lived(RuleBasedStateMachine):
    """What all random histories are made of: visitors with two tabs each, operators, time."""

    visitors = VISITORS
    farthest = timedelta(seconds=1300)  # of the deadlines that are waited for

    def begin_story(self, **settings: Any) -> None:
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
            if queue_rules.state(story.history, dialog, story.now) in states
            and taken_by in {None, holding(story.history, dialog, story.now).operator}
        ]

    def processes(self) -> list[str]:
        """The live processes that run."""
        return sorted(self.story.product.processes)

    # ----- visitors -----

    @rule(data=st.data(), tab=st.sampled_from(TABS), what=st.sampled_from(CONNECTED))
    def tab(self, data: st.DataObject, tab: str, what: str) -> None:
        """Something happens in a tab; an empty one opens a page, one that is cut off is heard again."""
        visitor = data.draw(st.sampled_from(self.visitors))
        page = self.story.pages.get((visitor, tab))
        if not self.processes():
            self.start_process()
        if page is None:
            what = "open_page"
        elif not page.connected:
            what = "come_back"
        if not self.story.has_database and not self.can_happen_unstored(visitor, page, what):
            return
        if what in GOODBYES and self.story.has_just_ended(visitor, page):
            return  # a lease, shortened a moment ago, has ended it, and its process goes by the goodbye: see docs/roadmap.md
        where = {"process": data.draw(st.sampled_from(self.processes()))} if what in {"open_page", "come_back"} else {}
        self.story.do(what, visitor=visitor, tab=tab, **where)

    def start_process(self) -> None:
        self.story.do("start_process", process=f"process-{len(self.story.history.processes)}")

    def can_happen_unstored(self, visitor: str, page: Page | None, what: str) -> bool:
        """While the database is away, a visitor who goes does not come, and who comes does not go.

        Which of the two came first is not known afterwards; who came is on the site.
        """
        since, _ = self.story.history.without_database[-1]
        visits = self.story.history.visitors[visitor].visits
        if what in {"open_page", "come_back"}:
            return not any(word.at >= since for visit in visits.values() for word in visit.goodbyes)
        return what in {"lose_network", "answer_ping"} or (page is not None and visits[page.key].signs[0].at < since)

    @has_database
    @rule(
        data=st.data(),
        department=st.sampled_from(DEPARTMENTS),
        language=st.sampled_from(LANGUAGES),
        from_app=st.booleans(),
    )
    def write(self, data: st.DataObject, department: str, language: str, from_app: bool) -> None:
        visitor = data.draw(st.sampled_from(self.visitors))
        tabs = [tab for person, tab in self.tabs() if person == visitor]
        tab = data.draw(st.sampled_from([*tabs, *tabs, None]))
        self.story.do("write", visitor=visitor, tab=tab, department=department, language=language, from_app=from_app)

    # ----- time -----

    @rule(milliseconds=st.sampled_from([500, 1000, 2000, 3000, 7000, 20_000, 60_000]))
    def wait(self, milliseconds: int) -> None:
        self.story.do("wait", milliseconds=milliseconds)

    @rule(which=st.integers(0, 2), early=st.booleans())
    def wait_for_a_deadline(self, which: int, early: bool) -> None:
        """Up to one of the next moments at which something is due, or to a millisecond before it."""
        story = self.story
        soon = story.now + timedelta(milliseconds=2)
        moments = sorted({*oracle.deadlines(story.history, soon), *queue_rules.deadlines(story.history, soon)})
        moments = [moment for moment in moments if moment - soon <= self.farthest][: which + 1]
        if moments:
            milliseconds = (moments[-1] - story.now) // timedelta(milliseconds=1) - 1 - early
            story.do("wait", milliseconds=milliseconds)

    # ----- operators -----

    @has_database
    @rule(
        data=st.data(),
        operator=st.sampled_from(sorted(OPERATORS)),
        what=st.sampled_from(["workspace", "status", "status", "appoint", "sign_out"]),
        status=st.sampled_from(STATUSES),
    )
    def operator(self, data: st.DataObject, operator: str, what: str, status: str) -> None:
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
            if not self.processes():
                self.start_process()
            self.story.do("open_workspace", operator=operator, process=data.draw(st.sampled_from(self.processes())))
        elif what == "status":
            self.story.do("choose", operator=operator, status=status)
        else:
            self.story.do("sign_out", operator=operator)

    def become(self, operator: str, support: bool, russian: bool, active: bool) -> None:
        departments = ["support"] if support else []
        self.story.do("become", operator=operator, departments=departments, languages=["ru" if russian else "en"], active=active)

    # ----- outages -----

    @rule(
        data=st.data(),
        what=st.sampled_from(OUTAGES),
        milliseconds=st.sampled_from([3000, 7000, 40_000, 300_000]),
        back=st.booleans(),
    )
    def outage(self, data: st.DataObject, what: str, milliseconds: int, back: bool) -> None:
        """One begins, or the one there is ends."""
        story, processes = self.story, self.processes()
        if not story.has_database:
            story.do("find_database")
        elif not story.has_clock_worker:
            if not self.is_about_to_end():  # see start_clock_worker
                story.do("start_clock_worker")
        elif not processes or (what == "start_process" and len(processes) < MOST_PROCESSES):
            self.start_process()
        elif what == "suspend" and not story.has_visit_just_ended:  # its process may not have noticed, and gives one lease more
            story.do(what, milliseconds=milliseconds, first="clock worker" if back else "live processes")
        elif what == "kill_process" and not self.is_about_to_end():
            story.do(what, process=data.draw(st.sampled_from(processes)))
        elif what == "set_clock" and milliseconds > 5000 and not self.is_about_to_end():
            story.do(what, milliseconds=-milliseconds if back else milliseconds)
        elif what in {"stop_clock_worker", "lose_database"}:
            story.do(what)

    def is_about_to_end(self) -> bool:
        """A lease ends within four seconds, or did a moment ago: its end may have been written, or not.

        A goodbye whose two seconds are not over has not been.
        """
        story, now = self.story, self.story.now
        said = {
            word.at + oracle.GOODBYE for who in story.history.visitors.values() for v in who.visits.values() for word in v.goodbyes
        }
        ends = [end for end in oracle.ends_of_visits(story.history) if end not in said or end <= now + timedelta(milliseconds=2)]
        lease = timedelta(seconds=story.history.settings["operator_lease"].at(now))
        heard = [last_sign(story.history, operator, now) for operator in story.history.operators.values()]
        ends += [last + lease for last in heard if last is not None]
        return any(-NOTICED_WITHIN < end - now < timedelta(seconds=4) for end in ends)


class Presence(Lived):
    """One account, two visitors with two tabs and two devices between them, up to two live processes, one outage at a time."""

    visitors = VISITORS[:2]

    @initialize(
        visit_lease=st.sampled_from(SECONDS["visit_lease"]),
        notice=st.sampled_from(SECONDS["left_notice_after"]),
        offline=st.sampled_from(SECONDS["offline_after"]),
        operator_lease=st.sampled_from(SECONDS["operator_lease"]),
        in_workspace=st.sampled_from([True, True, False]),
    )
    def begin(self, visit_lease: int, notice: int, offline: int, operator_lease: int, in_workspace: bool) -> None:
        if offline and offline < notice:
            offline = notice
        self.begin_story(
            visit_lease=visit_lease,
            operator_lease=operator_lease,
            left_notice_after=notice,
            offline_after=offline,
            left_messages_in_workspace=in_workspace,
        )

    @rule(data=st.data(), tab=st.sampled_from(TABS), what=st.sampled_from(CONNECTED))
    def another_tab(self, data: st.DataObject, tab: str, what: str) -> None:
        """Twice as often as other things."""
        self.tab(data, tab, what)

    @has_database
    @rule(
        visitor=st.sampled_from(VISITORS[:2]), device=st.sampled_from(DEVICES), token=st.sampled_from(TOKENS), refused=st.booleans()
    )
    def app(self, visitor: str, device: str, token: str | None, refused: bool) -> None:
        """P7: an app tells of its device, or a push service of a token."""
        if refused and token not in {None, "none"}:
            self.story.do("refuse_token", token=token)
        else:
            self.story.do("report_device", visitor=visitor, device=device, token=token)

    # ----- dialogs -----

    @has_database
    @precondition(lambda self: self.dialogs(*OPEN))
    @rule(
        data=st.data(),
        operator=st.sampled_from(sorted(OPERATORS)),
        what=st.sampled_from(["take", "take", "answer", "operator_closes", "bring_in", "visitor_closes"]),
    )
    def dialog(self, data: st.DataObject, operator: str, what: str) -> None:
        """Somebody does something with a dialog that allows it."""
        history, now = self.story.history, self.story.now
        waiting, own = self.dialogs("queue"), self.dialogs("chatting", taken_by=operator)
        by_mail = [number for number, one in enumerate(history.dialogs, start=1) if is_email_only(history, one, now)]
        numbers = {
            "take": [number for number in waiting if number not in by_mail],
            "answer": [number for number in own + waiting if number not in by_mail],
            "operator_closes": own,
            "bring_in": [number for number in waiting if number in by_mail],
            "visitor_closes": self.dialogs(*OPEN),
        }[what]
        if numbers:
            who = {} if what == "visitor_closes" else {"operator": "vera" if what == "bring_in" else operator}  # M8: the admin's
            self.story.do(what, **who, number=data.draw(st.sampled_from(numbers)))

    @has_database
    @rule(
        data=st.data(),
        what=st.sampled_from(["become", *sorted(SECONDS), SWITCH]),
        operator=st.sampled_from(sorted(OPERATORS)),
        support=st.booleans(),
        russian=st.booleans(),
        active=st.sampled_from([True, True, False]),
    )
    def administration(self, data: st.DataObject, what: str, operator: str, support: bool, russian: bool, active: bool) -> None:
        """An operator's departments, languages and right to work change, or a setting."""
        if what == "become":
            self.become(operator, support, russian, active)
        else:
            self.change_settings(what, data)

    def change_settings(self, name: str, data: st.DataObject) -> None:
        now, settings = self.story.now, self.story.history.settings
        killed = [process.killed_at for process in self.story.history.processes.values() if process.killed_at]
        if name == "visit_lease" and (not self.story.has_clock_worker or any(now - at < OVER for at in killed)):
            return  # what was held by nobody would follow later, or by the lease of its process
        changes: dict[str, Any] = {name: data.draw(st.sampled_from(SECONDS.get(name, [True, False])))}
        after = {key: timeline.at(now) for key, timeline in settings.items()} | changes
        if not after["offline_after"] or after["offline_after"] >= after["left_notice_after"]:
            self.story.do("change_settings", changes=changes)
