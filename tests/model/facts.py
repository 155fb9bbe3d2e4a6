"""What happened, and when: the only input of the oracle. Facts are appended and never changed; nothing here decides anything.

Moments are aware datetimes, lengths of time whole seconds. A fact is kept with the moment at which it happened, as a clock
tells it that nobody sets; `History.shown` says what the clock on the wall showed then (Z1).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

Value = TypeVar("Value")
NEVER = datetime.max.replace(tzinfo=UTC)
OUTAGE = 5  # seconds: a longer pause of whoever ends leases is one (P9)
HEARD_AGAIN = 2  # seconds: after a longer one the leases of workspaces begin anew (docs/decisions/0011)


class Timeline(Generic[Value]):
    """A value that is set from time to time: what it was at any moment."""

    def __init__(self, at: datetime, value: Value) -> None:
        self.changes: list[tuple[datetime, Value]] = [(at, value)]

    def set(self, at: datetime, value: Value) -> None:
        self.changes.append((at, value))

    def at(self, moment: datetime) -> Value:
        """The value set last, not after `moment`; before the first change the first value."""
        return next((value for at, value in reversed(self.changes) if at <= moment), self.changes[0][1])

    def periods(self) -> Iterator[tuple[datetime, datetime, Value]]:
        """(from, until, value) for each value it has had; the last one holds for ever."""
        ends = [at for at, _ in self.changes[1:]] + [NEVER]
        for (begin, value), end in zip(self.changes, ends, strict=True):
            yield begin, end, value


@dataclass
class Operator:
    """A person who answers: what was chosen, what was configured, and the signs of life of the workspace."""

    name: str
    status: Timeline[str]
    is_active: Timeline[bool]
    departments: Timeline[frozenset[str]]
    languages: Timeline[frozenset[str]]
    is_supervisor: bool = False
    signs: list[datetime] = field(default_factory=list)
    sign_outs: list[datetime] = field(default_factory=list)
    acts: list[datetime] = field(default_factory=list)  # own actions in the workspace (Q8)
    limits: dict[str, Timeline[int | None]] = field(default_factory=dict)  # own ones, by the settings' names (Q5)


@dataclass(frozen=True)
class Word:
    """Something a page said: when, and who heard it: a live process by its name, or "web"."""

    at: datetime
    heard_by: str


@dataclass
class Visit:
    """One page load. `signs` are signs of life (P2), `goodbyes` what the page said when it was left."""

    key: str
    signs: list[Word] = field(default_factory=list)
    goodbyes: list[Word] = field(default_factory=list)


@dataclass
class Visitor:
    """A person on the site."""

    name: str
    visits: dict[str, Visit] = field(default_factory=dict)

    def gave_sign(self, key: str, at: datetime, heard_by: str) -> None:
        """The page with that key gave a sign of life; the first one begins its visit."""
        self.visits.setdefault(key, Visit(key)).signs.append(Word(at, heard_by))

    def said_goodbye(self, key: str, at: datetime, heard_by: str) -> None:
        if key in self.visits:
            self.visits[key].goodbyes.append(Word(at, heard_by))


@dataclass(frozen=True)
class Report:
    """What an app told of its device (P7): who uses it, and its push token: one, "none", or nothing said of it (None)."""

    at: datetime
    device: str
    visitor: str
    token: str | None


@dataclass
class Written:
    """A person's message in a dialog. `author` is "visitor" or the operator's name."""

    at: datetime
    author: str


# what can be done with a dialog: picking it up, giving it to somebody, putting it into a queue, closing it
PICKED_UP, ASSIGNED, TO_OPERATOR = "picked_up", "assigned", "to_operator"
TO_DEPARTMENT, TO_QUEUE = "to_department", "to_queue"
CLOSED_BY_VISITOR, CLOSED_BY_OPERATOR = "closed_by_visitor", "closed_by_operator"


@dataclass(frozen=True)
class Move:
    """Somebody, or automatic assignment, did something with a dialog (Q6, Q7, Q9, Q10).

    `operator` is who has it then, `department` where it waits after a transfer there. `by`: who did it; None: the visitor,
    or automatic assignment. `warned`: of what they were warned before (Q5).
    """

    at: datetime
    what: str
    operator: str | None = None
    department: str | None = None
    by: str | None = None
    warned: tuple[str, ...] = ()


@dataclass
class Dialog:
    """One conversation, and everything people did with it. `asked` is what the page asked for, known or unknown."""

    visitor: Visitor
    started_at: datetime
    asked_department: str | None
    asked_language: str
    from_app: bool = False
    written: list[Written] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    brought_in: list[datetime] = field(default_factory=list)


@dataclass(frozen=True)
class Pause:
    """Nothing ran between `last` and `again`. `shown`: how long that was by the clock that whoever ran looks at."""

    last: datetime
    again: datetime
    shown: timedelta


class Runs:
    """When something that runs again and again has run. Of the pauses only those are kept that rules ask for."""

    def __init__(self, longer_than: int) -> None:
        self.longer_than = timedelta(seconds=longer_than)
        self.last: datetime | None = None
        self.last_shown: datetime | None = None
        self.pauses: list[Pause] = []

    def ran(self, at: datetime, shown: datetime) -> None:
        """It ran at that moment, when its clock showed `shown`."""
        if self.last is not None and self.last_shown is not None and abs(shown - self.last_shown) > self.longer_than:
            self.pauses.append(Pause(self.last, at, shown - self.last_shown))
        self.last, self.last_shown = at, shown

    def silent_since(self, moment: datetime) -> datetime | None:
        """The last run, if at `moment` the next one is overdue; None: it is not."""
        return self.last if self.last is not None and moment - self.last > self.longer_than else None

    def before(self, moment: datetime) -> datetime:
        """The last run known not to lie after `moment`."""
        for pause in reversed(self.pauses):
            if pause.again <= moment:
                break
            if pause.last <= moment:
                return pause.last
        return moment if self.last is None else min(self.last, moment)


@dataclass
class Process:
    """A live process: when it ran, when it last renewed the row that says it lives, and when it was killed."""

    runs: Runs = field(default_factory=lambda: Runs(OUTAGE))
    turns: list[datetime] = field(default_factory=list)  # every one in which it could read and write
    renewed_at: datetime | None = None
    killed_at: datetime | None = None


@dataclass
class History:
    """Everything that happened in one account.

    `heard` are the moments at which signs of life of workspaces could be stored (P9, docs/decisions/0011), `sweep` those at
    which whoever ends the leases that no live process holds has run. `ahead`: by how much the clock on the wall was set.
    """

    settings: dict[str, Timeline[Any]]
    languages: list[str]
    departments: dict[str, Timeline[bool]]  # slug -> is archived
    ahead: Timeline[timedelta]
    pickup_timeouts: dict[str, Timeline[int | None]] = field(default_factory=dict)  # departments' own ones (Q8)
    operators: dict[str, Operator] = field(default_factory=dict)
    visitors: dict[str, Visitor] = field(default_factory=dict)
    dialogs: list[Dialog] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    refused_tokens: list[tuple[datetime, str]] = field(default_factory=list)  # a push service's word that one is invalid (P7)
    heard: Runs = field(default_factory=lambda: Runs(HEARD_AGAIN))
    sweep: Runs = field(default_factory=lambda: Runs(OUTAGE))
    processes: dict[str, Process] = field(default_factory=dict)
    without_database: list[tuple[datetime, datetime]] = field(default_factory=list)  # (from, until)

    def shown(self, moment: datetime) -> datetime:
        """What the clock on the wall showed at that moment."""
        return moment + self.ahead.at(moment)
