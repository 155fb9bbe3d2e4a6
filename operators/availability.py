"""Who counts as online, for whom, and when (A1, A2, S1, P9)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Subquery

from operators.models import Account, Operator, Status, WorkspacesHeard
from operators.routes import Route
from webim_offline.foundation.database.clock import stored_moment
from webim_offline.foundation.database.dialect import Statement
from webim_offline.foundation.database.statements import Rows

MOST_CANDIDATES = 20  # kept as evidence with a dialog (S3)
STANDS_STILL_AFTER = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Candidate:
    """An operator who could have answered: by department and language, whatever the status (S3)."""

    operator_id: int
    name: str
    status: str
    last_seen_at: datetime | None


def judged_at(now: datetime, heard_at: datetime | None) -> datetime:
    """The moment by which leases of workspaces are judged: `now`, while signs of life can be written.

    P9: when nothing could be written since `heard_at`, time stands still for them; nobody is gone for our own silence.
    """
    return now if heard_at is None else min(now, heard_at + STANDS_STILL_AFTER)


def is_effectively_online(status: str, last_seen_at: datetime | None, *, lease: int, now: datetime) -> bool:
    """A1 and A2: chosen Online, and the workspace's last sign of life at most `lease` seconds before `now` (`judged_at`)."""
    return status == Status.ONLINE and last_seen_at is not None and now - last_seen_at <= timedelta(seconds=lease)


def is_online_now(account: Account, operator: Operator, now: datetime) -> bool:
    """A1 and A2 of one person, just read. One query."""
    at = judged_at(now, WorkspacesHeard.objects.values_list("at", flat=True).first())
    is_online = is_effectively_online(operator.status, operator.last_seen_at, lease=account.operator_lease, now=at)
    return operator.is_active and is_online


def anyone_online(candidates: Iterable[Candidate], *, lease: int, now: datetime) -> bool:
    """S1: at least one of the candidates is effectively online."""
    return any(is_effectively_online(c.status, c.last_seen_at, lease=lease, now=now) for c in candidates)


def heard_at() -> Subquery:
    """Until when signs of life could be written, to be read in the same statement as the people it judges."""
    return Subquery(WorkspacesHeard.objects.values("at")[:1])


_CANDIDATES = """
    SELECT operator.id, operator.name, operator.status, operator.last_seen_at, count(*) OVER (),
        (SELECT at FROM operators_workspacesheard LIMIT 1)
    FROM operators_operator AS operator
    JOIN operators_operator_languages AS spoken ON spoken.operator_id = operator.id AND spoken.language_id = %s
    {member}
    WHERE operator.account_id = %s AND operator.is_active
    ORDER BY operator.status <> %s, operator.last_seen_at DESC NULLS LAST, operator.id
    LIMIT %s
"""
_MEMBER = "JOIN operators_operator_departments AS member ON member.operator_id = operator.id AND member.department_id = %s"
_OF_ALL_DEPARTMENTS, _OF_ONE_DEPARTMENT = _CANDIDATES.format(member=""), _CANDIDATES.format(member=_MEMBER)


def candidates_of(account_id: int, route: Route) -> Statement:
    """The statement that asks who could answer on a route: at most 20, the likeliest to be online first. See `candidates`."""
    department_id, language_id = route
    rest = [account_id, Status.ONLINE.value, MOST_CANDIDATES]
    if department_id is None:
        return _OF_ALL_DEPARTMENTS, [language_id, *rest]
    return _OF_ONE_DEPARTMENT, [language_id, department_id, *rest]


def candidates(rows: Rows) -> tuple[list[Candidate], int, datetime | None]:
    """What `candidates_of` found: the candidates, how many there are in all, and `heard_at`."""
    found = [Candidate(pk, name, status, stored_moment(seen)) for pk, name, status, seen, _, _ in rows]
    return found, rows[0][4] if rows else 0, stored_moment(rows[0][5]) if rows else None


def service_states(account_ids: Iterable[int], now: datetime) -> dict[int, set[Route]]:
    """For each account the routes that somebody effectively online answers. One query."""
    online: dict[int, set[Route]] = {account_id: set() for account_id in account_ids}
    rows = (
        Operator.objects.filter(
            account__in=list(online), is_active=True, status=Status.ONLINE, last_seen_at__isnull=False, languages__isnull=False
        )
        .annotate(heard_at=heard_at())
        .values_list("account_id", "account__operator_lease", "last_seen_at", "departments", "languages", "heard_at")
    )
    for account_id, lease, last_seen_at, department_id, language_id, heard in rows:
        if is_effectively_online(Status.ONLINE, last_seen_at, lease=lease, now=judged_at(now, heard)):
            online[account_id].add((department_id, language_id))
            online[account_id].add((None, language_id))
    return online
