"""The rules Q2 and Q6 to Q10 once more, and A5's effects on queues: who has a dialog, and how it came to them (see oracle.py)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise

from tests.model import facts
from tests.model.facts import NEVER, Dialog, History, Move, Operator, Timeline
from tests.model.life_rules import lives
from tests.model.start_rules import STANDS_STILL, department, due, is_online, language, stored_at

RIGHT_AFTER = timedelta(microseconds=1)  # at the end of a lease itself somebody still is online (A2)
RETURNED, REOPENED, CLOSED_BY_TIME = "returned", "reopened", "closed_by_time"  # what happens besides people's moves
# why a dialog goes back to its queue (Q8, A5)
NOT_PICKED_UP, NOT_ONLINE, NOT_THEIRS, ARCHIVED = "not_picked_up", "not_online", "not_theirs", "archived"


@dataclass(frozen=True)
class Holding:
    """Who has a dialog (None: nobody) since when, whether they have picked it up, and the department it belongs to.

    `let_wait`: whom it has come back from since it was last picked up, and when (Q8).
    """

    operator: str | None
    is_picked_up: bool
    since: datetime
    department: str | None
    let_wait: dict[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True)
class Turn:
    """Something that decided who has a dialog: a move, or one of RETURNED, REOPENED, CLOSED_BY_TIME."""

    at: datetime
    what: str
    move: Move | None
    before: Holding
    after: Holding


def holding(history: History, dialog: Dialog, at: datetime) -> Holding:
    """Who has it at that moment."""
    turns = list(course(history, dialog, at))
    return turns[-1].after if turns else begun(history, dialog)


def begun(history: History, dialog: Dialog) -> Holding:
    """A new dialog is nobody's."""
    return Holding(None, False, dialog.started_at, department(history, dialog))


def course(history: History, dialog: Dialog, at: datetime) -> Iterator[Turn]:
    """Everything that decided who has the dialog up to that moment, in its order."""
    held, lived = begun(history, dialog), lives(history, dialog)
    happened: list[tuple[datetime, int, str, Move | None]] = [(move.at, 2, move.what, move) for move in dialog.moves]
    happened += [(life.begin, 1, REOPENED, None) for life in lived[1:]]
    happened += [(life.end, 0, CLOSED_BY_TIME, None) for life in lived if not life.by_hand]
    happened = [one for one in sorted(happened, key=lambda one: one[:2]) if one[0] <= at]
    for moment, _, what, move in [*happened, (at, 3, "", None)]:
        if back := returned(history, held, dialog, moment):
            yield Turn(back.since, RETURNED, None, held, back)
            held = back
        if not what:
            return
        before = held
        if move is not None:
            held = moved(held, move)
        elif what == REOPENED:
            held = reopened(history, held, moment)
        else:
            held = closed(held, moment)
        yield Turn(moment, what, move, before, held)


def moved(held: Holding, move: Move) -> Holding:
    """What a move makes of it."""
    remembered = {} if held.operator is None else {held.operator: move.at}
    match move.what:
        case facts.PICKED_UP:
            return Holding(move.operator, True, move.at, held.department)
        case facts.ASSIGNED | facts.TO_OPERATOR:
            return Holding(move.operator, False, move.at, held.department, held.let_wait)
        case facts.TO_QUEUE:  # whoever hands it back is not given it at once again
            return Holding(None, False, move.at, held.department, held.let_wait | remembered)
        case facts.TO_DEPARTMENT:
            return Holding(None, False, move.at, move.department, held.let_wait | remembered)
        case _:
            return closed(held, move.at)


def closed(held: Holding, at: datetime) -> Holding:
    """Whoever has picked it up has had it (Q9); nobody else has."""
    return held if held.is_picked_up else replace(held, operator=None, since=at)


def reopened(history: History, held: Holding, at: datetime) -> Holding:
    """Q9: for whoever had it, if effectively online, else in its queue."""
    if held.operator is not None and is_online(history, history.operators[held.operator], at):
        return held
    return replace(held, operator=None, is_picked_up=False, since=at)


