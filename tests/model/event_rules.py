"""Z2 once more: what is written of a dialog's way through queues and hands, each with the moment its rule names (see oracle.py).

Of presence only messages are written (`oracle.messages`). Moments are by the clock on the wall.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from tests.model import facts
from tests.model.facts import Dialog, History
from tests.model.holding_rules import CLOSED_BY_TIME, REOPENED, RETURNED, Turn, course, ends_of_assignment
from tests.model.life_rules import end_of_window, lives
from tests.model.start_rules import language, started_email_only

KINDS = frozenset(
    {
        "started", "visitor_wrote", "operator_wrote", "picked_up", "assigned", "unassigned", "transferred", "reopened",
        "entered_workspace", "closed_by_visitor", "closed_by_operator", "closed_by_time", "closed_by_silence", "closed_for_good",
    }
)  # fmt: skip

Event = tuple[datetime, str, str | None, tuple[Any, ...]]  # when, what, who did it, and what else is kept of it


def events(history: History, dialog: Dialog, at: datetime) -> list[Event]:
    """Everything of KINDS up to that moment, in the order of the moments."""
    found = [*of_words(history, dialog, at), *of_turns(history, dialog, at), *of_closings(history, dialog, at)]
    found += [(history.shown(moment), "entered_workspace", None, ()) for moment in dialog.brought_in if moment <= at]
    return sorted(found, key=str)


def of_words(history: History, dialog: Dialog, at: datetime) -> Iterator[Event]:
    """A visitor's word begins a dialog, opens it again, or is told as such."""
    begins = {life.begin for life in lives(history, dialog)[1:]}
    yield history.shown(dialog.started_at), "started", None, ()
    for word in dialog.written:
        if word.author != "visitor" and word.at <= at:
            yield history.shown(word.at), "operator_wrote", word.author, ()
        elif dialog.started_at < word.at <= at and word.at not in begins:
            yield history.shown(word.at), "visitor_wrote", None, ()


def of_turns(history: History, dialog: Dialog, at: datetime) -> Iterator[Event]:
    """Who got it, from whom it went back and why, who hands it on."""
    for turn in course(history, dialog, at):
        moment, move = history.shown(in_whole(turn.at)), turn.move
        if turn.what == RETURNED:
            yield moment, "unassigned", None, (turn.before.operator, *reasons(history, dialog, turn))
        elif turn.what == REOPENED:
            yield moment, "reopened", None, (turn.after.operator,)
        elif move is None:
            assert turn.what == CLOSED_BY_TIME, turn  # told by `of_closings`
        elif move.what == facts.PICKED_UP:
            taken_from = turn.before.operator if turn.before.operator != move.operator else None
            yield moment, "picked_up", move.operator, (taken_from, move.warned)
        elif move.what == facts.ASSIGNED:
            yield moment, "assigned", None, (move.operator,)
        elif move.what in {facts.CLOSED_BY_VISITOR, facts.CLOSED_BY_OPERATOR}:
            yield moment, move.what, move.by, ()
        else:
            yield moment, "transferred", move.by, (move.what, move.operator or move.department, move.warned)


def reasons(history: History, dialog: Dialog, turn: Turn) -> list[str]:
    """Q8, A5: why it went back. Of several that come together any may be kept."""
    ends = ends_of_assignment(history, turn.before, language(history, dialog), turn.at)
    return sorted({why for end, why in ends if in_whole(end) == in_whole(turn.at)})


def in_whole(moment: datetime) -> datetime:
    """The millisecond it lies in: somebody is away right after the end of a lease, and that end is kept (A2)."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def of_closings(history: History, dialog: Dialog, at: datetime) -> Iterator[Event]:
    """Q9, Q11, M10: closed by itself, and closed for good."""
    lived = lives(history, dialog)
    for life, next_begin in zip(lived, [*(one.begin for one in lived[1:]), at], strict=True):
        if life.end > at:
            continue
        by_mail = started_email_only(history, dialog) and not any(moment <= life.end for moment in dialog.brought_in)
        if not life.by_hand:
            yield life.stored, "closed_by_time" if by_mail else "closed_by_silence", None, ()
        for_good = end_of_window(history, life)
        if for_good.reached_at <= next_begin and (life.by_hand or not by_mail):
            yield for_good.stored, "closed_for_good", None, ()
