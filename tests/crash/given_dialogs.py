"""A company whose dialogs are assigned automatically, and what must be true of all of them; called in a process of the service."""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from itertools import product

from django.db import connection

from dialogs.models import Dialog, DialogEvent, EventKind, Message, Numbering, State
from dialogs.reading import queues
from dialogs.reading.rights import facts_of
from dialogs.rules.sections import Section, section_of
from operators.actions.accounts import create_account
from operators.actions.parts import save_part
from operators.actions.people import create_operator
from operators.actions.settings import change_limits, change_settings
from operators.models import Account, Assignment, Department, Operator, Role
from tests.benchmarks.filling import Places, fill

ACCOUNT, PASSWORD = "north-tea", "correct horse battery"
LANGUAGES = ("en", "ru", "de")
DEPARTMENTS = ("support", "sales", "returns")
NOBODYS = "press"  # a department without operators
WAITING = 1500  # dialogs in the queues at the beginning, a third of them offline
STAFF = 10
LIMITS = {"max_online_dialogs": 24, "max_offline_dialogs": 12}
OWN_LIMITS = {0: {"max_online_dialogs": 3, "max_offline_dialogs": 50}, 1: {"max_offline_dialogs": 1}, 2: {"max_online_dialogs": 60}}
PICKUP, OF_SALES = 3, 2  # seconds: what is assigned keeps going back, and is given anew
LONG = 3600
Skills = Mapping[int, tuple[set[int], set[int]]]  # operator: departments, languages


def login(number: int) -> str:
    return f"operator-{number}"


