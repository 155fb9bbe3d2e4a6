"""The product under test, driven through its own verbs: actions, live processes and the tasks of the clock worker.

Live processes are `LiveApp`s without sockets: their handlers are called as the network would call them, and their loops
are turned by hand. Pages, workspaces and people are known here by the names the histories use.
"""

import random
import re
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, OperationalError, connection

from dialogs import events, tasks
from dialogs.actions import assignment_by_hand, automatic_assignment, conversation, devices, errors, presence
from dialogs.actions.presence import LONGEST_GAP, Arrival, OutageBetween
from dialogs.live import tickets
from dialogs.live.app import LiveApp
from dialogs.live.database_thread import DatabaseThread
from dialogs.live.state import LiveState
from dialogs.models import Dialog, DialogEvent, EventKind, State, Visitor
from dialogs.reading import queues
from dialogs.reading.rights import facts_of, person_of
from dialogs.rules.sections import Section
from dialogs.views import panels
from operators import history
from operators import tasks as people_tasks
from operators.actions.parts import archive_part, restore_part, save_part
from operators.actions.people import change_people
from operators.actions.settings import change_limits, change_settings
from operators.actions.signs_of_life import seen
from operators.actions.status import set_status, sign_out
from operators.availability import service_states
from operators.models import Department, Language, Operator
from tests import people
from tests.model import facts, queue_rules
from tests.model.clock import Clock
from tests.model.event_rules import KINDS, Event
from tests.sections import shown_section

NOBODY: Any = None
SCOPE: dict[str, Any] = {"headers": []}
RENEW_EVERY = 5  # seconds, as LiveApp does


OUTCOMES: dict[type[errors.Refused], str] = {
    errors.DialogClosed: queue_rules.IS_CLOSED,
    errors.NotYours: queue_rules.NOT_THEIRS,
    errors.NotVisible: queue_rules.REFUSED,
    errors.Refused: queue_rules.REFUSED,
}
# the sentences of warnings, and what the rules call them
WARNINGS = (
    (re.compile(r"(\w+ has|You have) (\d+) (online|offline) dialogs?; the limit is (\d+)\."), "at_limit {} {} {} of {}"),
    (re.compile(r"\w+ is not online: [^.]*\."), queue_rules.NOT_ONLINE),
    (re.compile(r"\w+ does not speak the language of this dialog\."), queue_rules.NOT_SPOKEN),
)
AND_MORE = re.compile(r"And (\d+) more\. This section shows the oldest ones only, (\d+) at most\.")


def outcome_of(action: Callable[[], None]) -> str:
    """Do it, and say what comes of it."""
    try:
        action()
    except errors.AlreadyTaken as refusal:
        return queue_rules.is_taken(refusal.who.lower())
    except errors.NeedsConfirmation as refusal:
        return queue_rules.asks(warnings_in(str(refusal)))
    except errors.Refused as refusal:
        return OUTCOMES[type(refusal)]
    except PermissionDenied:
        return queue_rules.REFUSED
    return queue_rules.DONE


def warnings_in(text: str) -> list[str]:
    """What the sentences of a warning say, in the words of the rules; a sentence that is not known stays."""
    found: list[str] = []
    for sentence, words in WARNINGS:
        found += [words.format(*(part.lower() for part in match.groups())) for match in sentence.finditer(text)]
        text = sentence.sub("", text)
    return found + text.split()


def at_once(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a handler that has nothing to wait for."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waits for something")


@dataclass(frozen=True)
class Turn:
    """What a live process did in one turn: anything at all, renewing its lease, ending an outage first."""

    ran: bool
    renewed: bool
    saw_to_outage: bool


