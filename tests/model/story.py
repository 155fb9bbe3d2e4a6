"""One history, told to the product and to the oracle at once, and compared after each step."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.test import override_settings

from tests.model import oracle, queue_rules
from tests.model.clock import Clock
from tests.model.comparison import differences
from tests.model.facts import ASSIGNED, Dialog, History, Move, Operator, Process, Timeline, Visitor
from tests.model.holding_rules import RETURNED, course, holding
from tests.model.product import Product, outcome_of
from webim_offline.foundation.environment import MailServer

Step = Callable[..., None]
STEPS: dict[str, Step] = {}
LONGEST_TICK = 4000  # milliseconds; below P9's five seconds
LONGEST_BEAT = 1500  # milliseconds between two writings of the signs of life of workspaces; below two seconds (0011)
NOTICED_WITHIN = timedelta(seconds=1.4)  # how late a live process may notice the end of a visit (P3: on screen within 2 s)

OPERATORS: dict[str, dict[str, Any]] = {
    "anna": {"departments": ("support",), "languages": ("en", "ru")},
    "boris": {"departments": ("sales",), "languages": ("ru",)},
    "clara": {"departments": ("support",), "languages": ("en", "ru")},
    "vera": {"departments": (), "languages": ("en", "ru"), "role": "supervisor"},
}
VISITORS = ["marina", "oleg", "nina", "pavel", "rita"]
LIMITS = ("max_online_dialogs", "max_offline_dialogs", "visible_online_dialogs", "visible_offline_dialogs")
SETTINGS = {
    "visit_lease": 30,
    "operator_lease": 60,
    "left_notice_after": 120,
    "offline_after": 1200,
    "left_messages_in_workspace": True,
    "assignment": "manual",
    "pickup_timeout": 60,
    "reopen_window": 600,
    "close_after": 259_200,
    "max_online_dialogs": 0,
    "max_offline_dialogs": 0,
    "visible_online_dialogs": 100,
    "visible_offline_dialogs": 50,
}
# after which automatic assignment runs at once (Q7)
GIVES_ROOM = {"write", "take", "answer", "transfer", "operator_closes", "visitor_closes", "bring_in"}


class Difference(AssertionError):
    """Product and oracle say different things."""


class Finding(AssertionError):
    """A history that ends in a difference, or in an error of the product; `line` is its replayable form."""

    def __init__(self, line: str, cause: Exception) -> None:
        super().__init__(f"{type(cause).__name__}: {cause}\n{line}")
        self.line, self.cause = line, cause


def step(function: Step) -> Step:
    """A kind of step: what happens, told to both sides. Its parameters are JSON values."""
    STEPS[function.__name__] = function
    return function


@dataclass
class Page:
    """What a browser's tab shows: the visit's key, the process its stream leads to, and whether the network carries it."""

    key: str
    process: str
    connected: bool = True
    heard_at: datetime | None = None


@dataclass
class Workspace:
    """An operator's open workspace: what its ticket claims, where its stream leads to, and when it was heard last."""

    claims: dict[str, Any]
    process: str
    heard_at: datetime


