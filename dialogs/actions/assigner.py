"""Automatic assignment, and what comes back from it (Q7, Q8, A5). Its rule is `dialogs.assigning`.

Runs each second, and right after a commit that can change the answer (`assign_soon`). One assigner at a time works on an
account; it holds the account's shared lock, so statuses and memberships stand still while it decides.
"""

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial

from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, Q, Subquery, Value

from dialogs.actions import holding
from dialogs.actions.record import Record
from dialogs.assigning import UNBOUNDED, Person, Place, Waiting, plan
from dialogs.models import Dialog, EventKind, State
from operators.actions import lock_account_shared, lock_accounts_shared
from operators.models import Account, Assignment, Operator, OperatorChange, Status
from webim_offline.database_clock import database_now
from webim_offline.transactions import atomic

logger = logging.getLogger(__name__)
HEARD_WITHIN = timedelta(seconds=25)  # A2, fixed: the last sign of life of somebody who is given a dialog
AT_ONCE = 1000  # dialogs given in one transaction; it keeps changes of status waiting
LEAST_OF_A_QUEUE = 10
ADVISORY = 0x7731  # our kind of advisory lock on PostgreSQL: (kind, account)
READ = ("id", "account_id", "visitor_id", "department_id", "language_id", "is_offline", "state", "in_workspace", "revision", "created_at", "picked_up_at", "passed_over")  # fmt: skip  # noqa: E501


class UnassignedReason(StrEnum):
    """Why an assigned dialog went back to its queue (Q8, A5)."""

    NOT_PICKED_UP = "not_picked_up"
    NOT_ONLINE = "not_online"
    NOT_THEIRS = "not_theirs"
    ARCHIVED = "archived"


def assign_soon(account_ids: Collection[int]) -> None:
    """After this transaction's commit, give what can be given in those of the accounts that assign automatically.

    Whatever goes wrong there is logged, and the next second's run sees to it.
    """
    if account_ids:
        transaction.on_commit(partial(_assign_automatic, tuple(account_ids)), robust=True)


def _assign_automatic(account_ids: Sequence[int]) -> None:
    for account_id in Account.objects.filter(pk__in=account_ids, assignment=Assignment.AUTOMATIC).values_list("pk", flat=True):
        assign(account_id)


def assign_waiting() -> int:
    """Q7, each second: every account that assigns automatically and has dialogs in a queue; returns how many were given."""
    queued = Dialog.objects.filter(account=OuterRef("pk"), state=State.QUEUE, operator=None, in_workspace=True)
    accounts = Account.objects.filter(Exists(queued), assignment=Assignment.AUTOMATIC, archived_at=None)
    done = 0
    for account_id in accounts.order_by("pk").values_list("pk", flat=True):
        try:
            done += assign(account_id)
        except Exception:  # one account must not hold up the others
            logger.exception("account %s: dialogs could not be assigned, trying again in a second", account_id)
    return done


def assign(account_id: int) -> int:
    """Give the waiting dialogs of one account to whoever may have them now; returns how many were given."""
    done, is_more = 0, True
    while is_more:
        count, is_more = _assign_batch(account_id)
        done += count
    return done


