"""Everyone's load at a glance, for supervisors: who is there, what they have, what waits for them (Q3, Q5, A2)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db.models import Count, Min, Prefetch, Q

from dialogs.models import State
from dialogs.reading.queues import BY_KIND, held_by_anyone
from operators.availability import heard_at, is_effectively_online, judged_at
from operators.models import Account, Department, Language, Operator, Status

MOST_PEOPLE = 300  # rows of the table


@dataclass(frozen=True, slots=True)
class Load:
    """Open dialogs of one kind that somebody has, and the limit of Q5 for that kind; 0 = no limit."""

    count: int = 0
    limit: int = 0

    @property
    def is_full(self) -> bool:
        return 0 < self.limit <= self.count


@dataclass(frozen=True, slots=True)
class Member:
    """One row. `assigned`: dialogs not picked up yet; `oldest`: the oldest message that waits for this person's answer.

    `silent_since`: the last sign of life of a workspace that counts as gone (A2); None while it is heard of.
    `is_signed_out`: no workspace is known at all.
    """

    person: Operator
    is_online: bool
    is_signed_out: bool
    silent_since: datetime | None
    online: Load
    offline: Load
    assigned: int
    oldest: datetime | None

    @property
    def is_here(self) -> bool:
        return not self.is_signed_out and self.silent_since is None

    @property
    def mark(self) -> str:
        """The shape that repeats the words: filled, half or hollow."""
        if self.is_online:
            return ""
        return "presence--break" if self.is_here and self.person.status in BREAKS else "presence--off"


BREAKS = tuple(status.value for status in Status if status.name.startswith("BREAK_"))


def members(account: Account, now: datetime) -> tuple[list[Member], int]:
    """Active people of the account by name, at most MOST_PEOPLE, and how many there are in all. Five queries."""
    active = Operator.objects.filter(account=account, is_active=True)
    rows = (
        active.annotate(heard_at=heard_at())
        .order_by("name", "pk")
        .prefetch_related(
            Prefetch("departments", Department.objects.filter(archived_at=None)),
            Prefetch("languages", Language.objects.filter(archived_at=None)),
        )
    )
    people = list(rows[:MOST_PEOPLE])
    holdings = _holdings(account)
    found = [_member(person, person.heard_at, account, holdings.get(person.pk, _Holding()), now) for person in people]
    return found, active.count()


class _Holding(NamedTuple):
    """What one person has: counts of open dialogs, and when the oldest message came that waits for their answer."""

    online: int = 0
    offline: int = 0
    assigned: int = 0
    oldest: datetime | None = None


def _holdings(account: Account) -> dict[int, _Holding]:
    """What each person has, by their id; whoever has nothing is not there. One query."""
    rows = held_by_anyone(account.pk).values("operator_id")
    counted = rows.annotate(**BY_KIND, assigned=Count("pk", filter=Q(state=State.QUEUE)), oldest=Min("waiting_since"))
    found = counted.values_list("operator_id", "online", "offline", "assigned", "oldest")
    return {operator_id: _Holding(*counts) for operator_id, *counts in found}


def _member(person: Operator, heard_at: datetime | None, account: Account, has: _Holding, now: datetime) -> Member:
    """The row of one person; `heard_at` is the moment until which signs of life could be written (P9)."""
    at = judged_at(now, heard_at)
    seen_at, lease = person.last_seen_at, account.operator_lease
    is_gone = seen_at is not None and at - seen_at > timedelta(seconds=lease)
    return Member(
        person,
        is_online=is_effectively_online(person.status, seen_at, lease=lease, now=at),
        is_signed_out=seen_at is None,
        silent_since=seen_at if is_gone else None,
        online=Load(has.online, person.limit("max_online_dialogs", account)),
        offline=Load(has.offline, person.limit("max_offline_dialogs", account)),
        assigned=has.assigned,
        oldest=has.oldest,
    )
