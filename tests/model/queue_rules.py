"""The rules Q1 to Q10 once more, and A5's effects on queues: who has a dialog, where it stands, who may be given it.

Written from behaviour.md alone, like oracle.py. What automatic assignment gave is among the facts, since ties are random:
`admissible` says what it may give next.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise

from tests.model import facts
from tests.model.facts import NEVER, TO_DEPARTMENT, TO_QUEUE, Dialog, History, Move, Operator, Timeline
from tests.model.life_rules import how_closed, is_open, lives
from tests.model.oracle import shown
from tests.model.start_rules import STANDS_STILL, department, due, is_email_only, is_online, language, last_sign, stored_at

HEARD_WITHIN = timedelta(seconds=25)  # A2: for automatic assignment
RIGHT_AFTER = timedelta(microseconds=1)  # at the end of a lease itself somebody still is online (A2)
# what somebody who wants to do something is told instead; DONE: it happens
DONE, IS_CLOSED, IS_TAKEN, NOT_THEIRS, REFUSED, ASKS = "done", "closed", "taken", "not_theirs", "refused", "asks"


# --- Q2, Q6 to Q10: who has a dialog


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


def holding(history: History, dialog: Dialog, at: datetime) -> Holding:
    """Everything that happened to the dialog up to that moment, in its order."""
    held = Holding(None, False, dialog.started_at, department(history, dialog))
    happened: list[tuple[datetime, int, Move | str]] = [(move.at, 2, move) for move in dialog.moves]
    lived = lives(history, dialog)
    happened += [(life.begin, 1, "reopened") for life in lived[1:]]
    by_people = {move.at for move in dialog.moves}
    happened += [(life.end, 0, "closed by time") for life in lived if life.end not in by_people]
    for moment, _, what in sorted(happened, key=lambda one: one[:2]):
        if moment > at:
            break
        held = until(history, held, dialog, moment)
        if isinstance(what, Move):
            held = moved(held, what)
        elif what == "reopened":
            held = reopened(history, held, moment)
        else:
            held = closed(held, moment)
    return until(history, held, dialog, at) if is_open(history, dialog, at) else held


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


def until(history: History, held: Holding, dialog: Dialog, at: datetime) -> Holding:
    """Q8: what is assigned and not picked up may have gone back to its queue by that moment."""
    if held.operator is None or held.is_picked_up:
        return held
    end = end_of_assignment(history, held, language(history, dialog))
    if end > at:
        return held
    return Holding(None, False, end, held.department, held.let_wait | {held.operator: end})


def end_of_assignment(history: History, held: Holding, spoken: str) -> datetime:
    """Q8, A5: when an assignment ends that nobody picks up."""
    operator = history.operators[held.operator or ""]
    latest = end_of_waiting(history, held)
    moments = [at for at in turning_points(history, operator) if held.since <= at < latest]
    ends = [latest]
    ends += loss(held.since, moments, lambda at: is_online(history, operator, at))
    ends += loss(held.since, moments, lambda at: is_theirs(operator, held.department, spoken, at))
    if held.department is not None:
        ends += [at for at, archived in history.departments[held.department].changes if archived and at >= held.since]
    return min(ends)


def end_of_waiting(history: History, held: Holding) -> datetime:
    """Q8: `pickup_timeout` after the assignment. An outage gives one that was in time before it the full time more (P9)."""
    timeout = pickup_timeout(history, held.department)
    end = due(held.since, timeout)
    for pause in history.sweep.pauses:
        if held.since < pause.again and pause.last < end:
            end = max(end, due(pause.again, timeout))
    return end


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
    signs = sorted(stored_at(history, sign) for sign in operator.signs)
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


# --- Q1 to Q3, Q9: where a dialog stands


def state(history: History, dialog: Dialog, at: datetime) -> str:
    """Q9: queue, chatting, how it was closed, and `closed` when it can be reopened no longer."""
    if not is_open(history, dialog, at):
        return how_closed(history, dialog, at)
    return "chatting" if holding(history, dialog, at).is_picked_up else "queue"


def section(history: History, dialog: Dialog, operator: Operator, at: datetime) -> str | None:
    """Q1 to Q3: the part of this operator's left panel that holds the dialog; None if no part does."""
    if not is_open(history, dialog, at) or is_email_only(history, dialog, at):
        return None
    held = holding(history, dialog, at)
    if held.operator == operator.name:
        return "in_dialog" if held.is_picked_up else "waiting"
    if held.operator is not None:
        return "others" if operator.is_supervisor else None
    if not (operator.is_supervisor or is_theirs(operator, held.department, language(history, dialog), at)):
        return None
    return "offline" if shown(history, dialog, at).is_offline else "general"


