"""The rules Q1 to Q10 once more: where a dialog stands, who may be given it, what people may do.

Written from behaviour.md alone, like oracle.py; who has a dialog is in holding_rules.py. What automatic assignment gave is
among the facts, since ties are random: `admissible` says what it may give next.
"""

from datetime import datetime, timedelta

from tests.model.facts import NEVER, TO_DEPARTMENT, TO_QUEUE, Dialog, History, Move, Operator
from tests.model.holding_rules import end_of_waiting, ends_of_assignment, holding, is_theirs
from tests.model.life_rules import end_of_window, how_closed, is_open, lives
from tests.model.oracle import shown
from tests.model.start_rules import is_email_only, is_online, language, last_sign

HEARD_WITHIN = timedelta(seconds=25)  # A2: for automatic assignment
# what somebody who wants to do something is told instead; DONE: it happens
DONE, IS_CLOSED, NOT_THEIRS, REFUSED = "done", "closed", "not_theirs", "refused"
NOT_ONLINE, NOT_SPOKEN = "not_online", "not_spoken"  # warnings of a transfer, besides `at_limit`


def is_taken(who: str) -> str:
    """Q6: they are told who has it."""
    return f"taken by {who}"


def asks(warnings: list[str]) -> str:
    """Q5, Q10: they are warned, and asked whether they want it all the same."""
    return f"asks: {', '.join(warnings)}"


def codes(warnings: list[str]) -> tuple[str, ...]:
    """What of them is recorded with what was done all the same."""
    return tuple(warning.split()[0] for warning in warnings)


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
        return "mine" if held.is_picked_up else "waiting"
    if held.operator is not None:
        return "others" if operator.is_supervisor else None
    if not (operator.is_supervisor or is_theirs(operator, held.department, language(history, dialog), at)):
        return None
    return "offline" if shown(history, dialog, at).is_offline else "general"


def panel(history: History, operator: Operator, at: datetime) -> dict[str, tuple[list[int], int]]:
    """Q4, Q5: for each section that is not empty the numbers of the dialogs it shows, in their order, and how many it hides."""
    found: dict[str, list[int]] = {}
    for dialog in by_age(history):
        if name := section(history, dialog, operator, at):
            found.setdefault(name, []).append(history.dialogs.index(dialog) + 1)
    shows = {name: len(numbers) for name, numbers in found.items()}
    shows |= {name: visible(history, operator, at, is_offline=name == "offline") for name in ("general", "offline")}
    return {name: (numbers[: shows[name]], len(numbers[shows[name] :])) for name, numbers in found.items()}


def visible(history: History, operator: Operator, at: datetime, *, is_offline: bool) -> int:
    """Q5: how many dialogs that queue shows; 0 is no limit. Supervisors, and whoever has none, see 500."""
    most = own_number(history, operator, "visible_offline_dialogs" if is_offline else "visible_online_dialogs", at)
    return 500 if operator.is_supervisor or most == 0 else most


def may_open(history: History, dialog: Dialog, operator: Operator, at: datetime) -> bool:
    """Q3, Q13: the own dialogs, and those of the own departments and languages, closed ones too; supervisors everything."""
    if is_email_only(history, dialog, at):
        return False
    held = holding(history, dialog, at)
    is_own = held.operator == operator.name
    return operator.is_supervisor or is_own or is_theirs(operator, held.department, language(history, dialog), at)


def by_age(history: History) -> list[Dialog]:
    """Q4, Q7: by the time of creation, oldest first."""
    return sorted(history.dialogs, key=lambda one: history.shown(one.started_at))


def waiting_since(history: History, dialog: Dialog, at: datetime) -> datetime | None:
    """Q4: when the oldest message was written that no operator has answered; since a dialog was opened again, if it was."""
    begin = [life.begin for life in lives(history, dialog) if life.begin <= at][-1]
    unanswered = None
    for word in sorted((one for one in dialog.written if begin <= one.at <= at), key=lambda one: one.at):
        unanswered = None if word.author != "visitor" else unanswered or word.at
    return unanswered


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
    return own_number(history, operator, "max_offline_dialogs" if is_offline else "max_online_dialogs", at)


def own_number(history: History, operator: Operator, name: str, at: datetime) -> int:
    own = operator.limits[name].at(at)
    return history.settings[name].at(at) if own is None else own


def at_limit(history: History, operator: Operator, dialog: Dialog, at: datetime, *, is_told: bool = False) -> list[str]:
    """Q5: has the operator as many of the dialog's kind as may be, without this one? Then a warning that names the limit.

    `is_told`: the operator is warned, not somebody else of the operator.
    """
    is_offline = shown(history, dialog, at).is_offline
    most = limit(history, operator, at, is_offline=is_offline)
    count = load(history, operator, at, is_offline, apart=dialog)
    if most == 0 or count < most:
        return []
    return [
        f"at_limit {'you have' if is_told else f'{operator.name} has'} {count} {'offline' if is_offline else 'online'} of {most}"
    ]


# --- Q7, Q8: automatic assignment


