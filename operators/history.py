"""The history of who was available (A4): writing a row for every change of somebody's condition, and reading those rows.

A condition is everything that decides whether a person is online for a department and a language (see `Condition`).

Whoever changes a condition holds the account's exclusive lock, and reads the clock after getting it. Whoever starts a dialog
holds the same lock in its shared form (S2). So the two never overlap, and the history, when it is asked about the moment of a
start, gives the start state that was stored with the dialog (decision 0011).
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.db.models import OuterRef, Q, Subquery

from operators.availability import heard_at, is_effectively_online, judged_at
from operators.models import Account, ConditionReason, Operator, OperatorChange, WorkspacesHeard
from operators.routes import Route
from webim_offline.foundation.database.clock import database_now


@dataclass(frozen=True, slots=True)
class Condition:
    """What the history keeps of a person (A4). `departments` and `languages` are ids, in ascending order."""

    status: str
    is_online: bool
    is_active: bool
    departments: list[int]
    languages: list[int]

    @property
    def routes(self) -> set[Route]:
        """The pairs (department or None, language) that this person answers in this condition; none unless online (S1)."""
        if not self.is_online:
            return set()
        return {(department, language) for department in (None, *self.departments) for language in self.languages}


Row = tuple[Operator, Condition, datetime]  # who, the new condition, and since when


class Change:
    """A change that may affect the condition of some people of one account.

    Making the object locks these people (`who` are look-ups of `Operator`) and reads their conditions. The caller then saves
    whatever it changes, and calls `write`, which compares and records the differences. The caller must hold the exclusive lock of
    the account's row, and all of it must happen in one transaction.

    If the lease of some of these people has run out and this is not in the history yet, it is recorded first, stamped with the
    moment at which it ran out. `expired` is the number of such people.
    """

    def __init__(self, account: Account, **who: object) -> None:
        self.account = account
        self.people = list(Operator.objects.filter(account=account, **who).select_for_update(no_key=True).order_by("pk"))
        self.now = database_now()
        self.judged_at = judged_at(self.now, WorkspacesHeard.objects.values_list("at", flat=True).first())
        self._before: dict[int, Condition] = {}
        expired: list[Row] = []
        for person, condition in self._conditions():
            if person.counted_online and not condition.is_online and person.last_seen_at is not None:
                expired.append((person, condition, expiry(person.last_seen_at, account.operator_lease)))
            # What the history says now. Somebody may be online already whom it does not call online; `write` records that too.
            self._before[person.pk] = replace(condition, is_online=condition.is_online and person.counted_online)
        self.expired = self._store(expired, ConditionReason.EXPIRED, actor=None)

    def write(self, reason: ConditionReason, *, actor: Operator | None = None) -> int:
        """Record the people whose condition is not what it was, with `reason` and `actor`; return how many there are."""
        rows = [(person, after, self.now) for person, after in self._conditions() if after != self._before[person.pk]]
        return self._store(rows, reason, actor=actor)

    def state_anew(self) -> None:
        """Record everybody's last recorded condition once more, stamped with now (see the function of the same name)."""
        self._store([(person, self._before[person.pk], self.now) for person in self.people], ConditionReason.CLOCK, actor=None)

    def _conditions(self) -> list[tuple[Operator, Condition]]:
        departments, languages = self._memberships("department"), self._memberships("language")
        lease = self.account.operator_lease
        return [
            (
                person,
                Condition(
                    status=person.status,
                    is_online=person.is_active
                    and is_effectively_online(person.status, person.last_seen_at, lease=lease, now=self.judged_at),
                    is_active=person.is_active,
                    departments=departments.get(person.pk, []),
                    languages=languages.get(person.pk, []),
                ),
            )
            for person in self.people
        ]

    def _memberships(self, kind: str) -> Mapping[int, list[int]]:
        through = getattr(Operator, f"{kind}s").through
        found: dict[int, list[int]] = {}
        pairs = through.objects.filter(operator__in=[person.pk for person in self.people]).order_by(f"{kind}_id")
        for operator_id, part_id in pairs.values_list("operator_id", f"{kind}_id"):
            found.setdefault(operator_id, []).append(part_id)
        return found

    def _store(self, rows: list[Row], reason: ConditionReason, *, actor: Operator | None) -> int:
        OperatorChange.objects.bulk_create(
            OperatorChange(account=self.account, operator=person, at=at, reason=reason, actor=actor, **asdict(condition))
            for person, condition, at in rows
        )
        for is_online in (True, False):
            flipped = [
                person for person, after, _ in rows if after.is_online is is_online and person.counted_online is not is_online
            ]
            for person in flipped:
                person.counted_online = is_online
            if flipped:
                Operator.objects.filter(pk__in=[person.pk for person in flipped]).update(counted_online=is_online)
        return len(rows)


def changes_ahead(now: datetime) -> dict[int, list[int]]:
    """Return the people whose last change is stamped later than `now`, as a dictionary of account ids to operator ids.

    There are such people only after the clock was set back (Z3).
    """
    newest = OperatorChange.objects.filter(operator=OuterRef("pk")).order_by("-pk").values("at")[:1]
    ahead = Operator.objects.annotate(changed_at=Subquery(newest)).filter(changed_at__gt=now, account__isnull=False)
    found: dict[int, list[int]] = {}
    for account_id, operator_id in ahead.order_by("account", "pk").values_list("account_id", "pk"):
        found.setdefault(account_id, []).append(operator_id)
    return found


