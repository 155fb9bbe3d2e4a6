"""What automatic assignment decides from: who may be given a dialog now, and the oldest dialogs of each queue (Q5, Q7, A2, A5).

This is read after every commit that can change the answer, so it is plain SQL in few messages to the database (decision 0013).
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from dialogs.models import IS_HELD, WAITS_IN_QUEUE, Dialog
from dialogs.rules.assignment import UNBOUNDED, FreeOperator, QueueKey
from operators.availability import STANDS_STILL_AFTER
from operators.models import Assignment, Status
from webim_offline.foundation.database.clock import database_now, stored_moment
from webim_offline.foundation.database.conditions import condition_sql
from webim_offline.foundation.database.dialect import Statement, dialect
from webim_offline.foundation.database.locks import lock_assignment, operator_locks_to_try
from webim_offline.foundation.database.statements import Rows, run_together

HEARD_WITHIN = timedelta(seconds=25)  # A2, fixed: the last sign of life of somebody who is given a dialog
FEW = 50  # so many operators may be locked without asking first whether they are given anything
PATIENCE = 2_000  # milliseconds to wait for a lock: one process that stands still must not keep every other one waiting
# in the order of the model, as from_db wants them
READ = ("id", "account_id", "visitor_id", "department_id", "language_id", "in_workspace", "state", "created_at", "picked_up_at", "passed_over", "is_offline", "revision")  # fmt: skip  # noqa: E501


@dataclass(frozen=True, slots=True)
class FreeOperators:
    """Everybody who may be given a dialog of an account now, and what is needed for giving one.

    `kinds` says which kinds of dialogs wait (is it offline?); `timeouts` maps a department's id (None: no department) to how long
    its dialogs may wait for a reply (Q8).
    """

    operators: list[FreeOperator] = field(default_factory=list)
    kinds: frozenset[bool] = frozenset()
    timeouts: Mapping[int | None, timedelta] = field(default_factory=dict)

    @property
    def queues(self) -> set[QueueKey]:
        """The queues that at least one of these operators could be given a dialog of."""
        return {
            (department, language, is_offline)
            for operator in self.operators
            for is_offline in self.kinds
            if operator.capacity[is_offline] > 0
            for language in operator.languages
            for department in (None, *operator.departments)
        }

    @property
    def capacity(self) -> int:
        """How many more dialogs the limits allow all of them together."""
        # an operator who took more than the limit by hand has a negative capacity (Q5)
        return sum(max(operator.capacity[kind], 0) for operator in self.operators for kind in self.kinds)


IN_QUEUE, HELD = condition_sql(Dialog, WAITS_IN_QUEUE), condition_sql(Dialog, IS_HELD)
# in the order of the index dialog_queue, or PostgreSQL may look for one among all dialogs there are
WAITS = f"""COALESCE((SELECT TRUE FROM dialogs_dialog WHERE account_id = %s AND is_offline = {{kind}} AND {IN_QUEUE}
    ORDER BY created_at LIMIT 1), FALSE)"""  # noqa: S608
ACCOUNT = """
SELECT operator_lease, pickup_timeout FROM operators_account WHERE id = %s AND assignment = %s AND archived_at IS NULL
"""
# an archived department is nobody's (A5)
DEPARTMENTS = "SELECT id, pickup_timeout FROM operators_department WHERE account_id = %s AND archived_at IS NULL"
# Whose lease has run out is not counted online, also when a clock that was set back makes the last sign of life young again (Z3).
# What people hold is counted before it is joined: the planner learns late how much that is, and might look through it for each
FREE_OPERATORS = f"""
SELECT id, name, acted_at, last_seen_at, {{now}}, most_online, most_offline, COALESCE(online, 0), COALESCE(offline, 0),
    waits_online, waits_offline,
    (SELECT {{list_of}}(department_id) FROM operators_operator_departments WHERE operator_id = present.id),
    (SELECT {{list_of}}(language_id) FROM operators_operator_languages WHERE operator_id = present.id)
