"""What the sections of the left panel hold (Q1 to Q5): the cards of a window of each, and in a few words the dialogs beyond it.

A section may hold 500 dialogs, and a page shows a hundred at first. What a page says of all of them, its counts, rings, title and
the loud card, must not depend on how far somebody has scrolled. So the others are read, too, but only what these need.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import QuerySet

from dialogs.models import Dialog
from dialogs.reading import queues
from dialogs.reading.cards import Card, card_rows, cards
from dialogs.reading.rights import person_of
from dialogs.rules.permissions import Person
from dialogs.rules.sections import Section
from operators.models import Language, Operator
from webim_offline.foundation.database.prepared import Asked, find_together, prepared

WINDOW = 100  # cards of a section that a page shows before it is scrolled on
# Each number of rows makes a statement of its own, so there are few.
ROWS = (10, 50, 100, 200, 300, 400, queues.MOST_FOR_SUPERVISOR, 1000, 5000, 20_000, 100_000)

OWN = (Section.WAITING, Section.MINE)
QUEUES = (Section.GENERAL, Section.OFFLINE)


class Beyond(NamedTuple):
    """A dialog beyond its section's window.

    `present_since` is since when its visitor waits, if on the site; `said_at` when the visitor of an own dialog last wrote.
    """

    number: int
    present_since: datetime | None = None
    said_at: datetime | None = None


@dataclass(frozen=True)
class SectionRows:
    """The dialogs of one section, oldest first: those in the window as cards, the others in a few words.

    It shows `limit` at most (Q5). When it is full, `held_in_all` is how many an own section holds; None in other sections.
    """

    section: Section
    limit: int
    cards: list[Card]
    beyond: list[Beyond]
    held_in_all: int | None = None

    @property
    def shown(self) -> int:
        """How many dialogs the section shows, scrolled to its end."""
        return len(self.cards) + len(self.beyond)


@dataclass(frozen=True)
class PanelRows:
    """The sections of somebody's panel. `person` knows their departments and languages, unless they are a supervisor."""

    person: Person
    usual_language: int | None
    sections: list[SectionRows]


@dataclass(frozen=True)
class _Source:
    """Where the dialogs of a section that is not one's own come from: queries for so many of the oldest."""

    section: Section
    limit: int
    window: int
    cards: Callable[[int], Asked[Any]]
    numbers: Callable[[int], Asked[Any]]

    def window_asked(self) -> Asked[Any]:
        return self.cards(_enough(self.window))


@prepared
def _queue(
    account_id: int, departments: frozenset[int] | None, languages: frozenset[int] | None, *, is_offline: bool, most: int
) -> QuerySet[Dialog, Any]:
    return card_rows(queues.queue(account_id, departments, languages, is_offline=is_offline))[:most]


@prepared
def _queue_numbers(
    account_id: int, departments: frozenset[int] | None, languages: frozenset[int] | None, *, is_offline: bool, most: int
) -> QuerySet[Dialog, Any]:
    return _numbers(queues.queue(account_id, departments, languages, is_offline=is_offline), most, are_on_site=not is_offline)


@prepared
def _held(account_id: int, operator_id: int) -> QuerySet[Dialog, Any]:
    return card_rows(queues.held_by(account_id, operator_id))[: queues.MOST_HELD]


@prepared
def _others(account_id: int, operator_id: int, *, most: int) -> QuerySet[Dialog, Any]:
    return card_rows(queues.held_by_others(account_id, operator_id))[:most]


@prepared
def _others_numbers(account_id: int, operator_id: int, *, most: int) -> QuerySet[Dialog, Any]:
    return _numbers(queues.held_by_others(account_id, operator_id), most, are_on_site=False)


def _numbers(dialogs: QuerySet[Dialog], most: int, *, are_on_site: bool) -> QuerySet[Dialog, Any]:
    """Numbers of dialogs; where visitors may be on the site, also since when each waits, and since when they are away."""
    return dialogs.values_list("number", *(("waiting_since", "away_since") if are_on_site else ()))[:most]


@prepared
def _departments(operator_id: int) -> QuerySet[Any, Any]:
    return Operator.departments.through.objects.filter(operator=operator_id).values_list("department", flat=True)


@prepared
def _languages(operator_id: int) -> QuerySet[Any, Any]:
    return Operator.languages.through.objects.filter(operator=operator_id).values_list("language", flat=True)


@prepared
def _usual_language(account_id: int) -> QuerySet[Language, Any]:
    return Language.objects.filter(account=account_id, archived_at=None).values_list("pk", flat=True)[:1]


def panel_rows(operator: Operator, windows: Mapping[Section, int], needed: Collection[int] = ()) -> PanelRows:
    """Read the panel in one or two messages to the database, and in a few more where a section holds more than its window.

    `windows` says how many cards of a section are wanted, WINDOW unless it is named. A window reaches further where the loud card
    or one of the numbers in `needed` would lie beyond it.
    """
    account_id = operator.own_account.pk
    always = (_held.asked(account_id, operator.pk), _usual_language.asked(account_id))
    departments: list[int] = []
    languages: list[int] = []
    if operator.is_supervisor:
        sources = [*_queues(operator, None, None, windows), _of_others(operator, windows)]
        held_rows, usual, *found = find_together(*always, *(source.window_asked() for source in sources))
    else:
        own = (_departments.asked(operator.pk), _languages.asked(operator.pk))
        held_rows, usual, departments, languages = find_together(*always, *own)
        sources = _queues(operator, frozenset(departments), frozenset(languages), windows)
        found = find_together(*(source.window_asked() for source in sources))
    held = cards(held_rows)
    queued = _with_numbers(sources, found)
    loudest = _loudest(held, queued)
    needed = {*needed, loudest} if loudest is not None else {*needed}
    person = replace(person_of(operator, with_routes=False), departments=frozenset(departments), languages=frozenset(languages))
    sections = [*_held_sections(operator, held, windows, needed), *_reaching(queued, sources, needed)]
    return PanelRows(person, next(iter(usual), None), sections)


