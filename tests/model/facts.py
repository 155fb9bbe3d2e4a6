"""What happened, and when: the only input of the oracle. Facts are appended and never changed; nothing here decides anything.

Moments are aware datetimes, lengths of time whole seconds. A fact is stored with the moment at which it happened.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

Value = TypeVar("Value")
NEVER = datetime.max.replace(tzinfo=UTC)


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
    """A person on the site. `tokens` says for each device when which push token was set (None: removed, P7)."""

    name: str
    visits: dict[str, Visit] = field(default_factory=dict)
    tokens: dict[str, Timeline[str | None]] = field(default_factory=dict)

    def gave_sign(self, key: str, at: datetime, heard_by: str) -> None:
        """The page with that key gave a sign of life; the first one begins its visit."""
        self.visits.setdefault(key, Visit(key)).signs.append(Word(at, heard_by))

    def said_goodbye(self, key: str, at: datetime, heard_by: str) -> None:
        if key in self.visits:
            self.visits[key].goodbyes.append(Word(at, heard_by))


@dataclass
class Written:
    """A person's message in a dialog. `author` is "visitor" or the operator's name."""

    at: datetime
    author: str


@dataclass
class Dialog:
    """One conversation, and everything people did with it. `asked` is what the page asked for, known or unknown."""

    visitor: Visitor
    started_at: datetime
    asked_department: str | None
    asked_language: str
    from_app: bool = False
    written: list[Written] = field(default_factory=list)
    takings: list[tuple[datetime, str]] = field(default_factory=list)
    closings: list[tuple[datetime, str]] = field(default_factory=list)
    brought_in: list[datetime] = field(default_factory=list)


class Runs:
    """When something that runs again and again has run. Only pauses longer than two seconds are kept: no rule asks for others."""

    def __init__(self) -> None:
        self.last: datetime | None = None
        self.pauses: list[tuple[datetime, datetime]] = []  # (last run before, first run after)

    def ran(self, at: datetime) -> None:
        if self.last is not None and at - self.last > timedelta(seconds=2):
            self.pauses.append((self.last, at))
        self.last = at

    def before(self, moment: datetime) -> datetime:
        """The last run known not to lie after `moment`."""
        for last, after in reversed(self.pauses):
            if after <= moment:
                break
            if last <= moment:
                return last
        return moment if self.last is None else min(self.last, moment)


@dataclass
class History:
    """Everything that happened in one account.

    `heard` are the moments at which signs of life of workspaces could be stored (P9, docs/decisions/0011).
    """

    settings: dict[str, Timeline[int]]
    languages: list[str]
    departments: dict[str, Timeline[bool]]  # slug -> is archived
    operators: dict[str, Operator] = field(default_factory=dict)
    visitors: dict[str, Visitor] = field(default_factory=dict)
    dialogs: list[Dialog] = field(default_factory=list)
    heard: Runs = field(default_factory=Runs)