class WithoutThread(DatabaseThread):
    """Runs queries at once."""

    is_away = False

    async def run(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        if self.is_away:
            raise OperationalError("the database is away")
        return function(*args, **kwargs)


class Process(LiveApp):
    """A live process without a network and without threads."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.database = clock, WithoutThread()
        super().__init__(LiveState(clock=clock.steady, database=self.database))
        self.looked_at = clock.steady()

    def turn(self, account_id: int, *, renew: bool) -> Turn:
        """One turn of each of its loops: service states, the lease, presence. `renew`: its lease's turn comes now."""
        state, upkeep = self.state, self.upkeep.visits
        before, self.looked_at = self.looked_at, self.clock.steady()
        if self.looked_at - before > LONGEST_GAP.total_seconds():
            upkeep.is_cut_off = True
        sees_to_outage = upkeep.is_cut_off
        renews = renew or upkeep.is_cut_off or self.clock.steady() - upkeep.renewed_at >= RENEW_EVERY
        try:
            state.visits.leases = at_once(self.database.run(state.service_states.read, {account_id}))
            if renews:
                at_once(upkeep.renew_lease())
            at_once(upkeep.write_arrivals())
            at_once(upkeep.write_departures())
            at_once(upkeep.write_silences())
            state.visits.claim(at_once(self.database.run(presence.unclaimed_visits)))
        except (DatabaseError, OutageBetween):
            upkeep.is_cut_off = True
            return Turn(False, False, False)
        return Turn(True, renews, sees_to_outage)

    def write_workspaces(self) -> None:
        """One turn of the loop that stores the signs of life of workspaces."""
        with suppress(OperationalError):
            at_once(self.upkeep.workspaces.write_signs_of_life())


class Product:
    """One account with its people, and the processes that serve it."""

    def __init__(self, clock: Clock, settings: dict[str, Any], operators: dict[str, dict[str, Any]], visitors: list[str]) -> None:
        self.clock = clock
        self.account = people.make_account("north-tea", left_messages_email="left@north-tea.example", **settings)
        self.departments = {row.slug: row for row in Department.objects.filter(account=self.account)}
        self.languages = {row.code: row for row in Language.objects.filter(account=self.account)}
        self.operators = {name: self._appointed(name, **fields) for name, fields in operators.items()}
        self.visitors = {name: people.make_visitor(self.account, name=name, email=f"{name}@mail.example") for name in visitors}
        self.processes: dict[str, Process] = {}
        self.submissions = 0

    def _appointed(self, name: str, departments: tuple[str, ...], languages: tuple[str, ...], **fields: Any) -> Operator:
        """A person whose history begins with departments and languages, as in the admin (A4)."""
        person = people.make_operator(self.account, name, departments=(), languages=(), **fields)
        theirs = {"departments": [self.departments[s] for s in departments], "languages": [self.languages[c] for c in languages]}
        change_people(person, **theirs, active=True)
        return person

    # ----- processes -----

    def start_process(self, name: str) -> None:
        self.processes[name] = Process(self.clock)

    def kill_process(self, name: str) -> None:
        """What it had in memory is gone; its row stays."""
        del self.processes[name]

    def database(self, *, is_away: bool) -> None:
        """For the live processes. Nobody else may be asked to do anything while it is away."""
        for process in self.processes.values():
            process.database.is_away = is_away

    def turn_process(self, name: str, *, renew: bool) -> Turn:
        return self.processes[name].turn(self.account.pk, renew=renew)

    def write_workspaces(self) -> None:
        for process in self.processes.values():
            process.write_workspaces()

    def run_clock_worker(self) -> None:
        people_tasks.record_expiries()
        tasks.apply_setting_changes()
        tasks.end_lost_visits()
        tasks.advance_dialogs()
        self._seed()
        tasks.assign_dialogs()

    def _seed(self) -> None:
        """Ties are random (Q7), and the same when a history is lived through again."""
        random.seed(self.clock.true.isoformat())

    def commit(self) -> bool:
        """The transaction of a history never commits: what assigns dialogs right after the commit of an action does it here.

        Returns whether there was anything of that kind.
        """
        waiting = [function for _, function, _ in connection.run_on_commit]
        assigning = [function for function in waiting if getattr(function, "func", None) is automatic_assignment._assign_automatic]
        connection.run_on_commit = []
        self._seed()
        for function in assigning:
            function()
        return bool(assigning)

    # ----- visitors -----

    def _claims(self, visitor: str, page: str) -> dict[str, Any]:
        """As a ticket from before the visitor's row was made says it: that one is there by now is found at once."""
        known, language = self.visitors[visitor], self.languages["en"].pk
        return {"a": self.account.pk, "v": known.pk, "k": page, "d": None, "l": language, "n": known.token_digest}

    def page_opens(self, visitor: str, page: str, process: str) -> None:
        """The page opens a stream or a poll."""
        ticket = tickets.issue(tickets.VISIT, self._claims(visitor, page))
        at_once(self.processes[process].visit_handlers.sign_of_life({"ticket": ticket}, SCOPE))

    def page_answers_ping(self, visitor: str, page: str, process: str) -> None:
        known = self.visitors[visitor]
        self.processes[process].state.visits.sign(Arrival(known.pk, self.account.pk, page, token_digest=known.token_digest))

    def page_says_goodbye(self, visitor: str, page: str, process: str) -> None:
        ticket = tickets.issue(tickets.VISIT, self._claims(visitor, page))
        at_once(self.processes[process].visit_handlers.bye({"ticket": ticket}, NOBODY, SCOPE))

    def visitor_writes(self, visitor: str, page: str, department: str, language: str, *, from_app: bool) -> int:
        """Returns the number of the dialog that took the message."""
        self.submissions += 1
        submission = conversation.Submission(
            text="Where is my order?",
            key=f"key-{self.submissions}",
            department=department,
            language=language,
            visit_key=page,
            from_app=from_app,
        )
        return conversation.visitor_writes(self.account.pk, self.visitors[visitor].pk, submission).dialog.number

    def visitor_closes(self, visitor: str, number: int) -> None:
        conversation.close_by_visitor(self.visitors[visitor].pk, number)

    def app_reports(self, visitor: str, device: str, token: str | None) -> None:
        """The visitor's app tells of its device; of a push token too, unless that is None."""
        if token is None:
            devices.device_used(self.visitors[visitor].pk, device=device)
        else:
            devices.set_token(self.visitors[visitor].pk, device=device, token=token)

    def push_service_refuses(self, token: str) -> None:
        devices.remove_token(self.account.pk, token)

    # ----- operators -----

    def _person(self, name: str) -> Operator:
        return Operator.objects.select_related("account").get(pk=self.operators[name].pk)

    def workspace_opens(self, name: str) -> dict[str, Any]:
        """A request of the workspace, as its page makes; returns the claims of the ticket the page gets."""
        person = self._person(name)
        seen(person, self.clock.now)
        return tickets.workspace_claims(person)

    def workspace_answers_ping(self, claims: dict[str, Any], process: str) -> None:
        self.processes[process].workspace_handlers.sign_of_life(claims)

    def chooses(self, name: str, status: str, by: str) -> None:
        set_status(self._person(name), status, actor=self._person(by))

    def signs_out(self, name: str) -> None:
        sign_out(self._person(name))

    def becomes(self, name: str, departments: list[str], languages: list[str], active: bool) -> None:
        change_people(
            self._person(name),
            departments=[self.departments[slug] for slug in departments],
            languages=[self.languages[code] for code in languages],
            active=active,
            actor=self._person("vera"),
        )

    def dialog(self, number: int) -> Dialog:
        return Dialog.objects.get(account=self.account, number=number)

    def operator_takes(self, operator: str, number: int, *, instead_of: str | None, confirmed: bool) -> None:
        holder_id = self.operators[instead_of].pk if instead_of else None
        assignment_by_hand.take(self.dialog(number).pk, self._person(operator), instead_of=holder_id, confirmed=confirmed)

    def operator_answers(self, operator: str, number: int, *, confirmed: bool) -> None:
        self.submissions += 1
        key = f"key-{self.submissions}"
        conversation.answer(self.dialog(number).pk, self._person(operator), "It is on its way.", key=key, confirmed=confirmed)

    def operator_closes(self, operator: str, number: int) -> None:
        conversation.close_by_operator(self.dialog(number).pk, self._person(operator))

    def transfers(self, operator: str, number: int, what: str, to: str | None, department: str | None, *, confirmed: bool) -> None:
        dialog_id, actor = self.dialog(number).pk, self._person(operator)
        if to is not None:
            assignment_by_hand.transfer_to_operator(dialog_id, actor, self.operators[to].pk, confirmed=confirmed)
        elif department is not None:
            assignment_by_hand.transfer_to_department(dialog_id, actor, self.departments[department].pk)
        else:
            assignment_by_hand.return_to_queue(dialog_id, actor)

    def limits_operator(self, name: str, setting: str, value: int | None) -> None:
        change_limits(self._person(name), {setting: value}, actor=None)

    def changes_department(self, slug: str, pickup_timeout: int | None) -> None:
        department = Department.objects.get(pk=self.departments[slug].pk)
        department.pickup_timeout = pickup_timeout
        save_part(department, actor=None)

    def archives(self, slug: str, *, archived: bool) -> None:
        department = Department.objects.get(pk=self.departments[slug].pk)
        (archive_part if archived else restore_part)(department, actor=None)

    def assigned_since(self, event_id: int) -> list[tuple[int, int, str]]:
        """(event id, dialog number, operator) of what automatic assignment has given after that event, in its order."""
        rows = DialogEvent.objects.filter(account=self.account, kind=EventKind.ASSIGNED, pk__gt=event_id).order_by("pk")
        names = {person.pk: name for name, person in self.operators.items()}
        found = rows.values_list("pk", "dialog__number", "data__operator")
        return [(pk, number, names[operator_id]) for pk, number, operator_id in found]

    def brings_in(self, operator: str, number: int) -> None:
        conversation.bring_into_workspace(self.dialog(number).pk, actor=self.operators[operator])

    def settings_change(self, changes: dict[str, Any]) -> None:
        change_settings(self.account, changes, actor=self.operators["vera"])

    # ----- what it shows -----

    def dialogs(self) -> list[Dialog]:
        rows = Dialog.objects.filter(account=self.account).order_by("number")
        return list(
            rows.select_related("visitor", "department", "language", "operator").prefetch_related(
                "messages__author", "events__actor"
            )
        )

    def events(self, dialog: Dialog) -> list[Event]:
        """What was written of the dialog's way, as event_rules.py tells it."""
        names = {person.pk: name for name, person in self.operators.items()}
        found: list[Event] = []
        for event in dialog.events.all():
            kept: tuple[Any, ...] = ()
            match event.details:
                case events.PickedUp(from_operator_id=operator_id, warned=warned):
                    kept = (names.get(operator_id), tuple(one.value for one in warned))
                case events.Assigned(operator_id=operator_id):
                    kept = (names.get(operator_id),)
                case events.Unassigned(operator_id=operator_id, reason=reason):
                    kept = (names.get(operator_id), reason.value)
                case events.Reopened(operator_name=name):
                    kept = (name.lower() if name else None,)
                case events.Transferred(to=to, operator_id=operator_id, department=department, warned=warned):
                    where = {"operator": facts.TO_OPERATOR, "department": facts.TO_DEPARTMENT, "queue": facts.TO_QUEUE}[to]
                    target = names.get(operator_id) or (department.lower() if department else None)
                    kept = (where, target, tuple(one.value for one in warned))
            if event.kind in KINDS:
                by = event.actor.username if event.actor and event.kind != EventKind.ENTERED_WORKSPACE else None
                found.append((event.at, event.kind, by, kept))
        return sorted(found, key=str)

    def visitor_rows(self) -> dict[str, Visitor]:
        rows = Visitor.objects.in_bulk([visitor.pk for visitor in self.visitors.values()])
        return {name: rows[visitor.pk] for name, visitor in self.visitors.items()}

    def is_online(self, department: str | None, language: str) -> bool:
        """The service state now, as widgets show it."""
        place = (self.departments[department].pk if department else None, self.languages[language].pk)
        return place in service_states([self.account.pk], self.clock.now)[self.account.pk]

    def online_at(self, department: str | None, language: str, at: datetime) -> set[str]:
        """A4, for a past moment."""
        department_id = self.departments[department].pk if department else None
        found = history.online_at(self.account.pk, department_id, self.languages[language].pk, at)
        return {name for name, person in self.operators.items() if person.pk in found}

    def sections(self, name: str, rows: list[Dialog]) -> tuple[dict[int, str], dict[int, str]]:
        """Dialog number -> section of the operator's panel: of these rows by `shown_section`, and from the querysets."""
        viewer = Operator.objects.get(pk=self.operators[name].pk)
        person = person_of(viewer)
        if not viewer.is_active:  # whoever was deactivated has no panel, and the rules let them read nothing
            assert not any(shown_section(facts_of(row), person) for row in rows)
            return {}, {}
        one_by_one = {row.number: str(section) for row in rows if (section := shown_section(facts_of(row), person)) is not None}
        found = [
            (number, str(Section.WAITING if state == State.QUEUE else Section.MINE))
            for number, state in queues.held(viewer).values_list("number", "state")
        ]
        sets = {Section.OTHERS: queues.others(viewer)} if viewer.is_supervisor else {}
        sets |= {Section.GENERAL: queues.queued(viewer, is_offline=False, person=person)}
        sets |= {Section.OFFLINE: queues.queued(viewer, is_offline=True, person=person)}
        found += [
            (number, str(section)) for section, members in sets.items() for number in members.values_list("number", flat=True)
        ]
        together = dict(found)
        assert len(together) == len(found), "a dialog stands in two sections"
        return one_by_one, together

    def panel(self, name: str) -> dict[str, tuple[list[int], int]]:
        """The operator's left panel as its page shows it: per section that is not empty the cards, and how many more there are."""
        found = {}
        for panel in panels.panels(self._person(name)):
            numbers = [card.number for card in panel.cards]
            more = AND_MORE.fullmatch(panel.note)
            told = int(more[1]) if more else 0
            assert panel.count == len(numbers) + told, f"{panel.key} counts {panel.count}, shows {numbers}: {panel.note}"
            assert more is None or int(more[2]) == len(numbers), panel.note
            if panel.count:
                found[panel.key] = (numbers, told)
        return found

    def may_open(self, name: str) -> list[int]:
        """The numbers of the dialogs that the operator may open in the workspace."""
        return sorted(queues.visible_to(self._person(name)).values_list("number", flat=True))
