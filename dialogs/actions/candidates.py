"""What automatic assignment decides from: who may be given a dialog now, and the heads of the queues (Q5, Q7, A2, A5).

It is read after every commit that can change the answer, so it is plain SQL in few messages (decision 0013).
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from dialogs.actions import holding
from dialogs.assigning import UNBOUNDED, Person, Place
from dialogs.models import Dialog, State
from operators.models import Assignment, Status
from webim_offline.database_clock import database_now, stored_moment
from webim_offline.statements import Rows, Statement, run_together

HEARD_WITHIN = timedelta(seconds=25)  # A2, fixed: the last sign of life of somebody who is given a dialog
FEW = 50  # so many people may be locked without asking whether they are given anything
PATIENCE = "2s"  # for locks of PostgreSQL's; an assigner that stands still must not keep every process waiting with it
ADVISORY = 0x7731  # our kind of advisory lock on PostgreSQL: (kind, account)
# in the order of the model, as from_db wants them
READ = ("id", "account_id", "visitor_id", "department_id", "language_id", "in_workspace", "state", "created_at", "picked_up_at", "passed_over", "is_offline", "revision")  # fmt: skip  # noqa: E501


@dataclass(frozen=True, slots=True)
class Candidates:
    """`kinds`: which kinds (is offline?) of dialogs wait; `timeouts`: how long those of a department may wait for a reply (Q8)."""

    people: list[Person] = field(default_factory=list)
    kinds: frozenset[bool] = frozenset()
    timeouts: Mapping[int | None, timedelta] = field(default_factory=dict)

    @property
    def places(self) -> set[Place]:
        """The queues that somebody of these could be given a dialog of."""
        return {
            (department, language, is_offline)
            for person in self.people
            for is_offline in self.kinds
            if person.room[is_offline] > 0
            for language in person.languages
            for department in (None, *person.departments)
        }

    @property
    def room(self) -> int:
        """How many more dialogs the limits allow all of them together."""
        # a hand may have gone over a limit (Q5)
        return sum(max(person.room[kind], 0) for person in self.people for kind in self.kinds)


# in the order of the index dialog_queue, or PostgreSQL may look for one among all dialogs there are
WAITS = """COALESCE((SELECT TRUE FROM dialogs_dialog WHERE account_id = %s AND is_offline = {kind} AND state = 'queue'
    AND operator_id IS NULL AND in_workspace ORDER BY created_at LIMIT 1), FALSE)"""
ACCOUNT = """
SELECT operator_lease, pickup_timeout FROM operators_account WHERE id = %s AND assignment = %s AND archived_at IS NULL
"""
# an archived department is nobody's (A5)
DEPARTMENTS = "SELECT id, pickup_timeout FROM operators_department WHERE account_id = %s AND archived_at IS NULL"
# what people hold is counted before it is joined: the planner learns late how much that is, and might look through it for each
FREE_PEOPLE = f"""
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
    WHERE account.id = %s AND is_active AND status = %s AND last_seen_at >= {{heard_since}}
) AS present
LEFT JOIN (
    SELECT operator_id, COUNT(*) FILTER (WHERE NOT is_offline) AS online, COUNT(*) FILTER (WHERE is_offline) AS offline
    FROM dialogs_dialog
    WHERE account_id = %s AND operator_id IS NOT NULL AND in_workspace AND state IN ('queue', 'chatting')
    GROUP BY operator_id
) AS held ON held.operator_id = present.id
WHERE waits_online AND (most_online = 0 OR COALESCE(online, 0) < most_online)
    OR waits_offline AND (most_offline = 0 OR COALESCE(offline, 0) < most_offline)
"""  # noqa: S608


def lock_and_read(account_id: int) -> Candidates:
    """Everybody below a limit whose dialogs wait, if the account assigns automatically; nobody otherwise.

    Nobody else assigns in this account until the transaction ends, and its settings, statuses and memberships stand still.
    """
    account, departments = (ACCOUNT, [account_id, Assignment.AUTOMATIC]), (DEPARTMENTS, [account_id])
    if connection.vendor == "postgresql":
        patience = ("SELECT set_config('lock_timeout', %s, TRUE)", [PATIENCE])
        lock = ("SELECT pg_advisory_xact_lock(%s, %s)", [ADVISORY, account_id])
        settled = (f"{ACCOUNT} FOR SHARE", account[1])
        *_, settings, rows, own = run_together(patience, lock, settled, _free_people(account_id), departments)
    else:
        settings, rows, own = run_together(account, _free_people(account_id), departments)
    if not settings or not rows:
        return Candidates()
    lease, timeout = settings[0]
    timeouts: dict[int | None, timedelta] = {pk: timedelta(seconds=timeout if mine is None else mine) for pk, mine in own}
    people = []
    for pk, name, acted_at, *moments, most_online, most_offline, online, offline, _, _, parts, languages in rows:
        seen_at, now = map(stored_moment, moments)
        if now - seen_at <= timedelta(seconds=lease):
            room = _room(most_online, most_offline, online, offline)
            theirs = _ids(parts) & timeouts.keys(), _ids(languages)
            people.append(Person(pk, *theirs, online + offline, room, stored_moment(acted_at), name))
    kinds = frozenset(kind for kind, waits in zip((False, True), rows[0][9:11], strict=True) if waits)
    return Candidates(people, kinds, timeouts | {None: timedelta(seconds=timeout)})


def _free_people(account_id: int) -> Statement:
    asked, counted = [account_id] * 3, [account_id]
    if connection.vendor == "postgresql":
        sql = FREE_PEOPLE.format(now="clock_timestamp()", heard_since="clock_timestamp() - %s", list_of="array_agg")
        return sql, [*asked, Status.ONLINE, HEARD_WITHIN, *counted]
    adapt, now = connection.ops.adapt_datetimefield_value, database_now()
    sql = FREE_PEOPLE.format(now="%s", heard_since="%s", list_of="json_group_array")
    return sql, [adapt(now), *asked, Status.ONLINE, adapt(now - HEARD_WITHIN), *counted]


def _ids(listed: list[int] | str | None) -> frozenset[int]:
    """What FREE_PEOPLE gives as a list: an array of PostgreSQL's, or JSON."""
    return frozenset(json.loads(listed) if isinstance(listed, str) else listed or ())


