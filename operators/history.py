"""The history of availability (A4): every change of a person's condition as a row, and questions to those rows.

A change is made under the account's exclusive lock and takes its moment after getting it; a start holds the shared one
(S2). So the history, asked for the moment of a start, gives the start state that was stored.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta

from django.db.models import OuterRef, Q, Subquery

from operators.availability import heard_at, is_effectively_online, judged_at
from operators.models import Account, Operator, OperatorChange, Reason, WorkspacesHeard
from webim_offline.database_clock import database_now

Place = tuple[int | None, int]  # department (None: any) and language


@dataclass(frozen=True, slots=True)
class Condition:
    """What A4 keeps of a person."""

    status: str
    is_online: bool
    is_active: bool
    departments: list[int]
    languages: list[int]

    @property
    def places(self) -> set[Place]:
        """For whom this person counts as online (S1)."""
        if not self.is_online:
            return set()
        return {(department, language) for department in (None, *self.departments) for language in self.languages}


Row = tuple[Operator, Condition, datetime]


class Change:
    """A change of the condition of people of one account: lock and read them, save what changes, then `write`.

    The account's row is locked by the caller. Expiries that happened before `now` and are not recorded yet are recorded
    first, stamped with the moment they happened.
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
            # somebody else's row is not told here: only what this change itself brings about
            self._before[person.pk] = replace(condition, is_online=condition.is_online and person.counted_online)
        self.expired = self._store(expired, Reason.EXPIRED, actor=None)

    def write(self, reason: Reason, *, actor: Operator | None = None) -> int:
        """Record whose condition is another one now, for `reason`; returns how many. Their own columns are saved by the caller."""
        rows = [(person, after, self.now) for person, after in self._conditions() if after != self._before[person.pk]]
        return self._store(rows, reason, actor=actor)

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

    def _store(self, rows: list[Row], reason: Reason, *, actor: Operator | None) -> int:
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


def expiry(last_seen_at: datetime, lease: int) -> datetime:
    """A2: the last moment at which somebody heard of at `last_seen_at` counts as online; `lease` in seconds."""
    return last_seen_at + timedelta(seconds=lease)


def online_at(account_id: int, department_id: int | None, language_id: int, at: datetime) -> set[int]:
    """A4: ids of the operators who were online for this department (None: any) and language at `at`, a past moment. Two queries."""
    # at the moment of an expiry itself the person was still online
    until = Q(at__lt=at) | Q(at=at) & ~Q(reason=Reason.EXPIRED)
    rows = OperatorChange.objects.filter(operator=OuterRef("pk")).order_by("-pk").values("pk")
    people = Operator.objects.filter(account=account_id).annotate(
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


def _has_expired(person: Operator, at: datetime) -> bool:
    """Did the newest condition, online, end by an expiry that is not recorded yet?"""
    return person.last_seen_at is None or judged_at(at, person.heard_at) > expiry(person.last_seen_at, person.lease_now)


class Replay:
    """An account's history read once from its beginning: who was online, for moments asked in ascending order."""

    def __init__(self, account: Account) -> None:
        self._conditions: dict[int, Condition] = {}
        self._online: Counter[Place] = Counter()
        self._rows = iter(self._ordered(account))
        self._next = next(self._rows, None)

    @staticmethod
    def _ordered(account: Account) -> Iterable[tuple[datetime, bool, int, Condition]]:
        """Moment, whether it holds only after that moment, operator, condition."""
        rows = list(OperatorChange.objects.filter(account=account).order_by("at", "pk"))
        ordered = [
            (
                row.at,
                row.reason == Reason.EXPIRED,
                row.operator_id,
                Condition(row.status, row.is_online, row.is_active, row.departments, row.languages),
            )
            for row in rows
        ]
        heard = WorkspacesHeard.objects.values_list("at", flat=True).first()
        now = judged_at(database_now(), heard)
        newest = {operator_id: condition for _, _, operator_id, condition in ordered}
        for person in Operator.objects.filter(account=account, counted_online=True, last_seen_at__isnull=False):
            end = expiry(person.last_seen_at, account.operator_lease)
            if end < now and person.pk in newest:
                ordered.append((end, True, person.pk, replace(newest[person.pk], is_online=False)))
        return sorted(ordered, key=lambda row: row[:2])

    def is_online(self, at: datetime, place: Place) -> bool:
        """S1, from the history: was anybody online for the place at `at`?"""
        while self._next is not None and (self._next[0] < at or (self._next[0] == at and not self._next[1])):
            _, _, operator_id, condition = self._next
            before = self._conditions.get(operator_id)
            self._online.subtract(before.places if before else ())
            self._online.update(condition.places)
            self._conditions[operator_id] = condition
            self._next = next(self._rows, None)
        return self._online[place] > 0