def _enough(size: int) -> int:
    return next((rows for rows in ROWS if rows >= size), size)


def _window(section: Section, windows: Mapping[Section, int], limit: int) -> int:
    return min(limit, _enough(max(WINDOW, windows.get(section, WINDOW))))


def _queues(
    operator: Operator, departments: frozenset[int] | None, languages: frozenset[int] | None, windows: Mapping[Section, int]
) -> list[_Source]:
    def source(section: Section) -> _Source:
        limit = _limit(section, operator)
        values = (operator.own_account.pk, departments, languages)
        is_offline = section == Section.OFFLINE
        return _Source(
            section,
            limit,
            _window(section, windows, limit),
            lambda most: _queue.asked(*values, is_offline=is_offline, most=most),
            lambda most: _queue_numbers.asked(*values, is_offline=is_offline, most=most),
        )

    return [source(section) for section in QUEUES]


def _of_others(operator: Operator, windows: Mapping[Section, int]) -> _Source:
    values = (operator.own_account.pk, operator.pk)
    return _Source(
        Section.OTHERS,
        queues.MOST_FOR_SUPERVISOR,
        _window(Section.OTHERS, windows, queues.MOST_FOR_SUPERVISOR),
        lambda most: _others.asked(*values, most=most),
        lambda most: _others_numbers.asked(*values, most=most),
    )


def _limit(section: Section, operator: Operator) -> int:
    """Q5: how many dialogs of a queue the operator sees."""
    limit = operator.limit("visible_offline_dialogs" if section == Section.OFFLINE else "visible_online_dialogs")
    return queues.MOST_FOR_SUPERVISOR if operator.is_supervisor or not limit else limit


def _held_sections(
    operator: Operator, held: list[Card], windows: Mapping[Section, int], needed: Collection[int]
) -> list[SectionRows]:
    counts = queues.counts_of_held(operator) if len(held) == queues.MOST_HELD else {}
    found = []
    for section in OWN:
        theirs = [card for card in held if card.held_in == section]
        reach = max((place for place, card in enumerate(theirs, 1) if card.number in needed), default=0)
        window = max(_window(section, windows, queues.MOST_HELD), _enough(reach))
        rest = [Beyond(card.number, _present_since(card), _said_at(card)) for card in theirs[window:]]
        found.append(SectionRows(section, queues.MOST_HELD, theirs[:window], rest, counts.get(section)))
    return found


def _present_since(card: Card) -> datetime | None:
    return None if card.away_since or card.is_offline else card.waiting_since


def _said_at(card: Card) -> datetime | None:
    return card.last_message_at if card.last_is_visitors else None


def _with_numbers(sources: list[_Source], found: list[list[Any]]) -> list[SectionRows]:
    """The sections of these windows. Those whose window is full may go on beyond it."""
    windows = [cards(rows[: source.window]) for source, rows in zip(sources, found, strict=True)]
    full = [source for source, shown in zip(sources, windows, strict=True) if len(shown) == source.window < source.limit]
    asked = find_together(*(source.numbers(_enough(source.limit)) for source in full)) if full else []
    numbers = {source.section: rows[: source.limit] for source, rows in zip(full, asked, strict=True)}
    return [
        SectionRows(source.section, source.limit, shown, _beyond(source, shown, numbers.get(source.section, [])))
        for source, shown in zip(sources, windows, strict=True)
    ]


def _beyond(source: _Source, shown: list[Card], rows: list[Any]) -> list[Beyond]:
    in_window = {card.number for card in shown}
    found = [
        Beyond(number, moments[0] if moments and not moments[1] else None) for number, *moments in rows if number not in in_window
    ]
    return found[: source.limit - len(shown)]  # read a moment later, when one of the window may have gone


def _loudest(held: list[Card], sections: list[SectionRows]) -> int | None:
    """The number of the loud card: of the visitors who are on the site, the one who waits longest for the viewer or anybody."""
    waits = [(_present_since(card), card.number) for card in held]
    for rows in sections:
        if rows.section == Section.GENERAL:
            waits += [(_present_since(card), card.number) for card in rows.cards]
            waits += [(beyond.present_since, beyond.number) for beyond in rows.beyond]
    return min(((since, number) for since, number in waits if since is not None), default=(None, None))[1]


def _reaching(sections: list[SectionRows], sources: list[_Source], needed: Collection[int]) -> list[SectionRows]:
    """The sections, with windows that reach to what is needed."""
    short = {}
    for rows, source in zip(sections, sources, strict=True):
        reach = max((place for place, beyond in enumerate(rows.beyond, 1) if beyond.number in needed), default=0)
        if reach:
            short[rows.section] = replace(source, window=min(source.limit, _enough(len(rows.cards) + reach)))
    if not short:
        return sections
    found = find_together(*(source.window_asked() for source in short.values()))
    reread = {section: cards(window[: short[section].window]) for section, window in zip(short, found, strict=True)}
    return [_moved_into(rows, reread[rows.section]) if rows.section in reread else rows for rows in sections]


def _moved_into(rows: SectionRows, window: list[Card]) -> SectionRows:
    shown = {card.number for card in window}
    return replace(rows, cards=window, beyond=[beyond for beyond in rows.beyond if beyond.number not in shown])
