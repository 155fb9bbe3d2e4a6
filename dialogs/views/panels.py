"""The left panel: its sections, what each shows and why some of it is hidden (Q1 to Q5)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from dialogs.models import Dialog, StartState, State
from dialogs.reading import archive, queues
from dialogs.reading.cards import Card, card_rows, cards
from dialogs.reading.rights import person_of
from dialogs.rules.permissions import Person
from dialogs.rules.sections import Section
from dialogs.views.card_html import CardHtml, Setting, html_of
from dialogs.views.panel_cursor import cursor_of, known_cards
from operators.models import Assignment, Language, Operator
from webim_offline.foundation.database.prepared import Asked, find_together, prepared

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

OWN = (Section.WAITING, Section.MINE)
QUEUES = (Section.GENERAL, Section.OFFLINE)
ROWS = (10, 50, 100, 200, queues.MOST_FOR_SUPERVISOR, 1000, 5000, 20_000, 100_000)


@dataclass(frozen=True)
class Panel:
    """One section as the page shows it: its cards, how many dialogs it holds, and why some are not shown."""

    key: str
    title: str
    cards: list[CardHtml]
    count: int
    is_own: bool  # it holds the viewer's own dialogs
    rings: bool  # what is new in it rings (Q12)
    note: str = ""
    archived_as: str = ""  # the query of the archive that finds those, too, that are not shown


@dataclass(frozen=True)
class Viewer:
    """Whose panel it is, with what decides what its cards say. `current` is the number of the dialog that is open."""

    operator: Operator
    person: Person
    shows_departments: bool
    usual_language: int | None
    current: int | None

    def html(self, section: Section, cards: Iterable[Card]) -> list[CardHtml]:
        setting = Setting(section.value, section in OWN, self.shows_departments, self.usual_language)
        return html_of(cards, setting, self.current)


@prepared
def _queue(
    account_id: int, departments: frozenset[int] | None, languages: frozenset[int] | None, *, is_offline: bool, most: int
) -> QuerySet[Dialog, Any]:
    return card_rows(queues.queue(account_id, departments, languages, is_offline=is_offline))[:most]


@prepared
def _held(account_id: int, operator_id: int) -> QuerySet[Dialog, Any]:
    return card_rows(queues.held_by(account_id, operator_id))[: queues.MOST_HELD]


@prepared
def _others(account_id: int, operator_id: int) -> QuerySet[Dialog, Any]:
    return card_rows(queues.held_by_others(account_id, operator_id))[: queues.MOST_FOR_SUPERVISOR]


@prepared
def _departments(operator_id: int) -> QuerySet[Any, Any]:
    return Operator.departments.through.objects.filter(operator=operator_id).values_list("department", flat=True)


@prepared
def _languages(operator_id: int) -> QuerySet[Any, Any]:
    return Operator.languages.through.objects.filter(operator=operator_id).values_list("language", flat=True)


@prepared
def _usual_language(account_id: int) -> QuerySet[Language, Any]:
    return Language.objects.filter(account=account_id, archived_at=None).values_list("pk", flat=True)[:1]


def panels(operator: Operator, current: int | None = None) -> list[Panel]:
    """The sections of the operator's left panel, in one or two messages to the database, and a few more where some are full."""
    account_id = operator.own_account.pk
    limits = {section: _limit(section, operator) for section in QUEUES}
    always = (_held.asked(account_id, operator.pk), _usual_language.asked(account_id))
    departments, languages, others = [], [], None
    if operator.is_supervisor:
        others_asked = _others.asked(account_id, operator.pk)
        held_rows, usual, *queue_rows, others = find_together(*always, *_queues_asked(account_id, None, None, limits), others_asked)
    else:
        own = (_departments.asked(operator.pk), _languages.asked(operator.pk))
        held_rows, usual, departments, languages = find_together(*always, *own)
        queue_rows = find_together(*_queues_asked(account_id, frozenset(departments), frozenset(languages), limits))
    viewer = Viewer(
        operator,
        replace(person_of(operator, with_routes=False), departments=frozenset(departments), languages=frozenset(languages)),
        shows_departments=operator.is_supervisor or len(departments) != 1,
        usual_language=next(iter(usual), None),
        current=current,
    )
    held = cards(held_rows)
    counts = _counts_of_held(operator) if len(held) == queues.MOST_HELD else {}
    found = [
        _held_panel(Section.WAITING, held, counts.get(State.QUEUE), viewer),
        _held_panel(Section.MINE, held, counts.get(State.CHATTING), viewer),
    ]
    found += [
        _queue_panel(section, cards(rows[: limits[section]]), limits[section], viewer)
        for section, rows in zip(QUEUES, queue_rows, strict=True)
    ]
    if others is not None:
        count = queues.others(operator).count() if len(others) == queues.MOST_FOR_SUPERVISOR else len(others)
        found.append(_panel(Section.OTHERS, cards(others), count, queues.MOST_FOR_SUPERVISOR, viewer))
    return found


