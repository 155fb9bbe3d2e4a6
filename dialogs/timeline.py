"""Why is it here? How a dialog began, where it stands and how it came there, in sentences, from what was stored (B3).

For operators only (P11). `sentences` holds what each event says; here they are put together.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from dialogs.evidence import listed
from dialogs.models import Dialog, DialogEvent, EventKind, State
from dialogs.queues import Section, queue_of
from dialogs.sentences import length_of, letters_sentence, sentence_of, start_sentences, who
from operators.models import Operator

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


def timeline(dialog: Dialog, reader: Operator, *, before: int | None = None) -> Timeline:
    """The newest MOST_EVENTS of the dialog, or the newest of those before a revision. At most three queries."""
    rows = dialog.events.select_related("actor").order_by("-revision", "-pk")
    found = list((rows if before is None else rows.filter(revision__lt=before))[: MOST_EVENTS + 1])
    events = found[:MOST_EVENTS][::-1]
    is_cut = len(found) > MOST_EVENTS
    first = dialog.events.order_by("revision", "pk").first() if is_cut else next(iter(events), None)
    started = first if first is not None and first.kind == EventKind.STARTED else None
    return Timeline(
        start=Line(dialog.created_at, start_sentences(dialog, started)),
        lines=lines_of([event for event in events if event != started], reader),
        earlier=events[0].revision if is_cut else None,
        place=place_of(dialog, reader),
    )


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


def lines_of(events: Sequence[DialogEvent], reader: Operator) -> list[Line]:
    """The events in the order of their storing, each with its sentence, or one for neighbours that are alike."""
    codes = "".join(CODES.get(EventKind(event.kind), "-") for event in events)
    lines: list[Line] = []
    for found in GROUPS.finditer(codes):
        group = events[found.start() : found.end()]
        lines += TOLD_TOGETHER[found.lastgroup](group, reader) if found.lastgroup else _alone(group, reader)
    return lines


def _alone(events: Sequence[DialogEvent], reader: Operator) -> list[Line]:
    """The first event's own sentence."""
    return [Line(events[0].at, sentence_of(events[0], reader))]


def _span(first: DialogEvent, last: DialogEvent, sentence: str) -> Line:
    """One line for several events; a page shows minutes, so a group within one has no end of its own."""
    same_minute = first.at.replace(second=0, microsecond=0) == last.at.replace(second=0, microsecond=0)
    return Line(first.at, sentence, until=None if same_minute else last.at)


def _absences(events: Sequence[DialogEvent], reader: Operator) -> list[Line]:
    """Absences too short to move the dialog: one by its length, several by their number."""
    backs = [event for event in events if event.kind == EventKind.VISITOR_CAME_BACK]
    if len(backs) == 1:
        away = length_of(backs[0].data.get("away", 0))
        return [Line(events[0].at, _("The visitor left the site and came back after %(time)s.") % {"time": away})]
    told = ngettext(
        "The visitor left the site and came back %(count)s time.",
        "The visitor left the site and came back %(count)s times.",
        len(backs),
    )
    return [_span(events[0], backs[-1], told % {"count": len(backs)})]


def _talk(events: Sequence[DialogEvent], reader: Operator) -> list[Line]:
    """Messages that follow each other; a single one has its own sentence."""
    count = len(events)
    if count == 1:
        return _alone(events, reader)
    answers = [event for event in events if event.kind == EventKind.OPERATOR_WROTE]
    people = dict.fromkeys(_("you") if event.actor == reader else who(event.actor, reader) for event in answers)
    if not answers:
        told = ngettext("The visitor wrote %(count)s message.", "The visitor wrote %(count)s messages.", count)
    elif len(answers) < count:
        told = ngettext(
            "Conversation with %(names)s: %(count)s message.", "Conversation with %(names)s: %(count)s messages.", count
        )
    else:
        told = ngettext("%(count)s answer from %(names)s.", "%(count)s answers from %(names)s.", count)
    return [_span(events[0], events[-1], told % {"count": count, "names": listed(list(people))})]


def _letters(events: Sequence[DialogEvent], reader: Operator) -> list[Line]:
    """What became of each letter by the end of the run; those that ended alike share a sentence."""
    last: dict[str, DialogEvent] = {}
    for event in events:
        last.pop(event.data["key"], None)
        last[event.data["key"]] = event
    alike: dict[str, list[DialogEvent]] = {}
    for event in last.values():
        alike.setdefault(event.data["status"], []).append(event)
    return [Line(group[-1].at, letters_sentence(group, reader)) for group in alike.values()]


# one letter an event, and patterns over them
CODES = {
    EventKind.VISITOR_LEFT: "L",
    EventKind.LEFT_NOTICE: "N",
    EventKind.VISITOR_CAME_BACK: "B",
    EventKind.RETURNED: "R",
    EventKind.VISITOR_WROTE: "v",
    EventKind.OPERATOR_WROTE: "o",
    EventKind.DELIVERY: "d",
}
GROUPS = re.compile(r"(?P<absences>(?:LN?BR?)+)|(?P<back>BR)|(?P<talk>[vo]+)|(?P<letters>d+)|.")
TOLD_TOGETHER: dict[str, Callable[[Sequence[DialogEvent], Operator], list[Line]]] = {
    "absences": _absences,
    "back": _alone,
    "talk": _talk,
    "letters": _letters,
}