@atomic
def _assign_batch(account_id: int) -> tuple[int, bool]:
    """How many were given in one transaction, and whether there may be more to give."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [ADVISORY, account_id])
    account = lock_account_shared(account_id)
    if account.assignment != Assignment.AUTOMATIC or account.archived_at is not None:
        return 0, False
    kinds = _kinds_waiting(account_id)
    now = database_now()
    people = free_people(account, now, kinds) if kinds else []
    places = _places(people, kinds)
    if not places:
        return 0, False
    room = sum(max(person.room[kind], 0) for person in people for kind in kinds)  # hands may go over a limit (Q5)
    most = min(max(LEAST_OF_A_QUEUE, AT_ONCE // len(places)), room)
    heads = _lock_heads(account_id, places, most)
    waiting = [_waiting(dialog) for dialog in heads.values()]
    counts = Counter(dialog.place for dialog in waiting)
    cut = frozenset(place for place, count in counts.items() if count == most)
    planned = plan(waiting, people, cut=cut, most=AT_ONCE)
    pairs = _still_free(account, planned, heads, now, kinds)
    if not pairs:
        return 0, False
    counts.subtract(_place(heads[dialog_id]) for dialog_id, _ in planned)
    is_cut_short = len(planned) == AT_ONCE or any(not counts[place] for place in cut) or len(pairs) < len(planned)
    now = database_now()  # after the last count: what has made room by then happened before
    timeouts = holding.pickup_timeouts(account_id, {heads[dialog_id].department_id for dialog_id, _ in pairs})
    names = {person.id: person.name for person in people}
    record = Record(now)
    for dialog_id, operator_id in pairs:
        dialog = heads[dialog_id]
        holding.assign(dialog, operator_id, record, timeout=timeouts[dialog.department_id])
        record.event(dialog, EventKind.ASSIGNED, now, data={"operator": operator_id, "who": names[operator_id]})
    record.write([heads[dialog_id] for dialog_id, _ in pairs], Dialog.HELD)
    return len(pairs), is_cut_short and any(person.room[kind] > 0 for person in people for kind in kinds)


def _kinds_waiting(account_id: int) -> set[bool]:
    """Which kinds (is offline?) of dialogs wait in a queue at all. One query."""
    waits = "EXISTS (SELECT 1 FROM dialogs_dialog WHERE account_id = %s AND is_offline = %s AND state = 'queue' AND operator_id IS NULL AND in_workspace)"  # noqa: E501
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {waits}, {waits}", [account_id, False, account_id, True])
        return {is_offline for is_offline, is_waiting in zip((False, True), cursor.fetchone(), strict=True) if is_waiting}


def _still_free(
    account: Account, pairs: list[tuple[int, int]], heads: Mapping[int, Dialog], now: datetime, kinds: Collection[bool]
) -> list[tuple[int, int]]:
    """The pairs that keep to the limits while nobody else gives these people dialogs (Q5); the others come up again."""
    if connection.vendor != "postgresql" or not pairs:
        return pairs  # SQLite has one writer
    ids = holding.try_to_lock_shares({operator_id for _, operator_id in pairs})
    people = {person.id: person for person in _below_a_limit(account, now, kinds, ids)}
    kept = []
    for dialog_id, operator_id in pairs:
        kind = heads[dialog_id].is_offline
        if operator_id in people and people[operator_id].room[kind] > 0:
            people[operator_id].room[kind] -= 1
            kept.append((dialog_id, operator_id))
    return kept


def _place(dialog: Dialog) -> Place:
    return dialog.department_id, dialog.language_id, dialog.is_offline


def _waiting(dialog: Dialog) -> Waiting:
    passed_over = {int(pk): datetime.fromisoformat(at) for pk, at in dialog.passed_over.items()}
    return Waiting(dialog.pk, _place(dialog), dialog.created_at, passed_over)


# Not a join: how many dialogs people have changes faster than the planner learns of it, and a nested loop would take seconds.
FREE_PEOPLE = """
SELECT id, MAX(name) AS name, MAX(acted_at) AS acted_at, SUM(online) AS online, SUM(offline) AS offline,
    MAX(most_online) AS most_online, MAX(most_offline) AS most_offline
FROM (
    SELECT id, name, acted_at, 0 AS online, 0 AS offline,
        COALESCE(max_online_dialogs, %s) AS most_online, COALESCE(max_offline_dialogs, %s) AS most_offline
    FROM operators_operator
    WHERE account_id = %s AND is_active AND status = %s AND last_seen_at >= %s {people}
    UNION ALL
    SELECT operator_id, NULL, NULL, CASE WHEN is_offline THEN 0 ELSE 1 END, CASE WHEN is_offline THEN 1 ELSE 0 END, NULL, NULL
    FROM dialogs_dialog
    WHERE account_id = %s AND operator_id IS NOT NULL AND in_workspace AND state IN ('queue', 'chatting') {holders}
) AS parts
GROUP BY id
HAVING %s AND (MAX(most_online) = 0 OR SUM(online) < MAX(most_online))
    OR %s AND (MAX(most_offline) = 0 OR SUM(offline) < MAX(most_offline))
