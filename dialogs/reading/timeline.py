"""Why is it here? How a dialog began, where it stands and how it came there, in sentences, from what was stored (B3).

For operators only (P11). `sentences` holds what each event says; here they are put together.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from dialogs import events
from dialogs.event_classes import Event
from dialogs.models import Dialog, DialogEvent, State
from dialogs.reading.evidence import listed
from dialogs.reading.lengths import length_of
from dialogs.reading.letter_sentences import letters_sentence
from dialogs.reading.queues import queue_of
from dialogs.reading.sentences import sentence_of, start_sentences, who
from dialogs.rules.sections import Section
from operators.models import Operator
from webim_offline.foundation.database.prepared import prepared

MOST_EVENTS = 200  # of one dialog at once, the newest (X3)
MOST_UNFOLDED = 7  # lines of a page that need no click; of more only the LATEST
LATEST = 5


@dataclass(frozen=True, slots=True)
class Line:
    """One point of the timeline. The moment is the one its rule names (Z2); `until` is the last one of several alike."""

    at: datetime
    sentence: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Timeline:
    """`lines` are what followed the start, oldest first, in the order of storing (Z2).

    Events before the revision `earlier` are left out; None: none are. `place` says where the dialog stands now; empty for
    a closed one, whose last line says it.
    """

    start: Line
    lines: list[Line]
    earlier: int | None
    place: str

    @property
    def folded(self) -> list[Line]:
        """The lines between the start and the latest ones, which a page shows on demand."""
        return self.lines[:-LATEST] if len(self.lines) > MOST_UNFOLDED else []

    @property
    def latest(self) -> list[Line]:
        return self.lines[len(self.folded) :]


def timeline(dialog: Dialog, reader: Operator, *, before: int | None = None, newest: list[DialogEvent] | None = None) -> Timeline:
    """The newest MOST_EVENTS of the dialog, or the newest of those before a revision. At most three queries.

    `newest` are the events that `newest_events` finds, if the caller has read them.
    """
    if before is not None:
        found = _newest_events_before(dialog.pk, before)
    else:
        found = newest_events(dialog.pk) if newest is None else newest
    rows = found[:MOST_EVENTS][::-1]
    is_cut = len(found) > MOST_EVENTS
    first = dialog.events.order_by("revision", "pk").first() if is_cut else next(iter(rows), None)
    started = first if first is not None and isinstance(first.details, events.Started) else None
    return Timeline(
        start=Line(dialog.created_at, start_sentences(dialog, started.details if started else None)),
        lines=lines_of([row for row in rows if row != started], reader),
        earlier=rows[0].revision if is_cut else None,
        place=place_of(dialog, reader),
    )


@prepared
def newest_events(dialog_id: int) -> QuerySet[DialogEvent]:
    events_of_it = DialogEvent.objects.filter(dialog=dialog_id).select_related("actor")
    return events_of_it.order_by("-revision", "-pk")[: MOST_EVENTS + 1]


@prepared
def _newest_events_before(dialog_id: int, revision: int) -> QuerySet[DialogEvent]:
    events_of_it = DialogEvent.objects.filter(dialog=dialog_id, revision__lt=revision).select_related("actor")
    return events_of_it.order_by("-revision", "-pk")[: MOST_EVENTS + 1]


def place_of(dialog: Dialog, reader: Operator) -> str:
    """Where an open dialog stands now."""
    if not dialog.is_open:
        return ""
    if not dialog.in_workspace:
        number = dialog.continued_by.order_by("pk").values_list("number", flat=True).first()
        if number is None:
            return _("It only goes by mail and is in no section of the workspace.")
        told = _("It only goes by mail. The visitor wrote again when somebody was online: #%(number)s continues it.")
        return told % {"number": number}
    if dialog.operator is not None:
        words = {"who": who(dialog.operator, reader)}
        is_own = dialog.operator == reader
        if dialog.state == State.QUEUE:
            return _("It waits for your reply.") if is_own else _("It waits for a reply: %(who)s has it.") % words
        return _("It is in dialog with you.") if is_own else _("%(who)s has this dialog.") % words
    if queue_of(dialog) == Section.OFFLINE:
        return _("It waits in Offline inquiries: nobody has taken it yet, and the visitor is not on the site.")
    return _("It waits in General queue: nobody has taken it yet.")


# ----- what is alike and stands together shares a sentence -----


def lines_of(rows: Sequence[DialogEvent], reader: Operator) -> list[Line]:
    """The events of these rows in the order of their storing, each with its sentence, or one for neighbours that are alike."""
    codes = "".join(CODES.get(type(row.details), "-") for row in rows)
    lines: list[Line] = []
    for found in GROUPS.finditer(codes):
        group = rows[found.start() : found.end()]
        lines += TOLD_TOGETHER[found.lastgroup](group, reader) if found.lastgroup else _alone(group, reader)
    return lines


def _alone(rows: Sequence[DialogEvent], reader: Operator) -> list[Line]:
    """The first event's own sentence."""
    return [Line(rows[0].at, sentence_of(rows[0], reader))]