def may_be_given(history: History, dialog: Dialog, operator: Operator, at: datetime) -> bool:
    """Q5, Q7, A2: online and heard of lately, of the dialog's department and language, below the limit of its kind.

    A5: a department that is archived is nobody's. P9: after a silence of ours everybody whose lease is alive counts as heard;
    while it lasts nobody is given a dialog whom it hides for longer than a lease: they may be away.
    """
    slug = holding(history, dialog, at).department
    heard = last_sign(history, operator, at)
    return (
        is_online(history, operator, at)
        and heard is not None
        and at - heard <= min(HEARD_WITHIN, timedelta(seconds=history.settings["operator_lease"].at(at)))
        and is_theirs(operator, slug, language(history, dialog), at)
        and not (slug is not None and history.departments[slug].at(at))
        and not at_limit(history, operator, dialog, at)
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
    for dialog in by_age(history):
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
    if not operator.is_active.at(at):
        return REFUSED
    if not is_open(history, dialog, at):
        return IS_CLOSED
    if is_email_only(history, dialog, at):
        return NOT_THEIRS
    held = holding(history, dialog, at)
    if held.operator not in {None, operator.name} and not (operator.is_supervisor and held.operator == instead_of):
        return is_taken(held.operator)
    if held.operator is None and not sees_unassigned(history, dialog, operator, at):
        return REFUSED
    warnings = warnings_of_taking(history, dialog, operator, at)
    return asks(warnings) if warnings and not confirmed else DONE


def sees_unassigned(history: History, dialog: Dialog, operator: Operator, at: datetime) -> bool:
    """Q3, Q14: whoever takes a dialog that nobody has is a supervisor, or answers for its department and language."""
    department = holding(history, dialog, at).department
    return operator.is_supervisor or is_theirs(operator, department, language(history, dialog), at)


def warnings_of_taking(history: History, dialog: Dialog, operator: Operator, at: datetime) -> list[str]:
    """Q5: none for who has it already."""
    return [] if holding(history, dialog, at).operator == operator.name else at_limit(history, operator, dialog, at, is_told=True)


def of_answering(history: History, dialog: Dialog, operator: Operator, at: datetime, *, confirmed: bool) -> str:
    """Words: sending an answer picks up what nobody has."""
    if not operator.is_active.at(at):
        return REFUSED
    if not is_open(history, dialog, at):
        return IS_CLOSED
    held = holding(history, dialog, at)
    if held.operator not in {None, operator.name}:
        return is_taken(held.operator)
    if held.operator is None and not sees_unassigned(history, dialog, operator, at):
        return REFUSED
    warnings = warnings_of_taking(history, dialog, operator, at)
    return asks(warnings) if warnings and not confirmed else DONE


def of_closing(history: History, dialog: Dialog, operator: Operator, at: datetime) -> str:
    """Q9: whoever has it may close it, and supervisors."""
    if not operator.is_active.at(at):
        return REFUSED
    if not is_open(history, dialog, at):
        return IS_CLOSED
    return DONE if operator.is_supervisor else of_having(history, dialog, operator, at)


def of_having(history: History, dialog: Dialog, operator: Operator, at: datetime) -> str:
    held = holding(history, dialog, at)
    if held.operator == operator.name:
        return DONE
    return NOT_THEIRS if held.operator is None else is_taken(held.operator)


def of_transfer(history: History, dialog: Dialog, actor: Operator, move: Move, *, confirmed: bool) -> str:
    """Q5, Q10: whoever has it may hand it on, and supervisors; warned of a limit, of who is away or does not speak the language."""
    at = move.at
    if not actor.is_active.at(at):
        return REFUSED
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
    return of_handing(history, dialog, history.operators[move.operator or ""], at, confirmed=confirmed)


def of_handing(history: History, dialog: Dialog, target: Operator, at: datetime, *, confirmed: bool) -> str:
    """What comes of a transfer to somebody by a person who may transfer."""
    if not target.is_active.at(at) or target.name == holding(history, dialog, at).operator:
        return REFUSED
    warnings = warnings_of_transfer(history, dialog, target, at)
    return asks(warnings) if warnings and not confirmed else DONE


def warnings_of_transfer(history: History, dialog: Dialog, target: Operator, at: datetime) -> list[str]:
    """Q5, Q10: what whoever hands a dialog to somebody is told first."""
    warnings = at_limit(history, target, dialog, at)
    if not is_online(history, target, at):
        warnings.append(NOT_ONLINE)
    if language(history, dialog) not in target.languages.at(at):
        warnings.append(NOT_SPOKEN)
    return warnings


def deadlines(history: History, at: datetime) -> list[datetime]:
    """Every moment after `at` at which a dialog goes back to its queue, closes, or is closed for good, as far as it can be told."""
    return sorted({*ends_of_assignments(history, at), *closings(history, at)})


def ends_of_assignments(history: History, at: datetime) -> set[datetime]:
    """Of them, those at which a dialog goes back to its queue (Q8)."""
    moments = set()
    for dialog in begun_by(history, at):
        held = holding(history, dialog, at)
        if held.operator is not None and not held.is_picked_up:
            moments |= {moment for moment, _ in ends_of_assignment(history, held, language(history, dialog), at)}
    return {moment for moment in moments if at < moment < NEVER}


def ends_of_waiting(history: History, at: datetime) -> set[datetime]:
    """Of them, those at which somebody has not picked up in time."""
    waiting = (holding(history, dialog, at) for dialog in begun_by(history, at))
    ends = {end_of_waiting(history, held, at) for held in waiting if held.operator is not None and not held.is_picked_up}
    return {moment for moment in ends if at < moment < NEVER}


def closings(history: History, at: datetime) -> set[datetime]:
    """Of them, those at which a dialog closes, or is closed for good (Q9, Q11)."""
    moments = set()
    for dialog in begun_by(history, at):
        for life in lives(history, dialog):
            moments.add(life.end)
            if life.end != NEVER:
                moments.add(end_of_window(history, life).reached_at)
    return {moment for moment in moments if at < moment < NEVER}


def begun_by(history: History, at: datetime) -> list[Dialog]:
    return [dialog for dialog in history.dialogs if dialog.started_at <= at]