FROM (SELECT {WAITS.format(kind="FALSE")} AS waits_online, {WAITS.format(kind="TRUE")} AS waits_offline) AS waiting
CROSS JOIN (
    SELECT person.id, person.name, acted_at, last_seen_at,
        COALESCE(person.max_online_dialogs, account.max_online_dialogs) AS most_online,
        COALESCE(person.max_offline_dialogs, account.max_offline_dialogs) AS most_offline
    FROM operators_operator AS person JOIN operators_account AS account ON account.id = person.account_id
    WHERE account.id = %s AND is_active AND counted_online AND status = %s AND last_seen_at >= {{heard_since}}
) AS present
LEFT JOIN (
    SELECT operator_id, COUNT(*) FILTER (WHERE NOT is_offline) AS online, COUNT(*) FILTER (WHERE is_offline) AS offline
    FROM dialogs_dialog
    WHERE account_id = %s AND {HELD}
    GROUP BY operator_id
) AS held ON held.operator_id = present.id
WHERE waits_online AND (most_online = 0 OR COALESCE(online, 0) < most_online)
    OR waits_offline AND (most_offline = 0 OR COALESCE(offline, 0) < most_offline)
"""  # noqa: S608


def lock_and_read(account_id: int) -> FreeOperators:
    """Everybody below a limit whose dialogs wait, if the account assigns automatically; nobody otherwise.

    Nobody else assigns in this account until the transaction ends, and its settings, statuses and memberships stand still.
    """
    asked = [account_id, Assignment.AUTOMATIC]
    locks = [*dialect().lock_timeout(PATIENCE), *lock_assignment(account_id), (f"{ACCOUNT}{dialect().for_share}", asked)]
    *_, settings, rows, own = run_together(*locks, _free_operators(account_id), (DEPARTMENTS, [account_id]))
    if not settings or not rows:
        return FreeOperators()
    lease, timeout = settings[0]
    timeouts: dict[int | None, timedelta] = {pk: timedelta(seconds=timeout if mine is None else mine) for pk, mine in own}
    operators = []
    for pk, name, acted_at, *moments, most_online, most_offline, online, offline, _, _, departments, languages in rows:
        if _was_heard(*map(stored_moment, moments), lease=timedelta(seconds=lease)):
            capacity = _capacity(most_online, most_offline, online, offline)
            theirs = _ids(departments) & timeouts.keys(), _ids(languages)
            operators.append(FreeOperator(pk, *theirs, online + offline, capacity, stored_moment(acted_at), name))
    kinds = frozenset(kind for kind, waits in zip((False, True), rows[0][9:11], strict=True) if waits)
    return FreeOperators(operators, kinds, timeouts | {None: timedelta(seconds=timeout)})


def _was_heard(seen_at: datetime | None, now: datetime | None, *, lease: timedelta) -> bool:
    """A2: the last sign of life is at most a lease old.

    One that lies ahead of the clock is from before the clock was set back (Z3). How old it is will be known as soon as a live
    process has written again, within two seconds; until then this person is given nothing.
    """
    return seen_at is not None and now is not None and -STANDS_STILL_AFTER <= now - seen_at <= lease


def _free_operators(account_id: int) -> Statement:
    (now, now_values), (since, since_values) = dialect().now(), dialect().since(HEARD_WITHIN)
    sql = FREE_OPERATORS.format(now=now, heard_since=since, list_of=dialect().list_of)
    return sql, [*now_values, *[account_id] * 3, Status.ONLINE, *since_values, account_id]


def _ids(listed: list[int] | str | None) -> frozenset[int]:
    """What FREE_OPERATORS gives as a list: an array of PostgreSQL's, or JSON."""
    return frozenset(json.loads(listed) if isinstance(listed, str) else listed or ())


def _capacity(most_online: int, most_offline: int, online: int, offline: int) -> dict[bool, int]:
    """How many more of each kind somebody with these limits may be given who has so many (Q5); 0 is no limit."""
    return {
        False: most_online - online if most_online else UNBOUNDED,
        True: most_offline - offline if most_offline else UNBOUNDED,
    }


# with `department IS NOT DISTINCT FROM` PostgreSQL would not use the index
OLDEST = f"""
SELECT {", ".join(f"oldest.{name}" for name in READ)}
FROM unnest(%s::bigint[], %s::bigint[], %s::boolean[]) AS queue (department_id, language_id, is_offline)
CROSS JOIN LATERAL (
    SELECT dialog.* FROM dialogs_dialog AS dialog
    WHERE dialog.account_id = %s AND dialog.department_id {{is_the_queues}}
        AND dialog.language_id = queue.language_id AND dialog.is_offline = queue.is_offline
        AND {IN_QUEUE}
    ORDER BY dialog.created_at, dialog.id LIMIT %s FOR NO KEY UPDATE SKIP LOCKED
) AS oldest
"""  # noqa: S608


