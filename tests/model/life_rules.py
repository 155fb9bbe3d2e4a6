"""The rules Q9, Q11 and M10 once more: when a dialog is open, and where a visitor's message goes (see oracle.py)."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from tests.model.facts import CLOSED_BY_OPERATOR, CLOSED_BY_VISITOR, NEVER, Dialog, History, Visitor
from tests.model.start_rules import deadline, due, is_email_only, started_email_only, started_offline

EMAIL_ONLY_LASTS = timedelta(days=30)  # M10
CLOSED = "closed"


@dataclass(frozen=True)
class Life:
    """A dialog is open from `begin` until `end` (NEVER: it still is) and then `how` it was closed."""

    begin: datetime
    end: datetime
    how: str


def lives(history: History, dialog: Dialog) -> list[Life]:
    """Q9: open from its start until it is closed, and again from each visitor's message that came to it afterwards."""
    begin, found = dialog.started_at, []
    while True:
        end, how = min(ends(history, dialog, begin), default=(NEVER, ""))
        found.append(Life(begin, end, how))
        later = [one.at for one in dialog.written if one.author == "visitor" and one.at >= end]
        if not later:
            return found
        begin = min(later)


def ends(history: History, dialog: Dialog, begin: datetime) -> Iterator[tuple[datetime, str]]:
    """What closes a dialog that is open since `begin`, each with its moment: the first one does."""
    for move in dialog.moves:
        if move.what in {CLOSED_BY_VISITOR, CLOSED_BY_OPERATOR} and move.at >= begin:
            yield move.at, move.what
    if started_email_only(history, dialog) and not dialog.brought_in:
        yield max(one.at for one in dialog.written) + EMAIL_ONLY_LASTS, CLOSED  # M10
        return
    words = sorted((one.at, one.author) for one in dialog.written if one.at >= begin)
    for (at, author), (next_at, _) in zip(words, [*words[1:], (NEVER, "")], strict=True):
        if author != "visitor":
            silent = deadline(history, at, max([at, *dialog.brought_in]), "close_after").reached_at
            if silent <= next_at and silent != NEVER:
                yield silent, CLOSED_BY_OPERATOR  # Q11


def life_at(history: History, dialog: Dialog, at: datetime) -> Life:
    """The one that had begun last."""
    return [life for life in lives(history, dialog) if life.begin <= at][-1]


def is_open(history: History, dialog: Dialog, at: datetime) -> bool:
    return at < life_at(history, dialog, at).end


def how_closed(history: History, dialog: Dialog, at: datetime) -> str:
    """Q9: how the dialog that is not open was closed, or `closed`: it can be reopened no longer."""
    life = life_at(history, dialog, at)
    return life.how if at < due(life.end, history.settings["reopen_window"]) else CLOSED


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
