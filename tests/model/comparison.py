"""What the product shows, held against what the oracle says."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import zip_longest
from typing import TYPE_CHECKING

from dialogs.models import Dialog, MessageKind
from dialogs.reading import system_messages
from tests.model import event_rules, oracle, queue_rules, start_rules
from tests.model.facts import History
from tests.model.holding_rules import holding
from tests.model.product import Product

if TYPE_CHECKING:
    from tests.model.story import Story

NOTHING: event_rules.Event = (datetime.min.replace(tzinfo=UTC), "nothing", None, ())
Compared = tuple[str, object, object]  # what, what the product says, what it should be
SYSTEM = {
    system_messages.LEFT: oracle.LEFT_NOTICE,
    system_messages.WENT_OFFLINE: oracle.WENT_OFFLINE,
    system_messages.RETURNED: oracle.CAME_BACK,
    system_messages.ENTERED: oracle.BROUGHT_IN,
}


def differences(story: "Story") -> list[str]:
    """Sentences, one for each thing that differs at this moment; none when all is well."""
    history, product, now = story.history, story.product, story.now
    turn = len(story.told)  # panels and availability cost the most: a part of them in turn
    viewers, places = sorted(history.operators), places_of(history)
    rows = product.dialogs()
    found = [*of_visitors(history, product, now), *of_dialogs(history, product, rows, now)]
    before_eyes = situation(history, rows, now)
    for viewer in viewers:
        if story.is_news(f"sections of {viewer}", before_eyes):
            found += of_sections(product, rows, viewer)
    for viewer in viewers if story.thorough else [viewers[turn % len(viewers)]]:
        if story.is_news(f"panel of {viewer}", before_eyes):
            found += of_panel(history, product, now, viewer)
    for place in places if story.thorough else [places[turn % len(places)]]:
        found += of_availability(history, product, now, *place)
        moments = story.moments[-5:]
        for then in moments if story.thorough or not moments else [moments[turn % len(moments)]]:
            found += of_availability_then(history, product, then, *place)
    return [
        f"{history.shown(now):%H:%M:%S.%f} {what}: the product says {says!r}, the rules say {should!r}"
        for what, says, should in found
        if says != should
    ]


def of_visitors(history: History, product: Product, at: datetime) -> Iterator[Compared]:
    """P1 to P3: who is on the site; P7: who has a push token."""
    rows = product.visitor_rows()
    for name, visitor in history.visitors.items():
        here = oracle.presence(history, visitor)
        present = any(period.begin <= at < period.end for period in here)
        row = rows[name]
        yield f"{name} is on the site", row.is_present, present
        if any(period.end <= at for period in here) and not present:
            yield f"{name} left at", row.left_at, history.shown(max(period.end for period in here if period.end <= at))
        yield f"{name} has a push token", row.has_token, oracle.has_token(history, visitor, at)


def of_dialogs(history: History, product: Product, rows: list[Dialog], at: datetime) -> Iterator[Compared]:
    """S1, M5, P3 to P10, Z2: every dialog as it stands, with its messages and events."""
    yield "dialogs", [row.number for row in rows], list(range(1, len(history.dialogs) + 1))
    for row, dialog in zip(rows, history.dialogs, strict=True):
        what = f"#{row.number}"
        held = holding(history, dialog, at)
        yield f"{what} department", row.department and row.department.slug, held.department
        yield f"{what} language", row.language.code, start_rules.language(history, dialog)
        yield f"{what} start state", row.start_state, "offline" if start_rules.started_offline(history, dialog) else "online"
        yield f"{what} email-only", row.email_only, start_rules.started_email_only(history, dialog)
        yield f"{what} started", row.created_at, history.shown(dialog.started_at)
        yield f"{what} state", row.state, queue_rules.state(history, dialog, at)
        yield f"{what} messages", messages(row), oracle.messages(history, dialog, at)
        events = event_rules.events(history, dialog, at)
        yield f"{what} events", with_all_reasons(product.events(row), events), events
        if row.is_open:
            waiting = queue_rules.waiting_since(history, dialog, at)
            yield f"{what} waits since", row.waiting_since, waiting and history.shown(waiting)
            shown = oracle.shown(history, dialog, at)
            yield f"{what} is had by", row.operator and row.operator.username, held.operator
            yield f"{what} in the workspace", row.in_workspace, not start_rules.is_email_only(history, dialog, at)
            yield f"{what} is offline", row.is_offline, shown.is_offline
            yield f"{what} left at", row.away_since, shown.away_since and history.shown(shown.away_since)


def with_all_reasons(says: list[event_rules.Event], should: list[event_rules.Event]) -> list[event_rules.Event]:
    """Where several reasons came together, the product keeps one of them."""
    return [
        wanted if wanted[1] == "unassigned" and said[:3] == wanted[:3] and set(said[3]) <= set(wanted[3]) else said
        for said, wanted in zip_longest(says, should, fillvalue=NOTHING)
    ]


def situation(history: History, rows: list[Dialog], at: datetime) -> object:
    """All that panels are made of: while it stays the same, so do they."""
    people = [
        (one.departments.at(at), one.languages.at(at), *(own.at(at) for own in one.limits.values()))
        for one in history.operators.values()
    ]
    dialogs = [
        (row.state, row.operator_id, row.is_offline, row.in_workspace, row.department_id, row.language_id, row.created_at)
        for row in rows
    ]
    return people, dialogs, history.settings["visible_online_dialogs"].at(at), history.settings["visible_offline_dialogs"].at(at)


def of_sections(product: Product, rows: list[Dialog], viewer: str) -> Iterator[Compared]:
    """`shown_section` and the querysets, which mirror it for the database, row by row."""
    one_by_one, together = product.sections(viewer, rows)
    yield f"sections of {viewer}, by shown_section instead of by the querysets", one_by_one, together


def of_panel(history: History, product: Product, at: datetime, viewer: str) -> Iterator[Compared]:
    """Q1 to Q5: one operator's left panel as it is shown, and which dialogs may be opened at all."""
    operator = history.operators[viewer]
    yield f"panel of {viewer}", product.panel(viewer), queue_rules.panel(history, operator, at)
    may_open = [n for n, dialog in enumerate(history.dialogs, start=1) if queue_rules.may_open(history, dialog, operator, at)]
    yield f"dialogs that {viewer} may open", product.may_open(viewer), may_open


def places_of(history: History) -> list[tuple[str | None, str]]:
    """Every department (and none) with every language."""
    return [(department, language) for department in (None, *history.departments) for language in history.languages]


def of_availability(history: History, product: Product, at: datetime, department: str | None, language: str) -> Iterator[Compared]:
    """A1, A2: is the service online now?"""
    online = start_rules.online_at(history, department, language, at)
    yield f"service {department} {language}", product.is_online(department, language), bool(online)


def of_availability_then(
    history: History, product: Product, at: datetime, department: str | None, language: str
) -> Iterator[Compared]:
    """A4: who was online at a past moment?"""
    online = start_rules.online_at(history, department, language, at)
    then = history.shown(at)
    yield f"online {department} {language} at {then:%H:%M:%S.%f}", product.online_at(department, language, then), online


def messages(row: Dialog) -> list[tuple[datetime, str]]:
    """As the oracle tells them: in the order of their moments."""
    found = []
    for message in row.messages.all():
        match message.kind:
            case MessageKind.VISITOR:
                found.append((message.at, "visitor"))
            case MessageKind.OPERATOR:
                found.append((message.at, message.author.username))
            case _:
                found.append((message.at, SYSTEM[message.code]))
    return sorted(found)