def _queues_asked(
    account_id: int, departments: frozenset[int] | None, languages: frozenset[int] | None, limits: Mapping[Section, int]
) -> list[Asked[Any]]:
    return [
        _queue.asked(account_id, departments, languages, is_offline=section == Section.OFFLINE, most=_enough(limits[section]))
        for section in QUEUES
    ]


def _counts_of_held(operator: Operator) -> dict[str, int]:
    return dict(queues.held(operator).order_by().values_list("state").annotate(Count("pk")))


def _held_panel(section: Section, held: list[Card], count: int | None, viewer: Viewer) -> Panel:
    """`count` is how many there are in all; None: all of them are in `held`."""
    shown = [card for card in held if card.held_in == section]
    return _panel(section, shown, len(shown) if count is None else count, len(shown), viewer)


def _enough(limit: int) -> int:
    """The least of a few numbers of rows that is at least `limit`: each makes a statement of its own."""
    return next((size for size in ROWS if size >= limit), limit)


def _limit(section: Section, operator: Operator) -> int:
    """Q5: how many dialogs of a queue the operator sees."""
    limit = operator.limit("visible_offline_dialogs" if section == Section.OFFLINE else "visible_online_dialogs")
    return queues.MOST_FOR_SUPERVISOR if operator.is_supervisor or not limit else limit


def _queue_panel(section: Section, shown: list[Card], limit: int, viewer: Viewer) -> Panel:
    count = len(shown)
    if count == limit:
        is_offline = section == Section.OFFLINE
        count = max(queues.waiting_count(viewer.operator, is_offline=is_offline, person=viewer.person), limit)
    return _panel(section, shown, count, limit, viewer)


def rings(section: Section, operator: Operator) -> bool:
    """Q12: own dialogs ring always, queues where dialogs are taken by hand, those of others never."""
    return section in OWN or (section in QUEUES and operator.own_account.assignment == Assignment.MANUAL)


def _panel(section: Section, shown: list[Card], count: int, limit: int, viewer: Viewer) -> Panel:
    note = ""
    if len(shown) < limit:
        count = len(shown)  # counted a moment later, when another may have come
    elif count > len(shown):
        note = _("And %(more)s more. This section shows the oldest ones only, %(shown)s at most.") % {
            "more": count - len(shown),
            "shown": limit,
        }
    return Panel(
        key=section.value,
        title=str(TITLES[section]),
        cards=viewer.html(section, shown),
        count=count,
        is_own=section in OWN,
        rings=rings(section, viewer.operator),
        note=note,
        archived_as=urlencode(ARCHIVED_AS[section]),
    )


def list_context(operator: Operator, current: int | None, *, under: int | None = None, has: str = "") -> dict[str, Any]:
    """What `_panel.html` needs; `current` is the number of the dialog that is open, `under` of the card under the hand.

    `has` is the cursor of the cards that the page has already (`panel_cursor`).

    Where that card has left the panel, the hand is told why before it goes.
    """
    sections = panels(operator, current)
    known = known_cards(operator, has)
    return {
        "panels": sections,
        "gone": _gone(operator, sections, under),
        "known": known,
        "cursor": cursor_of(operator, [card for panel in sections for card in panel.cards], kept=has if known else ""),
    }


def _gone(operator: Operator, sections: list[Panel], under: int | None) -> tuple[int, str] | None:
    """The number of a dialog that is in none of the sections any more, and what became of it as far as the operator may know."""
    if under is None or any(card.number == under for panel in sections for card in panel.cards):
        return None
    dialog = queues.visible_to(operator).select_related("operator").filter(number=under).first()
    if dialog is not None and dialog.is_open and dialog.operator is not None:
        return under, _("%(who)s took it") % {"who": dialog.operator}
    if dialog is not None and not dialog.is_open:
        return under, _("Closed")
    return under, _("Not here any more")
