"""Whom a dialog can be handed to: operators with what they have, and departments (Q5, Q10)."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Case, Exists, OuterRef, Q, Value, When

from dialogs.models import Dialog
from dialogs.reading.queues import BY_KIND, held_by_anyone
from operators.availability import heard_at, is_effectively_online, judged_at
from operators.models import Account, Department, Operator, Status

MOST_PEOPLE = 100  # rows at once; a search finds the others
MOST_DEPARTMENTS = 200
LONGEST_SEARCH = 120  # as long as a name


@dataclass(frozen=True, slots=True)
class Target:
    """An operator as a choice. Counts are of open dialogs by their current state; a limit of 0 is no limit."""

    person: Operator
    is_online: bool
    is_of_department: bool
    speaks: bool
    online: int
    offline: int
    online_limit: int
    offline_limit: int

    @property
    def is_silent(self) -> bool:
        """Chose Online, and the workspace is gone (A2)."""
        return self.person.status == Status.ONLINE and not self.is_online

    @property
    def mark(self) -> str:
        """The shape that repeats the word: filled, half or hollow."""
        if self.is_online:
            return ""
        return "presence--break" if Status(self.person.status).name.startswith("BREAK_") else "presence--off"


@dataclass(frozen=True, slots=True)
class Targets:
    """People: those of the dialog's department first, of these the ones online. `more`: how many were left out."""

    people: list[Target]
    more: int
    departments: list[Department]


def targets_for(dialog: Dialog, reader: Operator, now: datetime, *, search: str = "") -> Targets:
    """To whom the reader may transfer the dialog. Whoever has it is left out, and so is the reader, who takes it. Four queries."""
    account = dialog.account
    people = Operator.objects.filter(account=account, is_active=True).exclude(pk__in=[reader.pk, dialog.operator_id or 0])
    departments = Department.objects.filter(account=account, archived_at=None)
    if dialog.operator_id is None and dialog.department_id is not None:
        departments = departments.exclude(pk=dialog.department_id)  # it waits there already
    if search:
        people, departments = people.filter(_named(search)), departments.filter(name__icontains=search)
    memberships, spoken = Operator.departments.through.objects, Operator.languages.through.objects
    is_of = Exists(memberships.filter(operator=OuterRef("pk"), department=dialog.department_id))
    rows = people.annotate(
        of_department=Value(False) if dialog.department_id is None else is_of,
        speaks=Exists(spoken.filter(operator=OuterRef("pk"), language=dialog.language_id)),
        chosen_online=Case(When(status=Status.ONLINE, then=Value(0)), default=Value(1)),
        heard_at=heard_at(),
    ).order_by("-of_department", "chosen_online", "-speaks", "name", "pk")
    found = list(rows[:MOST_PEOPLE])
    held = _held(account, [person.pk for person in found])
    shown = [
        _target(
            person,
            account,
            held.get(person.pk, (0, 0)),
            now=judged_at(now, person.heard_at),
            is_of_department=person.of_department,
            speaks=person.speaks,
        )
        for person in found
    ]
    shown.sort(key=lambda target: (not target.is_of_department, not target.is_online, not target.speaks))
    return Targets(shown, max(0, people.count() - len(shown)), list(departments[:MOST_DEPARTMENTS]))


def _named(search: str) -> Q:
    return Q(name__icontains=search) | Q(username__icontains=search)


def _held(account: Account, operator_ids: list[int]) -> dict[int, tuple[int, int]]:
    """The numbers of (online, offline) open dialogs of each of these operators who has any. One query."""
    rows = held_by_anyone(account.pk).filter(operator__in=operator_ids).values("operator_id")
    counted = rows.annotate(online=BY_KIND["online"], offline=BY_KIND["offline"])
    found = counted.values_list("operator_id", "online", "offline")
    return {operator_id: (online, offline) for operator_id, online, offline in found}


def _target(
    person: Operator, account: Account, held: tuple[int, int], *, now: datetime, is_of_department: bool, speaks: bool
) -> Target:
    """What the list says of one person; leases of workspaces are judged by `now` (P9)."""
    return Target(
        person,
        is_online=is_effectively_online(person.status, person.last_seen_at, lease=account.operator_lease, now=now),
        is_of_department=is_of_department,
        speaks=speaks,
        online=held[0],
        offline=held[1],
        online_limit=person.limit("max_online_dialogs", account),
        offline_limit=person.limit("max_offline_dialogs", account),
    )