def _span(first: DialogEvent, last: DialogEvent, sentence: str) -> Line:
    """One line for several events; a page shows minutes, so a group within one has no end of its own."""
    same_minute = first.at.replace(second=0, microsecond=0) == last.at.replace(second=0, microsecond=0)
    return Line(first.at, sentence, until=None if same_minute else last.at)


def _absences(rows: Sequence[DialogEvent], reader: Operator) -> list[Line]:
    """Absences too short to move the dialog: one by its length, several by their number."""
    backs = [(row, row.details) for row in rows if isinstance(row.details, events.VisitorCameBack)]
    last, back = backs[-1]
    if len(backs) == 1:
        told = _("The visitor left the site and came back after %(time)s.") % {"time": length_of(back.away or 0)}
        return [Line(rows[0].at, told)]
    told = ngettext(
        "The visitor left the site and came back %(count)s time.",
        "The visitor left the site and came back %(count)s times.",
        len(backs),
    )
    return [_span(rows[0], last, told % {"count": len(backs)})]


def _talk(rows: Sequence[DialogEvent], reader: Operator) -> list[Line]:
    """Messages that follow each other; a single one has its own sentence."""
    count = len(rows)
    if count == 1:
        return _alone(rows, reader)
    answers = [row for row in rows if isinstance(row.details, events.OperatorWrote)]
    people = dict.fromkeys(_("you") if row.actor == reader else who(row.actor, reader) for row in answers)
    if not answers:
        told = ngettext("The visitor wrote %(count)s message.", "The visitor wrote %(count)s messages.", count)
    elif len(answers) < count:
        told = ngettext(
            "Conversation with %(names)s: %(count)s message.", "Conversation with %(names)s: %(count)s messages.", count
        )
    else:
        told = ngettext("%(count)s answer from %(names)s.", "%(count)s answers from %(names)s.", count)
    return [_span(rows[0], rows[-1], told % {"count": count, "names": listed(list(people))})]


def _letters(rows: Sequence[DialogEvent], reader: Operator) -> list[Line]:
    """What became of each letter by the end of the run; those that ended alike share a sentence."""
    last: dict[str, tuple[datetime, events.LetterStatusChanged]] = {}
    for row in rows:
        if isinstance(row.details, events.LetterStatusChanged):
            last.pop(row.details.key, None)
            last[row.details.key] = row.at, row.details
    alike: dict[str, list[tuple[datetime, events.LetterStatusChanged]]] = {}
    for at, letter in last.values():
        alike.setdefault(letter.status, []).append((at, letter))
    return [Line(group[-1][0], letters_sentence([letter for _at, letter in group])) for group in alike.values()]


def _unknown(rows: Sequence[DialogEvent], reader: Operator) -> list[Line]:
    """Neighbours that this program does not know: a newer release wrote them."""
    return [_span(rows[0], rows[-1], sentence_of(rows[0], reader))]


# one letter an event, and patterns over them
CODES: dict[type[Event], str] = {
    events.VisitorLeft: "L",
    events.LeftNotice: "N",
    events.VisitorCameBack: "B",
    events.Returned: "R",
    events.VisitorWrote: "v",
    events.OperatorWrote: "o",
    events.LetterStatusChanged: "d",
    events.Unknown: "u",
}
GROUPS = re.compile(r"(?P<absences>(?:LN?BR?)+)|(?P<back>BR)|(?P<talk>[vo]+)|(?P<letters>d+)|(?P<unknown>u+)|.")
TOLD_TOGETHER: dict[str, Callable[[Sequence[DialogEvent], Operator], list[Line]]] = {
    "absences": _absences,
    "back": _alone,
    "talk": _talk,
    "letters": _letters,
    "unknown": _unknown,
}
