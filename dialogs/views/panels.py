"""The left panel: its sections, what each shows and why some of it is hidden (Q1 to Q5)."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from dialogs.models import StartState, State
from dialogs.reading import archive, queues
from dialogs.reading.cards import Card
from dialogs.reading.panel_rows import OWN, QUEUES, WINDOW, Beyond, SectionRows, panel_rows
from dialogs.rules.permissions import Person
from dialogs.rules.sections import Section
from dialogs.views.card_html import CardHtml, Setting, html_of
from dialogs.views.panel_cursor import cursor_of, known_parts
from operators.models import Assignment, Operator

TITLES = {
    Section.WAITING: gettext_lazy("Waiting for a reply"),
    Section.MINE: gettext_lazy("In dialog with you"),
    Section.GENERAL: gettext_lazy("General queue"),
    Section.OFFLINE: gettext_lazy("Offline inquiries"),
    Section.OTHERS: gettext_lazy("Other operators"),
}

# the archive's filters that find all dialogs of a section, among some others
ARCHIVED_AS: dict[Section, dict[str, str]] = {
    Section.WAITING: {"state": State.QUEUE},
    Section.MINE: {"state": State.CHATTING},
    Section.GENERAL: {"state": State.QUEUE, "current_state": StartState.ONLINE},
    Section.OFFLINE: {"state": State.QUEUE, "current_state": StartState.OFFLINE},
    Section.OTHERS: {"state": archive.OPEN},
}


@dataclass(frozen=True)
class Panel:
    """One section as the page shows it: the cards of its window, how many dialogs it holds, and why some are not shown.

    `beyond` says in few words what there is beyond the window, for the page's scripts. `more` is the text of the button that shows
    more of it; `numbers` are those of all dialogs of the section that the page may show.
    """

    key: str
    title: str
    cards: list[CardHtml]
    beyond: str
    more: str
    numbers: frozenset[int]
    count: int
    rings: bool  # what is new in it rings (Q12)
    note: str = ""
    archived_as: str = ""  # the query of the archive that finds those, too, that are not shown

    @property
    def name_of_beyond(self) -> str:
        """A short name for what is beyond the window, as `CardHtml.name` is for a card."""
        tag = hashlib.blake2s(self.beyond.encode(), digest_size=6).hexdigest()
        return f"{self.key}={tag}"


@dataclass(frozen=True)
class Viewer:
    """Whose panel it is, with what decides what its cards say. `current` is the number of the dialog that is open."""

    operator: Operator
    person: Person
    shows_departments: bool
    usual_language: int | None
    current: int | None
    waiting: queues.WaitingCounts

    def html(self, section: Section, cards: Iterable[Card]) -> list[CardHtml]:
        setting = Setting(section.value, section in OWN, self.shows_departments, self.usual_language)
        return html_of(cards, setting, self.current)


def panels(
    operator: Operator, current: int | None = None, *, windows: Mapping[Section, int] | None = None, under: int | None = None
) -> list[Panel]:
    """The sections of the operator's left panel, each with the cards of its window (`panel_rows`).

    The window reaches to the card of the dialog that is open, and to the one under the hand.
    """
    rows = panel_rows(operator, windows or {}, [number for number in (current, under) if number is not None])
    viewer = Viewer(
        operator,
        rows.person,
        shows_departments=operator.is_supervisor or len(rows.person.departments) != 1,
        usual_language=rows.usual_language,
        current=current,
        waiting=queues.WaitingCounts(operator, rows.person),
    )
    return [_panel(section, viewer) for section in rows.sections]


def _count(rows: SectionRows, viewer: Viewer) -> int:
    """How many dialogs the section holds, those included that Q5 hides."""
    if rows.section in OWN:
        return rows.shown if rows.held_in_all is None else rows.held_in_all
    if rows.shown < rows.limit:
        return rows.shown
    if rows.section == Section.OTHERS:
        return max(queues.others(viewer.operator).count(), rows.shown)
    is_offline = rows.section == Section.OFFLINE
    return max(viewer.waiting.of(is_offline=is_offline), rows.shown)


def rings(section: Section, operator: Operator) -> bool:
    """Q12: own dialogs ring always, queues where dialogs are taken by hand, those of others never."""
    return section in OWN or (section in QUEUES and operator.own_account.assignment == Assignment.MANUAL)


def _panel(rows: SectionRows, viewer: Viewer) -> Panel:
    section, count = rows.section, _count(rows, viewer)
    note = ""
    if count > rows.shown:
        note = _("And %(more)s more. This section shows the oldest ones only, %(shown)s at most.") % {
            "more": count - rows.shown,
            "shown": rows.shown,
        }
    return Panel(
        key=section.value,
        title=str(TITLES[section]),
        cards=viewer.html(section, rows.cards),
        beyond=" ".join([_in_words(beyond) for beyond in rows.beyond]),
        more=_("Show %(count)s more") % {"count": min(WINDOW, len(rows.beyond))} if rows.beyond else "",
        numbers=frozenset([card.number for card in rows.cards] + [beyond.number for beyond in rows.beyond]),
        count=count,
        rings=rings(section, viewer.operator),
        note=note,
        archived_as=urlencode(ARCHIVED_AS[section]),
    )


def _in_words(beyond: Beyond) -> str:
    """As `rings/look.js` reads it: a number, since when its visitor waits on the site, and when the visitor last wrote."""
    if beyond.present_since is None and beyond.said_at is None:
        return str(beyond.number)
    moments = [str(int(moment.timestamp() * 1000)) if moment else "" for moment in beyond[1:]]
    return ":".join([str(beyond.number), *moments]).rstrip(":")


def list_context(
    operator: Operator,
    current: int | None,
    *,
    windows: Mapping[Section, int] | None = None,
    under: int | None = None,
    has: str = "",
) -> dict[str, Any]:
    """What `_panel.html` needs; `current` is the number of the dialog that is open, `under` of the card under the hand.

    `windows` says how many cards of each section the page wants, and `has` is the cursor of what it has already (`panel_cursor`).

    Where the card under the hand has left the panel, the hand is told why before it goes.
    """
    sections = panels(operator, current, windows=windows, under=under)
    known = known_parts(operator, has)
    shown = [card for panel in sections for card in panel.cards]
    beyond = [panel.name_of_beyond for panel in sections if panel.beyond]
    return {
        "panels": sections,
        "gone": _gone(operator, sections, under),
        "known": known,
        "cursor": cursor_of(operator, shown, beyond, kept=has if known else ""),
    }


def _gone(operator: Operator, sections: list[Panel], under: int | None) -> tuple[int, str] | None:
    """The number of a dialog that is in none of the sections any more, and what became of it as far as the operator may know."""
    if under is None or any(under in panel.numbers for panel in sections):
        return None
    dialog = queues.visible_to(operator).select_related("operator").filter(number=under).first()
    if dialog is not None and dialog.is_open and dialog.operator is not None:
        return under, _("%(who)s took it") % {"who": dialog.operator}
    if dialog is not None and not dialog.is_open:
        return under, _("Closed")
    return under, _("Not here any more")