def make_company() -> None:
    """15 queues, three of which nobody answers, and operators of two departments and two languages each."""
    account = Account(
        slug=ACCOUNT, name="North Tea", assignment=Assignment.AUTOMATIC, reopen_window=0, pickup_timeout=PICKUP, **LIMITS
    )
    create_account(account, language_codes=LANGUAGES, actor=None)
    departments = [Department(account=account, slug=slug, name=slug.title()) for slug in (*DEPARTMENTS, NOBODYS)]
    departments[1].pickup_timeout = OF_SALES
    for department in departments:
        save_part(department, actor=None)
    languages = list(account.languages.order_by("position"))
    for number in range(STAFF):
        operator = Operator(username=login(number), name=f"Operator {number}", account=account)
        own_departments = [departments[(number + n) % len(DEPARTMENTS)] for n in (0, 1)]
        own_languages = [languages[(number // 3 + n) % len(LANGUAGES)] for n in (0, 1)]
        create_operator(operator, password=PASSWORD, departments=own_departments, languages=own_languages)
        change_limits(operator, OWN_LIMITS.get(number, {}), actor=None)
    create_operator(Operator(username="vera", name="Vera", role=Role.SUPERVISOR, account=account), password=PASSWORD)
    pairs = list(product([None, *(department.pk for department in departments)], [language.pk for language in languages]))
    places = Places([account.pk] * len(pairs), [pair[0] for pair in pairs], [pair[1] for pair in pairs])
    fill(places, WAITING, "SELECT false AS noticed, NULL::timestamptz AS away")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE dialogs_dialog SET is_offline = number % 7 < 2, created_at = created_at + number * interval '10 ms'")
        cursor.execute("SELECT max(number) FROM dialogs_dialog")
        Numbering.objects.create(account=account, last_number=cursor.fetchone()[0])


def calm_down() -> None:
    """From now on what is assigned stays assigned."""
    account = Account.objects.get(slug=ACCOUNT)
    change_settings(account, {"pickup_timeout": LONG}, actor=None)
    sales = Department.objects.get(account=account, slug="sales")
    sales.pickup_timeout = None
    save_part(sales, actor=None)


def make_room() -> None:
    """No limits any more."""
    change_settings(Account.objects.get(slug=ACCOUNT), dict.fromkeys(LIMITS, 0), actor=None)
    for operator in Operator.objects.filter(account__slug=ACCOUNT):
        change_limits(operator, dict.fromkeys(LIMITS), actor=None)


def tell_wrong() -> None:
    """Print, as JSON, everything that is not as it must be."""
    print(json.dumps([*_wrong_sections(), *_wrong_histories()]))


def _wrong_sections() -> Iterator[tuple]:
    """Dialogs that somebody sees in two sections, in none, or in another than the rule says (Q1 to Q3)."""
    for viewer in Operator.objects.filter(account__slug=ACCOUNT):
        shown: dict[int, list[str]] = {}
        for section, dialogs in (
            (Section.GENERAL, queues.queued(viewer, is_offline=False)),
            (Section.OFFLINE, queues.queued(viewer, is_offline=True)),
            (Section.WAITING, queues.held(viewer).filter(state=State.QUEUE)),
            (Section.MINE, queues.held(viewer).filter(state=State.CHATTING)),
            (Section.OTHERS, queues.others(viewer) if viewer.is_supervisor else Dialog.objects.none()),
        ):
            for dialog in dialogs:
                shown.setdefault(dialog.pk, []).append(section)
        for dialog in queues.visible_to(viewer):
            rule = section_of(facts_of(dialog), viewer.pk)
            expected = [] if rule is None or (rule == Section.OTHERS and not viewer.is_supervisor) else [rule]
            found = shown.pop(dialog.pk, [])
            if found != expected:
                yield viewer.username, dialog.number, found, expected
        for pk, found in shown.items():
            yield viewer.username, pk, found, "not visible to them"


def _wrong_histories() -> Iterator[tuple]:
    """Dialogs that are not where their events lead, or whose events do not lead from one to the next."""
    skills: Skills = {
        operator.pk: (set(operator.departments.values_list("pk", flat=True)), set(operator.languages.values_list("pk", flat=True)))
        for operator in Operator.objects.filter(account__slug=ACCOUNT)
    }
    events: dict[int, list[DialogEvent]] = {}
    revisions: dict[int, list[int]] = {}
    for event in DialogEvent.objects.order_by("dialog", "revision", "pk"):
        events.setdefault(event.dialog_id, []).append(event)
        revisions.setdefault(event.dialog_id, []).append(event.revision)
    for dialog_id, revision in Message.objects.values_list("dialog", "revision"):
        revisions.setdefault(dialog_id, []).append(revision)
    for dialog in Dialog.objects.filter(account__slug=ACCOUNT).select_related("account").order_by("pk"):
        written = sorted(revisions.get(dialog.pk, []))
        if written and written != list(range(written[0], dialog.revision + 1)):
            yield dialog.number, "revisions", written, dialog.revision
        for wrong in _wrong_steps(dialog, events.get(dialog.pk, []), skills):
            yield dialog.number, *wrong


def _wrong_steps(dialog: Dialog, events: Iterable[DialogEvent], skills: Skills) -> Iterator[tuple]:
    """What of this dialog's events, in order, contradicts the one before, the rules, or the dialog as it stands."""
    holder: int | None = None
    state, assigned, picked_up = State.QUEUE, None, None
    for event in events:
        match event.kind:
            case EventKind.ASSIGNED:
                if holder is not None or state != State.QUEUE:
                    yield "assigned while somebody had it", event.revision
                holder, assigned = event.details.operator_id, event
                departments, languages = skills[holder]
                if dialog.department_id not in {None, *departments} or dialog.language_id not in languages:
                    yield "assigned to somebody of another place", event.revision
            case EventKind.UNASSIGNED:
                if (holder, state) != (event.details.operator_id, State.QUEUE):
                    yield "returned by somebody who did not have it", event.revision
                holder = None
            case EventKind.PICKED_UP:
                if holder not in {None, event.actor_id} or state != State.QUEUE:
                    yield "picked up while somebody else had it", event.revision
                holder, state, picked_up = event.actor_id, State.CHATTING, picked_up or event
            case EventKind.CLOSED_BY_VISITOR | EventKind.CLOSED_BY_OPERATOR:
                holder = holder if state == State.CHATTING else None
                state = State(event.kind)
            case EventKind.CLOSED_FOR_GOOD:
                state = State.CLOSED
    if (holder, state) != (dialog.operator_id, dialog.state):
        yield "not where its events lead", (holder, state), (dialog.operator_id, dialog.state)
    if dialog.picked_up_at != (picked_up and picked_up.at):
        yield "picked up", str(dialog.picked_up_at)
    if assigned and holder is not None and state == State.QUEUE:
        timeout = timedelta(seconds=dialog.account.pickup_timeout)
        if (
            dialog.assigned_at != assigned.at
            or dialog.pickup_from < assigned.at
            or dialog.pickup_by - dialog.pickup_from != timeout
        ):
            yield "pick-up times", *map(str, (assigned.at, dialog.assigned_at, dialog.pickup_from, dialog.pickup_by))
    elif (dialog.assigned_at, dialog.pickup_from, dialog.pickup_by) != (None, None, None):
        yield "pick-up times of what is not assigned", str(dialog.pickup_by)
