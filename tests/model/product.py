"""The product under test, driven through its own verbs: actions, live processes and the tasks of the clock worker.

Live processes are `LiveApp`s without sockets: their handlers are called as the network would call them, and their loops
are turned by hand. Pages, workspaces and people are known here by the names the histories use.
"""

import random
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import DatabaseError, OperationalError

from dialogs import queues, tasks
from dialogs.actions import assignment, conversation, devices, errors, presence
from dialogs.actions.presence import LONGEST_GAP, Arrival, OutageBetween
from dialogs.live import tickets
from dialogs.live.app import LiveApp
from dialogs.live.neighbours import Neighbours
from dialogs.live.presence import Visits
from dialogs.live.streams import Streams
from dialogs.models import Dialog, DialogEvent, EventKind, Visitor
from operators import actions as people_actions
from operators import configuration, history
from operators import tasks as people_tasks
from operators.availability import service_states
from operators.models import Department, Language, Operator
from tests import people
from tests.model import queue_rules
from tests.model.clock import Clock

NOBODY: Any = None
SCOPE: dict[str, Any] = {"headers": []}
RENEW_EVERY = 5  # seconds, as LiveApp does


OUTCOMES: dict[type[errors.Refused], str] = {
    errors.DialogClosed: queue_rules.IS_CLOSED,
    errors.AlreadyTaken: queue_rules.IS_TAKEN,
    errors.NotYours: queue_rules.NOT_THEIRS,
    errors.NeedsConfirmation: queue_rules.ASKS,
    errors.Refused: queue_rules.REFUSED,
}


def outcome_of(action: Callable[[], None]) -> str:
    """Do it, and say what comes of it."""
    try:
        action()
    except errors.Refused as refusal:
        return OUTCOMES[type(refusal)]
    return queue_rules.DONE


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