def lock_oldest(
    account_id: int, queues: Collection[QueueKey], most: int, operators: list[FreeOperator]
) -> tuple[dict[int, Dialog], datetime | None]:
    """The oldest dialogs of each queue by id, at most `most` of each queue, under their locks; locked ones are left out.

    If the operators are few, their operator locks are taken in the same message, and those whose lock somebody else holds leave
    `operators`. The second value is then the moment at which the others had the capacity that they have now (Q5). It is None if
    they are too many for that: `lock_capacity` is to be asked about those who were chosen.
    """
    if not dialect().takes_row_locks:
        return _oldest_one_by_one(account_id, queues, most), database_now()
    parts, values = [], []
    for has_department, condition in ((False, "IS NULL"), (True, "= queue.department_id")):
        asked = [queue for queue in queues if (queue[0] is not None) is has_department]
        if asked:
            parts.append(OLDEST.format(is_the_queues=condition))
            values += [*(list(column) for column in zip(*asked, strict=True)), account_id, most]
    statement = (" UNION ALL ".join(parts), values)
    if len(operators) > FEW:
        (rows,), now = run_together(statement), None
    else:
        rows, *counted = run_together(statement, *_capacity_of([operator.id for operator in operators]))
        capacity, now = _capacity_and_moment(*counted)
        operators[:] = [operator for operator in operators if operator.id in capacity]
        for operator in operators:
            operator.capacity = capacity[operator.id]
    return {row[0]: Dialog.from_db(connection.alias, READ, _loaded(row)) for row in rows}, now


def _oldest_one_by_one(account_id: int, queues: Iterable[QueueKey], most: int) -> dict[int, Dialog]:
    found: dict[int, Dialog] = {}
    for department, language, is_offline in queues:
        theirs = {"department": department, "language": language, "is_offline": is_offline}
        rows = Dialog.objects.filter(WAITS_IN_QUEUE, account=account_id, **theirs)
        found |= {dialog.pk: dialog for dialog in rows.only(*READ).order_by("created_at", "pk")[:most]}
    return found


def _loaded(row: Sequence[Any]) -> list[Any]:
    """A row of READ as a model takes it: a plain cursor gives JSON as text."""
    return [json.loads(value) if name == "passed_over" else value for name, value in zip(READ, row, strict=True)]


HELD_NOW = f"""
SELECT person.id, held.online, held.offline, clock_timestamp(),
    COALESCE(person.max_online_dialogs, account.max_online_dialogs),
    COALESCE(person.max_offline_dialogs, account.max_offline_dialogs)
FROM operators_operator AS person JOIN operators_account AS account ON account.id = person.account_id
CROSS JOIN LATERAL (
    SELECT COUNT(*) FILTER (WHERE NOT is_offline) AS online, COUNT(*) FILTER (WHERE is_offline) AS offline
    FROM dialogs_dialog
    WHERE account_id = person.account_id AND operator_id = person.id AND {HELD}
) AS held
WHERE person.id = ANY(%s)
"""  # noqa: S608


def lock_capacity(operator_ids: Collection[int]) -> tuple[dict[int, dict[bool, int]], datetime]:
    """The capacity (as in `FreeOperator`) of those operators whose operator lock is free; it is held until the transaction ends.

    The second value is the moment of the giving: it comes after the count, for what had made room by then happened before it.
    For PostgreSQL and at least one operator.
    """
    return _capacity_and_moment(*run_together(*_capacity_of(list(operator_ids))))


def _capacity_of(ids: list[int]) -> tuple[Statement, Statement]:
    return operator_locks_to_try(ids), (HELD_NOW, [ids])


def _capacity_and_moment(locks: Rows, held: Rows) -> tuple[dict[int, dict[bool, int]], datetime]:
    locked = {operator_id for (operator_id,) in locks}
    capacity = {
        pk: _capacity(most_online, most_offline, online, offline) for pk, online, offline, _, most_online, most_offline in held
    }
    return {pk: capacity[pk] for pk in locked}, max(row[3] for row in held)