"""


def free_people(account: Account, now: datetime, kinds: Collection[bool]) -> list[Person]:
    """Who may be given a dialog of one of the kinds now (Q5, Q7), with departments and languages. Two queries."""
    people = {person.id: person for person in _below_a_limit(account, now, kinds)}
    if not people:
        return []
    departments = Operator.departments.through.objects.filter(department__archived_at=None)  # an archived one is nobody's (A5)
    departments = departments.values_list("operator_id", "department_id", Value(True))
    languages = Operator.languages.through.objects.values_list("operator_id", "language_id", Value(False))
    found: dict[tuple[int, bool], list[int]] = {}
    for operator_id, part_id, is_department in departments.filter(operator__in=people).union(
        languages.filter(operator__in=people), all=True
    ):
        found.setdefault((operator_id, is_department), []).append(part_id)
    for person in people.values():
        person.departments = frozenset(found.get((person.id, True), ()))
        person.languages = frozenset(found.get((person.id, False), ()))
    return list(people.values())


def _below_a_limit(account: Account, now: datetime, kinds: Collection[bool], among: Collection[int] | None = None) -> list[Person]:
    """The people of `free_people`, of everybody or `among` these (PostgreSQL), without departments and languages."""
    heard_since = connection.ops.adapt_datetimefield_value(now - min(HEARD_WITHIN, timedelta(seconds=account.operator_lease)))
    people, holders = ("", "") if among is None else ("AND id = ANY(%s)", "AND operator_id = ANY(%s)")
    sql = FREE_PEOPLE.format(people=people, holders=holders)
    of_these = [] if among is None else [list(among)]
    limits = [account.max_online_dialogs, account.max_offline_dialogs]
    here = [account.pk, Status.ONLINE, heard_since, *of_these]
    given = [*limits, *here, account.pk, *of_these, False in kinds, True in kinds]
    return [
        Person(
            row.pk,
            frozenset(),
            frozenset(),
            open=int(row.online + row.offline),
            room={
                False: row.most_online - int(row.online) if row.most_online else UNBOUNDED,
                True: row.most_offline - int(row.offline) if row.most_offline else UNBOUNDED,
            },
            acted_at=row.acted_at,
            name=row.name,
        )
        for row in Operator.objects.raw(sql, given)
    ]


def _places(people: Iterable[Person], kinds: Collection[bool]) -> set[Place]:
    """The queues that somebody of these could be given a dialog of."""
    return {
        (department, language, is_offline)
        for person in people
        for is_offline in kinds
        if person.room[is_offline] > 0
        for language in person.languages
        for department in (None, *person.departments)
    }


def _lock_heads(account_id: int, places: Iterable[Place], most: int) -> dict[int, Dialog]:
    """The oldest dialogs of each queue, at most `most` of one, under their locks; those that somebody is at are left out."""
    if connection.vendor != "postgresql":
        found: dict[int, Dialog] = {}
        for department, language, is_offline in places:
            rows = Dialog.objects.filter(
                account=account_id, state=State.QUEUE, operator=None, in_workspace=True,
                department=department, language=language, is_offline=is_offline,
            )  # fmt: skip
            found |= {dialog.pk: dialog for dialog in rows.only(*READ).order_by("created_at", "pk")[:most]}
        return found
    # with `department IS NOT DISTINCT FROM` PostgreSQL would not use the index
    parts, values = [], []
    for none, condition in ((True, "d.department_id IS NULL"), (False, "d.department_id = q.department_id")):
        asked = [place for place in places if (place[0] is None) is none]
        if not asked:
            continue
        parts.append(f"""
            SELECT {", ".join(f"head.{name}" for name in READ)}
            FROM unnest(%s::bigint[], %s::bigint[], %s::boolean[]) AS q(department_id, language_id, is_offline)
            CROSS JOIN LATERAL (
                SELECT d.* FROM dialogs_dialog d
                WHERE d.account_id = %s AND {condition} AND d.language_id = q.language_id AND d.is_offline = q.is_offline
                    AND d.state = 'queue' AND d.operator_id IS NULL AND d.in_workspace
                ORDER BY d.created_at, d.id LIMIT %s FOR NO KEY UPDATE SKIP LOCKED
            ) AS head
        """)  # noqa: S608
        values += [*(list(column) for column in zip(*asked, strict=True)), account_id, most]
    return {dialog.pk: dialog for dialog in Dialog.objects.raw(" UNION ALL ".join(parts), values)}


# ----- what was assigned and not picked up (Q8, A5) -----


def return_unpicked(judged_at: datetime) -> int:
    """Dialogs that nobody picked up in time, or whose operator or department is there no more, go back to their queues.

    Returns how many went back. `judged_at`: who is late is asked of that moment, which `presence.end_outage` has just
    returned: neither an outage before it nor a database that hangs after it lets anybody be late (P9).
    """
    newest = OperatorChange.objects.filter(operator=OuterRef("operator")).order_by("-pk").values("at")[:1]
    due = (
        Dialog.objects.filter(state=State.QUEUE, operator__isnull=False)
        .annotate(changed_at=Subquery(newest))
        .filter(
            Q(pickup_by__lte=judged_at) | Q(changed_at__gte=F("assigned_at")) | Q(department__archived_at__gte=F("assigned_at"))
        )
        .order_by("pk")
    )
    done = after = 0
    while rows := list(due.filter(pk__gt=after).values_list("account_id", "pk")[:AT_ONCE]):
        after = rows[-1][1]
        ids: dict[int, list[int]] = {}
        for account_id, dialog_id in rows:
            ids.setdefault(account_id, []).append(dialog_id)
        done += sum(_return(account_id, dialog_ids, judged_at) for account_id, dialog_ids in ids.items())
    return done


@atomic
def _return(account_id: int, dialog_ids: list[int], judged_at: datetime) -> int:
    lock_accounts_shared([account_id])
    rows = Dialog.objects.filter(pk__in=dialog_ids, state=State.QUEUE, operator__isnull=False)
    locked = list(rows.select_for_update(skip_locked=True, no_key=True).order_by("pk"))
    record = Record(database_now())
    back = []
    for dialog in locked:
        end = _end_of_assignment(dialog, judged_at)
        if end is not None:
            at, reason = end
            holding.returned_to_queue(dialog, record, reason, at=at)
            back.append(dialog)
    record.write(back, Dialog.HELD)
    if back:
        assign_soon([account_id])
    return len(back)


def _end_of_assignment(dialog: Dialog, judged_at: datetime) -> tuple[datetime, UnassignedReason] | None:
    """When and why the assignment of a locked dialog ended, if it did: the earliest reason counts."""
    if dialog.assigned_at is None or dialog.pickup_by is None:
        return None
    ends = [(dialog.pickup_by, UnassignedReason.NOT_PICKED_UP)] if dialog.pickup_by <= judged_at else []
    if dialog.department is not None and (at := dialog.department.archived_at) and at >= dialog.assigned_at:
        ends.append((at, UnassignedReason.ARCHIVED))
    ends += _losses(dialog)
    return min(ends, default=None)


def _losses(dialog: Dialog) -> Iterable[tuple[datetime, UnassignedReason]]:
    """The first moments since the assignment at which the operator was no longer online, or no longer of its place.

    What the operator was not when the dialog was given to them (a transfer after a warning) they cannot lose.
    """
    changes = OperatorChange.objects.filter(operator=dialog.operator_id).order_by("pk")
    before = changes.filter(at__lt=dialog.assigned_at).last()
    was = _fits(dialog, before) if before else dict.fromkeys((UnassignedReason.NOT_ONLINE, UnassignedReason.NOT_THEIRS), False)
    for change in changes.filter(at__gte=dialog.assigned_at):
        fits = _fits(dialog, change)
        for reason in list(was):
            if was[reason] and not fits[reason]:
                yield change.at, reason
                del was[reason]
        was = {reason: fits[reason] for reason in was}


def _fits(dialog: Dialog, change: OperatorChange) -> dict[UnassignedReason, bool]:
    in_department = dialog.department_id is None or dialog.department_id in change.departments
    return {
        UnassignedReason.NOT_ONLINE: change.is_online,
        UnassignedReason.NOT_THEIRS: in_department and dialog.language_id in change.languages,
    }


def extend_pickups(*, alive_at: datetime, now: datetime) -> None:
    """P9: whoever was still in time at `alive_at`, before an outage, has the full time from now."""
    rows = Dialog.objects.filter(state=State.QUEUE, operator__isnull=False, pickup_by__gt=alive_at)
    locked = list(rows.select_for_update(no_key=True).only("pk", "account_id", "department_id").order_by("pk"))
    for account_id in {dialog.account_id for dialog in locked}:
        own = [dialog for dialog in locked if dialog.account_id == account_id]
        timeouts = holding.pickup_timeouts(account_id, {dialog.department_id for dialog in own})
        for dialog in own:
            Dialog.objects.filter(pk=dialog.pk).update(pickup_by=now + timeouts[dialog.department_id], pickup_from=now)