class Process(LiveApp):
    """A live process without a network and without threads."""

    database_is_away = False

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self.visits = Visits(clock.steady)
        self.neighbours = Neighbours(self.visits)
        self.streams = Streams(self.visits.lease)
        self.renewed_at = self.looked_at = clock.steady()

    async def _in_database(self, function: Any, *arguments: Any, **named: Any) -> Any:
        if self.database_is_away:
            raise OperationalError("the database is away")
        return function(*arguments, **named)

    def turn(self, account_id: int, *, renew: bool) -> Turn:
        """One turn of each of its loops: the board, the lease, presence. `renew`: its lease's turn comes now."""
        before, self.looked_at = self.looked_at, self.clock.steady()
        if self.looked_at - before > LONGEST_GAP.total_seconds():
            self.is_cut_off = True
        sees_to_outage = self.is_cut_off
        renews = renew or self.is_cut_off or self.clock.steady() - self.renewed_at >= RENEW_EVERY
        try:
            self.visits.leases = at_once(self._in_database(self.board.read, {account_id}))
            if renews:
                at_once(self._renew_lease())
            at_once(self._write_arrivals())
            at_once(self._write_departures())
            at_once(self._write_silences())
            self.visits.claim(at_once(self._in_database(presence.unclaimed_visits)))
        except (DatabaseError, OutageBetween):
            self.is_cut_off = True
            return Turn(False, False, False)
        return Turn(True, renews, sees_to_outage)

    def write_workspaces(self) -> None:
        """One turn of the loop that stores the signs of life of workspaces."""
        with suppress(OperationalError):
            at_once(self._write_workspaces())


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
        people_actions.change_people(person, **theirs, active=True)
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
            process.database_is_away = is_away

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
        random.seed(self.clock.true.isoformat())  # ties are random (Q7), and the same when a history is lived through again
        tasks.assign_dialogs()

    # ----- visitors -----

    def _claims(self, visitor: str, page: str) -> dict[str, Any]:
        language = self.languages["en"].pk
        return {"a": self.account.pk, "v": self.visitors[visitor].pk, "k": page, "d": None, "l": language}

    def page_opens(self, visitor: str, page: str, process: str) -> None:
        """The page opens a stream or a poll."""
        ticket = tickets.issue(tickets.VISIT, self._claims(visitor, page))
        at_once(self.processes[process]._sign_of_visit({"ticket": ticket}, SCOPE))

    def page_answers_ping(self, visitor: str, page: str, process: str) -> None:
        self.processes[process].visits.sign(Arrival(self.visitors[visitor].pk, self.account.pk, page))

    def page_says_goodbye(self, visitor: str, page: str, process: str) -> None:
        ticket = tickets.issue(tickets.VISIT, self._claims(visitor, page))
        at_once(self.processes[process]._visit_bye({"ticket": ticket}, NOBODY, SCOPE))

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
        people_actions.seen(person, self.clock.now)
        return tickets.workspace_claims(person)

    def workspace_answers_ping(self, claims: dict[str, Any], process: str) -> None:
        self.processes[process]._sign_of_workspace(claims)

    def chooses(self, name: str, status: str, by: str) -> None:
        people_actions.set_status(self._person(name), status, actor=self._person(by))

    def signs_out(self, name: str) -> None:
        people_actions.sign_out(self._person(name))

    def becomes(self, name: str, departments: list[str], languages: list[str], active: bool) -> None:
        people_actions.change_people(
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
        assignment.take(self.dialog(number).pk, self._person(operator), instead_of=holder_id, confirmed=confirmed)

    def operator_answers(self, operator: str, number: int, *, confirmed: bool) -> None:
        self.submissions += 1
        key = f"key-{self.submissions}"
        conversation.answer(self.dialog(number).pk, self._person(operator), "It is on its way.", key=key, confirmed=confirmed)

    def operator_closes(self, operator: str, number: int) -> None:
        conversation.close_by_operator(self.dialog(number).pk, self._person(operator))

    def transfers(self, operator: str, number: int, what: str, to: str | None, department: str | None, *, confirmed: bool) -> None:
        dialog_id, actor = self.dialog(number).pk, self._person(operator)
        if to is not None:
            assignment.transfer_to_operator(dialog_id, actor, self.operators[to].pk, confirmed=confirmed)
        elif department is not None:
            assignment.transfer_to_department(dialog_id, actor, self.departments[department].pk)
        else:
            assignment.return_to_queue(dialog_id, actor)

    def limits_operator(self, name: str, setting: str, value: int | None) -> None:
        people_actions.change_limits(self._person(name), {setting: value}, actor=None)

    def changes_department(self, slug: str, pickup_timeout: int | None) -> None:
        department = Department.objects.get(pk=self.departments[slug].pk)
        department.pickup_timeout = pickup_timeout
        configuration.save_part(department, actor=None)

    def archives(self, slug: str, *, archived: bool) -> None:
        department = Department.objects.get(pk=self.departments[slug].pk)
        (configuration.archive_part if archived else configuration.restore_part)(department, actor=None)

    def assigned_since(self, event_id: int) -> list[tuple[int, int, str]]:
        """(event id, dialog number, operator) of what automatic assignment has given after that event, in its order."""
        rows = DialogEvent.objects.filter(account=self.account, kind=EventKind.ASSIGNED, pk__gt=event_id).order_by("pk")
        names = {person.pk: name for name, person in self.operators.items()}
        found = rows.values_list("pk", "dialog__number", "data__operator")
        return [(pk, number, names[operator_id]) for pk, number, operator_id in found]

    def brings_in(self, operator: str, number: int) -> None:
        conversation.bring_into_workspace(self.dialog(number).pk, actor=self.operators[operator])

    def settings_change(self, changes: dict[str, Any]) -> None:
        people_actions.change_settings(self.account, changes, actor=self.operators["vera"])

    # ----- what it shows -----

    def dialogs(self) -> list[Dialog]:
        rows = Dialog.objects.filter(account=self.account).order_by("number")
        return list(rows.select_related("visitor", "department", "language", "operator").prefetch_related("messages__author"))

    def visitor(self, name: str) -> Visitor:
        return Visitor.objects.get(pk=self.visitors[name].pk)

    def is_online(self, department: str | None, language: str) -> bool:
        """The service state now, as widgets show it."""
        place = (self.departments[department].pk if department else None, self.languages[language].pk)
        return place in service_states([self.account.pk], self.clock.now)[self.account.pk]

    def online_at(self, department: str | None, language: str, at: datetime) -> set[str]:
        """A4, for a past moment."""
        department_id = self.departments[department].pk if department else None
        found = history.online_at(self.account.pk, department_id, self.languages[language].pk, at)
        return {name for name, person in self.operators.items() if person.pk in found}

    def sections(self, name: str) -> dict[int, str]:
        """The operator's left panel: dialog number -> section."""
        operator = Operator.objects.get(pk=self.operators[name].pk)
        rows = [*queues.held(operator), *queues.queued(operator, is_offline=False), *queues.queued(operator, is_offline=True)]
        if operator.is_supervisor:
            rows += queues.others(operator)
        found = {
            row.number: queues.section_of(
                state=row.state,
                holder_id=row.operator_id,
                is_offline=row.is_offline,
                in_workspace=row.in_workspace,
                viewer_id=operator.pk,
            )
            for row in rows
        }
        assert len(found) == len(rows), "a dialog stands in two sections"
        return {number: str(section) for number, section in found.items()}