def state_anew(account: Account, operator_ids: Collection[int]) -> None:
    """Record the conditions of these people once more, because the clock was set back since they were recorded (Z3).

    Their last rows lie in the future. Without further ones the history, asked about a moment from now on, would give an older
    condition instead of the one that holds (S2). The caller must have locked the account. Afterwards the moments of a person's
    rows decrease at one place, which tells a reader that the clock was set back there.
    """
    Change(account, pk__in=operator_ids).state_anew()


def unrecorded_expiry(operator_id: int, account: Account, now: datetime) -> datetime | None:
    """Return when this operator's lease ran out (A2), if the history does not know it yet; otherwise None. Makes one query."""
    person = Operator.objects.filter(pk=operator_id, counted_online=True, last_seen_at__isnull=False)
    for last_seen_at, heard in person.annotate(heard_at=heard_at()).values_list("last_seen_at", "heard_at"):
        if last_seen_at is not None and (end := expiry(last_seen_at, account.operator_lease)) < judged_at(now, heard):
            return end
    return None


def expiry(last_seen_at: datetime, lease: int) -> datetime:
    """Return the last moment at which somebody whose last sign of life came at `last_seen_at` counts as online (A2).

    `lease` is the account's `operator_lease`, in seconds.
    """
    return last_seen_at + timedelta(seconds=lease)


def online_at(account_id: int, department_id: int | None, language_id: int, at: datetime) -> set[int]:
    """Return the ids of the operators who were online for a department and a language at the past moment `at` (A4).

    Without a department (None) the language alone counts (S1). Makes two queries.
    """
    # At the very moment of an expiry the person was still online, so such a row counts only after its moment.
    until = Q(at__lt=at) | Q(at=at) & ~Q(reason=ConditionReason.EXPIRED)
    rows = OperatorChange.objects.filter(operator=OuterRef("pk")).order_by("-pk").values("pk")
    people: Iterable[Any] = Operator.objects.filter(account=account_id).annotate(
        then=Subquery(rows.filter(until)[:1]), newest=Subquery(rows[:1]), heard_at=heard_at(), lease_now=Subquery(_LEASE)
    )
    then = {person.then: person for person in people if person.then is not None}
    found = set()
    for change in OperatorChange.objects.filter(pk__in=then):
        person = then[change.pk]
        if not change.is_online or (person.then == person.newest and _has_expired(person, at)):
            continue
        if language_id in change.languages and (department_id is None or department_id in change.departments):
            found.add(person.pk)
    return found


_LEASE = Account.objects.filter(pk=OuterRef("account")).values("operator_lease")


def _has_expired(person: Any, at: datetime) -> bool:
    """Return whether the lease of `person` had run out at `at`, though their newest row still says online."""
    return person.last_seen_at is None or bool(judged_at(at, person.heard_at) > expiry(person.last_seen_at, person.lease_now))


class Replay:
    """The history of an account, read once from its beginning, to ask about many moments.

    The moments must be asked about in ascending order. This is how `manage.py check_start_states` checks all dialogs (S2).
    """

    def __init__(self, account: Account) -> None:
        self._conditions: dict[int, Condition] = {}
        self._online: Counter[Route] = Counter()
        self._rows = iter(self._ordered(account))
        self._next = next(self._rows, None)

    @staticmethod
    def _ordered(account: Account) -> Iterable[tuple[datetime, bool, int, Condition]]:
        """Return the changes in the order of their moments.

        Each is a tuple: its moment, whether it counts only after that moment (as expiries do), the operator's id, and the new
        condition. Expiries that are not recorded yet are among them.
        """
        rows = list(OperatorChange.objects.filter(account=account).order_by("at", "pk"))
        ordered = [
            (
                row.at,
                row.reason == ConditionReason.EXPIRED,
                row.operator_id,
                Condition(row.status, row.is_online, row.is_active, row.departments, row.languages),
            )
            for row in rows
        ]
        heard = WorkspacesHeard.objects.values_list("at", flat=True).first()
        now = judged_at(database_now(), heard)
        newest = {operator_id: condition for _, _, operator_id, condition in ordered}
        for person in Operator.objects.filter(account=account, counted_online=True, last_seen_at__isnull=False):
            end = person.last_seen_at and expiry(person.last_seen_at, account.operator_lease)
            if end and end < now and person.pk in newest:
                ordered.append((end, True, person.pk, replace(newest[person.pk], is_online=False)))
        return sorted(ordered, key=lambda row: row[:2])

    def is_online(self, at: datetime, route: Route) -> bool:
        """Return whether anybody was online for `route` at `at` (S1)."""
        while self._next is not None and (self._next[0] < at or (self._next[0] == at and not self._next[1])):
            _, _, operator_id, condition = self._next
            before = self._conditions.get(operator_id)
            self._online.subtract(before.routes if before else ())
            self._online.update(condition.routes)
            self._conditions[operator_id] = condition
            self._next = next(self._rows, None)
        return self._online[route] > 0
