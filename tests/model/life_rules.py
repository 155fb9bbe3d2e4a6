"""The rules Q9, Q11 and M10 once more: when a dialog is open, and where a visitor's message goes (see oracle.py)."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from tests.model.facts import CLOSED_BY_OPERATOR, CLOSED_BY_VISITOR, NEVER, Dialog, History, Visitor
from tests.model.start_rules import Deadline, deadline, is_email_only, started_email_only, started_offline

EMAIL_ONLY_LASTS = timedelta(days=30)  # M10
CLOSED = "closed"


@dataclass(frozen=True, order=True)
class Life:
    """A dialog is open from `begin` until `end` (NEVER: it still is) and then `how` it was closed, by itself or `by_hand`.

    `stored`: the moment of its closing, by the clock on the wall.
    """

    begin: datetime
    end: datetime
    how: str
    stored: datetime
    by_hand: bool


def lives(history: History, dialog: Dialog) -> list[Life]:
    """Q9: open from its start until it is closed, and again from each visitor's message that came to it afterwards."""
    begin, found = dialog.started_at, []
    while True:
        life = min(ends(history, dialog, begin), default=Life(begin, NEVER, "", NEVER, False))
        found.append(life)
        later = [one.at for one in dialog.written if one.author == "visitor" and one.at >= life.end]
        if not later:
            return found
        begin = min(later)


def ends(history: History, dialog: Dialog, begin: datetime) -> Iterator[Life]:
    """What closes a dialog that is open since `begin`, each with its moment: the first one does."""
    for move in dialog.moves:
        if move.what in {CLOSED_BY_VISITOR, CLOSED_BY_OPERATOR} and move.at >= begin:
            yield Life(begin, move.at, move.what, history.shown(move.at), True)
    if started_email_only(history, dialog) and not dialog.brought_in:
        end = max(one.at for one in dialog.written) + EMAIL_ONLY_LASTS  # M10
        yield Life(begin, end, CLOSED, history.shown(end), False)
        return
    words = sorted((one.at, one.author) for one in dialog.written if one.at >= begin)
    for (at, author), (next_at, _) in zip(words, [*words[1:], (NEVER, "")], strict=True):
        if author != "visitor":
            silent = deadline(history, at, max([at, *dialog.brought_in]), "close_after")
            if silent.reached_at <= next_at and silent.reached_at != NEVER:
                yield Life(begin, silent.reached_at, CLOSED_BY_OPERATOR, silent.stored, False)  # Q11


def life_at(history: History, dialog: Dialog, at: datetime) -> Life:
    """The one that had begun last."""
    return [life for life in lives(history, dialog) if life.begin <= at][-1]


def is_open(history: History, dialog: Dialog, at: datetime) -> bool:
    return at < life_at(history, dialog, at).end


def how_closed(history: History, dialog: Dialog, at: datetime) -> str:
    """Q9: how the dialog that is not open was closed, or `closed`: it can be reopened no longer."""
    life = life_at(history, dialog, at)
    return life.how if at < end_of_window(history, life).reached_at else CLOSED


def end_of_window(history: History, life: Life) -> Deadline:
    """Q9: when a dialog that was closed cannot be reopened any longer: `reopen_window` after its closing (Z2, Z3)."""
    for since, until, seconds in history.settings["reopen_window"].periods():
        stored = life.stored + timedelta(seconds=seconds)
        if since > life.end:
            stored = max(stored, history.shown(since))
        for clock_set, clock_set_again, ahead in history.ahead.periods():
            reached = max(stored - ahead, life.end, since, clock_set)
            if reached < min(until, clock_set_again):
                return Deadline(reached, stored)
    return Deadline(NEVER, NEVER)


def is_reopenable(history: History, dialog: Dialog, at: datetime) -> bool:
    """Q9: a visitor's message would open it again. Email-only ones never (docs/states.md)."""
    return not is_open(history, dialog, at) and how_closed(history, dialog, at) != CLOSED and not is_email_only(history, dialog, at)


def receiver(history: History, visitor: Visitor, asked_department: str | None, asked_language: str, at: datetime) -> Dialog | None:
    """Q9, M10: the dialog that a visitor's message written now joins or reopens; None: it starts one.

    An email-only dialog is joined only while the service is offline for what the message asks for.
    """
    theirs = [one for one in history.dialogs if one.visitor is visitor]
    still_open = [one for one in theirs if is_open(history, one, at)]
    for dialog in still_open:
        if not started_email_only(history, dialog):
            return dialog
    for dialog in still_open:
        if not is_email_only(history, dialog, at):
            return dialog
    closed = [one for one in theirs if is_reopenable(history, one, at)]
    if closed:
        return max(closed, key=lambda one: life_at(history, one, at).end)
    new = Dialog(visitor, at, asked_department, asked_language)
    return next((one for one in still_open if started_offline(history, new)), None)