def _room(most_online: int, most_offline: int, online: int, offline: int) -> dict[bool, int]:
    """How many more of each kind somebody with these limits may be given who has so many (Q5); 0 is no limit."""
    return {
        False: most_online - online if most_online else UNBOUNDED,
        True: most_offline - offline if most_offline else UNBOUNDED,
    }


# with `department IS NOT DISTINCT FROM` PostgreSQL would not use the index
HEADS = f"""
SELECT {", ".join(f"head.{name}" for name in READ)}
FROM unnest(%s::bigint[], %s::bigint[], %s::boolean[]) AS place (department_id, language_id, is_offline)
CROSS JOIN LATERAL (
    SELECT dialog.* FROM dialogs_dialog AS dialog
    WHERE dialog.account_id = %s AND dialog.department_id {{is_the_places}}
        AND dialog.language_id = place.language_id AND dialog.is_offline = place.is_offline
        AND dialog.state = 'queue' AND dialog.operator_id IS NULL AND dialog.in_workspace
    ORDER BY dialog.created_at, dialog.id LIMIT %s FOR NO KEY UPDATE SKIP LOCKED
) AS head
"""  # noqa: S608


def lock_heads(
    account_id: int, places: Collection[Place], most: int, people: list[Person]
) -> tuple[dict[int, Dialog], datetime | None]:
    """The oldest dialogs of each queue, at most `most` of one, under their locks; those that somebody is at are left out.

    Few people are locked along with them, and those whom a hand gives a dialog right now leave `people`: then the moment when
    the others had the room that they have now (Q5). None: they are many, and `lock_room` is to be asked about the chosen ones.
    """
    if connection.vendor != "postgresql":
        return _heads_one_by_one(account_id, places, most), database_now()  # SQLite has one writer
    parts, values = [], []
    for has_department, condition in ((False, "IS NULL"), (True, "= place.department_id")):
        asked = [place for place in places if (place[0] is not None) is has_department]
        if asked:
            parts.append(HEADS.format(is_the_places=condition))
            values += [*(list(column) for column in zip(*asked, strict=True)), account_id, most]
    statement = (" UNION ALL ".join(parts), values)
    if len(people) > FEW:
        (rows,), now = run_together(statement), None
    else:
        rows, *counted = run_together(statement, *_room_of([person.id for person in people]))
        room, now = _room_and_moment(*counted)
        people[:] = [person for person in people if person.id in room]
        for person in people:
            person.room = room[person.id]
    return {row[0]: Dialog.from_db(connection.alias, READ, _loaded(row)) for row in rows}, now


def _heads_one_by_one(account_id: int, places: Iterable[Place], most: int) -> dict[int, Dialog]:
    found: dict[int, Dialog] = {}
    for department, language, is_offline in places:
        rows = Dialog.objects.filter(
            account=account_id, state=State.QUEUE, operator=None, in_workspace=True,
            department=department, language=language, is_offline=is_offline,
        )  # fmt: skip
        found |= {dialog.pk: dialog for dialog in rows.only(*READ).order_by("created_at", "pk")[:most]}
    return found


def _loaded(row: Sequence[Any]) -> list[Any]:
    """A row of READ as a model takes it: a plain cursor gives JSON as text."""
    return [json.loads(value) if name == "passed_over" else value for name, value in zip(READ, row, strict=True)]


HELD_NOW = """
SELECT person.id, held.online, held.offline, clock_timestamp(),
    COALESCE(person.max_online_dialogs, account.max_online_dialogs),
    COALESCE(person.max_offline_dialogs, account.max_offline_dialogs)
FROM operators_operator AS person JOIN operators_account AS account ON account.id = person.account_id
CROSS JOIN LATERAL (
    SELECT COUNT(*) FILTER (WHERE NOT is_offline) AS online, COUNT(*) FILTER (WHERE is_offline) AS offline
    FROM dialogs_dialog
    WHERE account_id = person.account_id AND operator_id = person.id AND in_workspace AND state IN ('queue', 'chatting')
) AS held
WHERE person.id = ANY(%s)
"""


def lock_room(operator_ids: Collection[int]) -> tuple[dict[int, dict[bool, int]], datetime]:
    """The room (as in `Person`) of those whom nobody else is giving a dialog; nobody will until the transaction ends (Q5).

    And the moment of the giving: after the count, for what had made room by then happened before. PostgreSQL; not for nobody.
    """
    return _room_and_moment(*run_together(*_room_of(list(operator_ids))))


def _room_of(ids: list[int]) -> tuple[Statement, Statement]:
    return holding.shares_to_lock(ids), (HELD_NOW, [ids])


def _room_and_moment(locks: Rows, held: Rows) -> tuple[dict[int, dict[bool, int]], datetime]:
    locked = {operator_id for (operator_id,) in locks}
    room = {pk: _room(most_online, most_offline, online, offline) for pk, online, offline, _, most_online, most_offline in held}
    return {pk: room[pk] for pk in locked}, max(row[3] for row in held)