# --- Q5: limits


def load(history: History, operator: Operator, at: datetime, *kinds: bool, apart: Dialog | None = None) -> int:
    """How many open dialogs of these kinds (is offline?) the operator has; email-only ones do not count (M5)."""
    return sum(
        is_open(history, dialog, at)
        and not is_email_only(history, dialog, at)
        and holding(history, dialog, at).operator == operator.name
        and shown(history, dialog, at).is_offline in kinds
        for dialog in history.dialogs
        if dialog is not apart
    )


def limit(history: History, operator: Operator, at: datetime, *, is_offline: bool) -> int:
    """Q5: the operator's own, else the account's; 0: none."""
    name = "max_offline_dialogs" if is_offline else "max_online_dialogs"
    own = operator.limits[name].at(at)
    return history.settings[name].at(at) if own is None else own


def is_at_limit(history: History, operator: Operator, dialog: Dialog, at: datetime) -> bool:
    """Q5: has the operator as many of the dialog's kind as may be, without this one?"""
    is_offline = shown(history, dialog, at).is_offline
    most = limit(history, operator, at, is_offline=is_offline)
    return most > 0 and load(history, operator, at, is_offline, apart=dialog) >= most


# --- Q7, Q8: automatic assignment


def may_be_given(history: History, dialog: Dialog, operator: Operator, at: datetime) -> bool:
    """Q5, Q7, A2: online and heard of lately, of the dialog's department and language, below the limit of its kind.

    A5: a department that is archived is nobody's. P9: after a silence of ours everybody whose lease is alive counts as heard.
    """
    slug = holding(history, dialog, at).department
    heard = last_sign(history, operator, at)
    return (
        is_online(history, operator, at)
        and heard is not None
        and at - heard <= HEARD_WITHIN
        and is_theirs(operator, slug, language(history, dialog), at)
        and not (slug is not None and history.departments[slug].at(at))
        and not is_at_limit(history, operator, dialog, at)
    )


def qualifying(history: History, dialog: Dialog, at: datetime) -> list[Operator]:
    """Who may be given it now: whoever let it wait (Q8) only while nobody else qualifies, and after an action of their own."""
    able = [one for one in history.operators.values() if may_be_given(history, dialog, one, at)]
    let_wait = holding(history, dialog, at).let_wait
    others = [one for one in able if one.name not in let_wait]
    return others or [one for one in able if any(let_wait[one.name] < act <= at for act in one.acts)]


def queues(history: History, at: datetime) -> list[list[Dialog]]:
    """The dialogs that nobody has, as (department, language, current state) part them, each oldest first; the one whose first
    dialog is oldest comes first (Q7)."""
    found: dict[tuple[str | None, str, bool], list[Dialog]] = {}
    for dialog in sorted(history.dialogs, key=lambda one: one.started_at):
        held = holding(history, dialog, at)
        if is_open(history, dialog, at) and not is_email_only(history, dialog, at) and held.operator is None:
            place = (held.department, language(history, dialog), shown(history, dialog, at).is_offline)
            found.setdefault(place, []).append(dialog)
    return list(found.values())