def returned(history: History, held: Holding, dialog: Dialog, at: datetime) -> Holding | None:
    """Q8: what is assigned and not picked up may have gone back to its queue by that moment; None: it has not."""
    if held.operator is None or held.is_picked_up:
        return None
    end = min(ends_of_assignment(history, held, language(history, dialog), at))[0]
    return Holding(None, False, end, held.department, held.let_wait | {held.operator: end}) if end <= at else None


def ends_of_assignment(history: History, held: Holding, spoken: str, at: datetime) -> list[tuple[datetime, str]]:
    """Q8, A5: when and why an assignment ends that nobody picks up, as far as it is known at that moment: the first end counts."""
    operator = history.operators[held.operator or ""]
    latest = end_of_waiting(history, held, at)
    moments = [moment for moment in turning_points(history, operator) if held.since <= moment and moment - RIGHT_AFTER <= latest]
    ends = [(latest, NOT_PICKED_UP)]
    ends += [(moment, NOT_ONLINE) for moment in loss(held.since, moments, lambda then: is_online(history, operator, then))]
    ends += [
        (moment, NOT_THEIRS)
        for moment in loss(held.since, moments, lambda then: is_theirs(operator, held.department, spoken, then))
    ]
    if held.department is not None:
        changes = history.departments[held.department].changes
        ends += [(moment, ARCHIVED) for moment, archived in changes if archived and moment >= held.since]
    return ends


def end_of_waiting(history: History, held: Holding, at: datetime) -> datetime:
    """Q8: `pickup_timeout` after the assignment. An outage gives one that was in time before it the full time more (P9).

    While the outage lasts nobody is late: they will have that time.
    """
    timeout = pickup_timeout(history, held.department)
    end = due(held.since, timeout)
    for pause in history.sweep.pauses:
        if held.since < pause.again and pause.last < end:
            end = max(end, due(pause.again, timeout))
    silent_since = history.sweep.silent_since(at)
    return NEVER if silent_since is not None and silent_since < end else end


def pickup_timeout(history: History, slug: str | None) -> Timeline[int]:
    """Q8: the department's own, else the account's."""
    accounts = history.settings["pickup_timeout"]
    own: Timeline[int | None] = history.pickup_timeouts[slug] if slug else Timeline(accounts.changes[0][0], None)
    moments = sorted({at for at, _ in accounts.changes} | {at for at, _ in own.changes})
    values = [own.at(at) if own.at(at) is not None else accounts.at(at) for at in moments]
    found = Timeline(moments[0], values[0])
    for at, value in zip(moments[1:], values[1:], strict=True):
        found.set(at, value)
    return found


def loss(since: datetime, moments: list[datetime], holds: Callable[[datetime], bool]) -> list[datetime]:
    """The first of the moments at which something was no longer so that was so at or after `since`; none: an empty list.

    What was not so when the dialog was given to somebody (a transfer after a warning) cannot be lost.
    """
    was = holds(since)
    for at in moments:
        if was and not holds(at):
            return [at]
        was = was or holds(at)
    return []


def turning_points(history: History, operator: Operator) -> list[datetime]:
    """Every moment at which something about an operator may have changed."""
    lines = [operator.status, operator.is_active, operator.departments, operator.languages, history.settings["operator_lease"]]
    moments = {at for line in lines for at, _ in line.changes} | set(operator.sign_outs)
    signs = sorted({stored_at(history, sign) for sign in operator.signs} - {NEVER})  # those of an outage are not stored yet
    begins = sorted({*signs, *(pause.again for pause in history.heard.pauses)})
    for begin, following in pairwise([*begins, NEVER]):
        for _, _, seconds in history.settings["operator_lease"].periods():
            end = begin + timedelta(seconds=seconds)
            if end < following:
                moments |= {end + RIGHT_AFTER}
    for pause in history.heard.pauses:
        moments |= {pause.last + STANDS_STILL, pause.again}
    return sorted(moments | set(signs))


def is_theirs(operator: Operator, slug: str | None, spoken: str, at: datetime) -> bool:
    """Q3, Q7: department (none: anybody's) and language match."""
    return spoken in operator.languages.at(at) and (slug is None or slug in operator.departments.at(at))