class Story:
    """Use as a context manager, inside a transaction that is rolled back. `thorough` compares everything after each step."""

    def __init__(self, settings: dict[str, Any] | None = None, *, thorough: bool = False) -> None:
        self.thorough = thorough
        self.settings = SETTINGS | (settings or {})
        self.told: list[list[Any]] = []
        self.clock = Clock()
        self.mail = override_settings(MAIL_SERVER=MailServer("127.0.0.1", 25))  # M7; no letter is sent
        self.pages: dict[tuple[str, str], Page] = {}
        self.pages_opened = 0
        self.workspaces: dict[str, Workspace] = {}
        self.moments: list[datetime] = []  # of the steps: what the past is asked for
        self.latest_shown = self.clock.now  # by the clock on the wall
        self.has_database = self.has_clock_worker = True
        self.swept_at = self.now  # when the clock worker ran last
        self.seen: dict[str, object] = {}  # what was compared last of each thing that costs much
        self.latest_assigned = 0  # id of the newest event of automatic assignment
        self.went_wrong = False

    def __enter__(self) -> "Story":
        self.clock.__enter__()
        self.mail.enable()
        now = self.now
        self.product = Product(self.clock, self.settings, OPERATORS, VISITORS)
        self.history = History(
            settings={name: Timeline(now, value) for name, value in self.settings.items()},
            languages=["en", "ru"],
            departments={slug: Timeline(now, False) for slug in ("support", "sales")},
            ahead=Timeline(now, timedelta()),
            pickup_timeouts={slug: Timeline(now, None) for slug in ("support", "sales")},
            operators={
                name: Operator(
                    name,
                    Timeline(now, "offline"),
                    Timeline(now, True),
                    Timeline(now, frozenset(fields["departments"])),
                    Timeline(now, frozenset(fields["languages"])),
                    is_supervisor=fields.get("role") == "supervisor",
                    limits={limit: Timeline(now, None) for limit in LIMITS},
                )
                for name, fields in OPERATORS.items()
            },
            visitors={name: Visitor(name) for name in VISITORS},
        )
        self.start_process("a")
        self.turn()
        return self

    def __exit__(self, *raised: Any) -> None:
        self.mail.disable()
        self.clock.__exit__(*raised)

    @property
    def now(self) -> datetime:
        """As facts are told: by a clock that nobody sets."""
        return self.clock.true

    def do(self, kind: str, **parameters: Any) -> None:
        """One step, a millisecond after the last one; then everything that runs by itself runs, and both are compared."""
        self.told.append([kind, parameters])
        self.clock.move(1)
        if self.clock.now > self.latest_shown:  # the past is not asked for moments that the clock has shown twice
            self.latest_shown = self.clock.now
            self.moments.append(self.now)
        try:
            STEPS[kind](self, **parameters)
            if self.has_database:
                assigned = self.product.commit()
                if assigned or self.gives_room(kind):
                    self.observe_assignments(all_given=self.gives_room(kind))
            self.turn()
            self.compare()
        except Exception as cause:
            self.went_wrong = True
            raise Finding(self.line, cause) from cause

    @property
    def line(self) -> str:
        """The history as JSON: settings, then steps; `replay` lives it through again."""
        return json.dumps([self.settings, self.told])

    def start_process(self, name: str) -> None:
        """A live process begins to serve; a name is used once."""
        self.product.start_process(name)
        self.history.processes[name] = Process()

    def turn(self) -> None:
        """Everything that runs by itself runs."""
        self.run_processes()
        self.run_clock_worker()

    def run_processes(self, *, renew: bool = False) -> None:
        """Each live process does what it does again and again; with `renew` it also says that it lives."""
        self.write_workspaces()
        for name in self.product.processes:
            turn = self.product.turn_process(name, renew=renew)
            process = self.history.processes[name]
            if turn.ran:
                process.runs.ran(self.now, self.now)
                process.turns.append(self.now)
            if turn.renewed:
                process.renewed_at = self.now
            if turn.saw_to_outage:
                self.history.sweep.ran(self.now, self.clock.now)

    def write_workspaces(self) -> None:
        """The signs of life of workspaces are stored, and that they could be."""
        if self.has_database and self.product.processes:
            self.history.heard.ran(self.now, self.clock.now)
        self.product.write_workspaces()

    def run_clock_worker(self, *, all_given: bool = True) -> None:
        if self.has_database and self.has_clock_worker:
            self.history.sweep.ran(self.now, self.clock.now)
            self.product.run_clock_worker()
            self.swept_at = self.now
            self.observe_assignments(all_given=all_given)

    def observe_assignments(self, *, all_given: bool) -> None:
        """What automatic assignment gave becomes a fact, one after the other; then, with `all_given`, nothing is left to (Q7)."""
        for event_id, number, operator in self.product.assigned_since(self.latest_assigned):
            self.latest_assigned = event_id
            allowed = queue_rules.admissible(self.history, self.now)
            if (number, operator) not in allowed and not self.is_unnoticed:
                raise Difference(f"#{number} was given to {operator}; the rules allow {sorted(allowed)}")
            self.history.dialogs[number - 1].moves.append(Move(self.now, ASSIGNED, operator))
        if all_given and (left := queue_rules.admissible(self.history, self.now)) and not self.is_unnoticed:
            raise Difference(f"nothing was given; the rules allow {sorted(left)}")

    def gives_room(self, kind: str) -> bool:
        """Does automatic assignment run right after the step that just happened?

        Who takes or answers what they are in already has acted (Q8): that is noticed within the second.
        """
        has_moved = any(move.at == self.now for dialog in self.history.dialogs for move in dialog.moves)
        return kind in GIVES_ROOM and (has_moved or kind not in {"take", "answer"})

    @property
    def is_unnoticed(self) -> bool:
        """The end of a visit may not have been noticed yet, or what the clock worker has to notice."""
        return self.is_unswept(self.now) or self.has_visit_just_ended

    @property
    def has_visit_just_ended(self) -> bool:
        """Of anybody; its live process may not have noticed yet."""
        return any(map(self.is_just_over, oracle.ends_of_visits(self.history)))

    def has_just_ended(self, visitor: str, page: Page) -> bool:
        """The visit of this page has ended, and its live process may not have noticed yet."""
        visit = self.history.visitors[visitor].visits[page.key]
        return any(self.is_just_over(one.end) for one in oracle.life(self.history, visit))

    def is_just_over(self, end: datetime) -> bool:
        return self.now - NOTICED_WITHIN < end <= self.now

    def is_unswept(self, at: datetime) -> bool:
        """Something has become due, or will by then, since the clock worker ran last."""
        history, since = self.history, self.swept_at
        if self.has_clock_worker and since == self.now:
            return False
        due = queue_rules.ends_of_assignments(history, since)
        back = (turn for dialog in history.dialogs for turn in course(history, dialog, at) if turn.what == RETURNED)
        return self.is_overdue(at) or any(moment <= at for moment in due) or any(turn.at > since for turn in back)

    def is_overdue(self, at: datetime) -> bool:
        """The same, apart from assignments that somebody lost by leaving: those end by themselves when anybody acts (Q8)."""
        if self.has_clock_worker and self.swept_at == self.now:
            return False
        rules = (oracle.deadlines, queue_rules.closings, queue_rules.ends_of_waiting)
        due = (moment for rule in rules for moment in rule(self.history, self.swept_at))
        return any(moment <= at for moment in due)

    def looked_at(self, number: int) -> Dialog:
        """The dialog that somebody is about to do something with.

        What has gone back to its queue since the clock worker ran last is back there in the rows as soon as it runs again,
        within a second (Q8): here it just has.
        """
        just_now = self.now - timedelta(milliseconds=1)
        for dialog in self.history.dialogs:
            had = holding(self.history, dialog, just_now).operator if dialog.started_at <= just_now else None
            if had is not None and holding(self.history, dialog, self.now).operator is None:
                self.run_clock_worker()
                break
        return self.history.dialogs[number - 1]

    def tries(self, outcome: str, action: Callable[[], None]) -> bool:
        """Somebody tries to do something; it comes to what the rules say. Returns whether it happened."""
        says = outcome_of(action)
        if says != outcome:
            raise Difference(f"{self.told[-1]}: the product says {says}, the rules say {outcome}")
        return says == queue_rules.DONE

    def is_news(self, what: str, situation: object) -> bool:
        """Is it worth comparing again?"""
        was, self.seen[what] = self.seen.get(what), situation
        return was != situation

    def compare(self) -> None:
        """Raises Difference. Nothing is asked in an outage, and while the end of a visit may not have been noticed yet."""
        if not (self.has_database and self.has_clock_worker):
            return
        if self.is_unnoticed:
            return
        if found := differences(self):
            raise Difference("\n".join(found))

    def wait(self, milliseconds: int) -> None:
        """Time passes; what the network carries answers its pings, everything that runs by itself runs."""
        while milliseconds > 0:
            tick = min(milliseconds, self._tick())
            milliseconds -= tick
            while tick > 0:
                beat = min(tick, LONGEST_BEAT)
                self.clock.move(beat)
                tick -= beat
                if tick:
                    self.write_workspaces()
            self._answer_pings()
            self.turn()

    def _tick(self) -> int:
        pings = min(self._seconds_between_pings(), self._between_workspace_pings().seconds)
        return min(LONGEST_TICK, 1000 * pings)

    def _seconds_between_pings(self) -> int:
        return max(1, min(10, int(self.history.settings["visit_lease"].at(self.now) / 3)))

    def _answer_pings(self) -> None:
        every = timedelta(seconds=self._seconds_between_pings())
        for (visitor, _), page in self.pages.items():
            if page.connected and page.heard_at and self.now - page.heard_at >= every:
                self.sign(visitor, page)

        for name, workspace in self.workspaces.items():
            if self.now - workspace.heard_at >= self._between_workspace_pings():
                self.sign_of_workspace(name, workspace)

    def _between_workspace_pings(self) -> timedelta:
        return timedelta(seconds=max(1, min(10, int(self.history.settings["operator_lease"].at(self.now) / 3))))

    def sign_of_workspace(self, name: str, workspace: Workspace) -> None:
        """The workspace gives a sign of life on its stream."""
        self.product.workspace_answers_ping(workspace.claims, workspace.process)
        self.history.operators[name].signs.append(self.now)
        workspace.heard_at = self.now

    def sign(self, visitor: str, page: Page) -> None:
        """The page of a tab gives a sign of life on its stream."""
        self.product.page_answers_ping(visitor, page.key, page.process)
        self.heard(visitor, page)

    def new_key(self) -> str:
        """The id of a page load."""
        self.pages_opened += 1
        return f"page-{self.pages_opened}"

    def heard(self, visitor: str, page: Page) -> None:
        """A live process has heard the page."""
        self.history.visitors[visitor].gave_sign(page.key, self.now, page.process)
        page.heard_at = self.now