def admissible(history: History, at: datetime) -> set[tuple[int, str]]:
    """Q7: (dialog number, operator) pairs, one of which automatic assignment gives next; empty: nothing can be given."""
    if history.settings["assignment"].at(at) != "automatic":
        return set()
    for queue in queues(history, at):
        if able := qualifying(history, queue[0], at):
            loads = {one.name: load(history, one, at, True, False) for one in able}
            fewest = [name for name, count in loads.items() if count == min(loads.values())]
            return {(history.dialogs.index(queue[0]) + 1, name) for name in fewest}
    return set()


# --- Q5, Q6, Q9, Q10: what people may do


def of_taking(
    history: History, dialog: Dialog, operator: Operator, at: datetime, *, instead_of: str | None, confirmed: bool
) -> str:
    """Q5, Q6: what comes of somebody's pressing Take; a supervisor takes it over from `instead_of`."""
    if not is_open(history, dialog, at):
        return IS_CLOSED
    if is_email_only(history, dialog, at):
        return NOT_THEIRS
    held = holding(history, dialog, at)
    if held.operator == operator.name:
        return DONE
    if held.operator is not None and not (operator.is_supervisor and held.operator == instead_of):
        return IS_TAKEN
    return ASKS if is_at_limit(history, operator, dialog, at) and not confirmed else DONE


def of_answering(history: History, dialog: Dialog, operator: Operator, at: datetime, *, confirmed: bool) -> str:
    """Words: sending an answer picks up what nobody has."""
    if not is_open(history, dialog, at):
        return IS_CLOSED
    held = holding(history, dialog, at)
    if held.operator not in {None, operator.name}:
        return IS_TAKEN
    asks = held.operator is None and is_at_limit(history, operator, dialog, at)
    return ASKS if asks and not confirmed else DONE


def of_closing(history: History, dialog: Dialog, operator: Operator, at: datetime) -> str:
    """Q9: whoever has it may close it, and supervisors."""
    if not is_open(history, dialog, at):
        return IS_CLOSED
    return DONE if operator.is_supervisor else of_having(history, dialog, operator, at)


def of_having(history: History, dialog: Dialog, operator: Operator, at: datetime) -> str:
    held = holding(history, dialog, at)
    if held.operator == operator.name:
        return DONE
    return NOT_THEIRS if held.operator is None else IS_TAKEN


def of_transfer(history: History, dialog: Dialog, actor: Operator, move: Move, *, confirmed: bool) -> str:
    """Q5, Q10: whoever has it may hand it on, and supervisors; warned of a limit, of who is away or does not speak the language."""
    at = move.at
    if not is_open(history, dialog, at):
        return IS_CLOSED
    if is_email_only(history, dialog, at):
        return NOT_THEIRS
    if not actor.is_supervisor and of_having(history, dialog, actor, at) != DONE:
        return of_having(history, dialog, actor, at)
    held = holding(history, dialog, at)
    if move.what == TO_QUEUE:
        return REFUSED if held.operator is None else DONE
    if move.what == TO_DEPARTMENT:
        waits_there = held.operator is None and held.department == move.department
        return REFUSED if waits_there or history.departments[move.department or ""].at(at) else DONE
    target = history.operators[move.operator or ""]
    if not target.is_active.at(at) or target.name == held.operator:
        return REFUSED
    warned = (
        is_at_limit(history, target, dialog, at)
        or not is_online(history, target, at)
        or language(history, dialog) not in target.languages.at(at)
    )
    return ASKS if warned and not confirmed else DONE


def deadlines(history: History, at: datetime) -> list[datetime]:
    """Every moment after `at` at which a dialog goes back to its queue, closes, or is closed for good, as far as it can be told."""
    moments = set()
    for dialog in history.dialogs:
        held, life = holding(history, dialog, at), lives(history, dialog)[-1]
        if is_open(history, dialog, at) and held.operator is not None and not held.is_picked_up:
            moments.add(end_of_assignment(history, held, language(history, dialog)))
        moments.add(life.end)
        if life.end != NEVER:
            moments.add(due(life.end, history.settings["reopen_window"]))
    return sorted(moment for moment in moments if at < moment < NEVER)
