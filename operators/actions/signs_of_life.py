"""Signs of life of workspaces, and what their absence means (A2, A4, P9)."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Q

from operators.availability import STANDS_STILL_AFTER, judged_at
from operators.channels import service_channel, workspace_channel
from operators.history import Change, expiry
from operators.locks import lock_account
from operators.models import Account, ConditionReason, Operator, Status, WorkspacesHeard
from webim_offline.foundation.database.clock import DatabaseNow, database_now
from webim_offline.foundation.database.dialect import dialect
from webim_offline.foundation.database.locks import lock_keys
from webim_offline.foundation.database.transactions import atomic
from webim_offline.foundation.realtime import publish

EARLY = 0.1  # seconds: `seconds_since` is not exact
NEARLY_OVER = timedelta(seconds=5)  # of a lease: from then on a sign of life takes the account's lock (S2)


def seen(operator: Operator, now: datetime) -> None:
    """A request of the workspace is a sign of life (A2). Coming back after an expiry tells the widgets."""
    _hear([operator], {operator.pk: operator.tickets_valid_from}, now)
    operator.last_seen_at = now


def workspaces_seen(tickets: Mapping[int, datetime]) -> dict[int, datetime]:
    """Write the signs of life of many workspaces (A2), and that they could be written (P9).

    `tickets` maps operator ids to the session their newest ticket names: the `tickets_valid_from` it was issued under. Any other
    one, an earlier or a later, is no sign of anybody.
    Returns the one valid now for everyone who may work (X5); who is missing there was deactivated, or the account archived.
    """
    if not _note_heard():
        end_silence()
    if not tickets:
        return {}
    known = list(Operator.objects.filter(pk__in=tickets, is_active=True, account__archived_at=None).select_related("account"))
    _hear([person for person in known if tickets[person.pk] == person.tickets_valid_from], tickets, database_now())
    return {person.pk: person.tickets_valid_from for person in known}


def _note_heard() -> bool:
    """Note that signs of life can be written now; returns False when that was last noted too long ago, or ahead of the clock.

    Every live process does it all the time, also when nobody is there: hence plain SQL.
    """
    here, most = dialect(), STANDS_STILL_AFTER.total_seconds()
    table, since = WorkspacesHeard._meta.db_table, here.seconds_since("at")
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {table} SET at = {here.latest} WHERE {since} BETWEEN {-most} AND {most}", here.moment_values())  # noqa: S608
        return bool(cursor.rowcount)


def _hear(people: list[Operator], tickets: Mapping[int, datetime], now: datetime) -> None:
    """Signs of life of `people`, just read. What changes nobody's availability takes no account's lock."""
    plain: dict[int | None, list[int]] = {}
    returning: dict[int, list[int]] = {}
    for person in people:
        lease = person.account.operator_lease if person.account else None
        if person.account_id is None or (person.last_seen_at and (person.status != Status.ONLINE or _lasts(person, now))):
            plain.setdefault(lease, []).append(person.pk)
        else:
            returning.setdefault(person.account_id, []).append(person.pk)
    clock = DatabaseNow()
    for lease, ids in plain.items():
        rows = Operator.objects.filter(pk__in=ids, is_active=True)
        if lease is not None:  # who signed out, chose Online or fell silent since we read must take the other way
            enough = Q(last_seen_at__gt=clock - timedelta(seconds=lease) + _margin(lease), counted_online=True)
            rows = rows.filter(enough | ~Q(status=Status.ONLINE), last_seen_at__isnull=False)
            # a lease that was shortened since we read has perhaps run out: what the history tells must not be undone
            rows = rows.filter(account__in=Account.objects.filter(operator_lease=lease))
        if len(ids) == 1:
            rows.update(last_seen_at=clock)
            continue
        with transaction.atomic():
            Operator.objects.filter(pk__in=lock_keys(rows)).update(last_seen_at=clock)
    for account_id, ids in returning.items():
        _bring_back(account_id, ids, tickets)


def _margin(lease: int) -> timedelta:
    return min(NEARLY_OVER, timedelta(seconds=lease) / 4)


def _lasts(person: Operator, now: datetime) -> bool:
    lease = person.own_account.operator_lease
    return person.counted_online and person.last_seen_at is not None and expiry(person.last_seen_at, lease) - _margin(lease) > now


@atomic
def _bring_back(account_id: int, ids: list[int], tickets: Mapping[int, datetime]) -> None:
    """Signs of life of people whose lease is over, or nearly: becoming online is a change under the account's lock (S2, A4)."""
    account = lock_account(account_id)
    if account.archived_at is not None:
        return
    change = Change(account, pk__in=ids, is_active=True)
    heard = [person for person in change.people if tickets[person.pk] == person.tickets_valid_from]
    for person in heard:
        person.last_seen_at = change.now
    Operator.objects.filter(pk__in=[person.pk for person in heard]).update(last_seen_at=change.now)
    if change.write(ConditionReason.BACK):
        publish(service_channel(account_id), workspace_channel(account_id))


@atomic
def end_silence() -> None:
    """P9: signs of life can be written again. Workspaces alive when they no longer could be get one full lease from now.

    Whoever signed out has no sign of life stored and stays away.
    """
    row = WorkspacesHeard.objects.select_for_update().first()
    now = database_now()
    if row is None:
        WorkspacesHeard.objects.get_or_create(pk=1, defaults={"at": now})
        return
    if abs(now - row.at) <= STANDS_STILL_AFTER:
        return  # another live process has seen to it
    stood_still_at = row.at + STANDS_STILL_AFTER
    people = Operator.objects.filter(is_active=True, last_seen_at__isnull=False, account__isnull=False)
    people = Operator.objects.filter(pk__in=lock_keys(people))
    for lease in people.values_list("account__operator_lease", flat=True).distinct().order_by():
        lasting, of_lease = timedelta(seconds=lease), people.filter(account__operator_lease=lease)
        gone = of_lease.filter(last_seen_at__lt=stood_still_at - lasting)
        # a clock set back must not bring them back (Z3): their last sign of life is ahead of it now
        gone.filter(last_seen_at__gte=now - lasting).update(last_seen_at=now - lasting - timedelta(seconds=1))
        of_lease.filter(last_seen_at__gte=stood_still_at - lasting).update(last_seen_at=now)
    row.at = now
    row.save(update_fields=["at"])


def any_expired() -> str:
    """Whether a lease may have run out that is not recorded yet (`DueWork`).

    It may say so a moment too early, and while signs of life cannot be written (P9): `record_expiries` judges exactly.
    """
    silent_for = dialect().seconds_since("person.last_seen_at")
    return (
        f"EXISTS (SELECT 1 FROM {Operator._meta.db_table} person"  # noqa: S608
        f" JOIN {Account._meta.db_table} account ON account.id = person.account_id"
        f" WHERE person.counted_online AND {silent_for} > account.operator_lease - {EARLY})"
    )


def record_expiries() -> int:
    """Record leases of workspaces that have run out, each with the moment it happened (A2, A4); returns how many."""
    online = Operator.objects.filter(counted_online=True)
    now = judged_at(database_now(), WorkspacesHeard.objects.values_list("at", flat=True).first())
    recorded = 0
    for lease in online.values_list("account__operator_lease", flat=True).distinct().order_by():
        silent = online.filter(account__operator_lease=lease, last_seen_at__lt=now - timedelta(seconds=lease))
        for account_id in silent.values_list("account_id", flat=True).distinct().order_by():
            with transaction.atomic():
                recorded += Change(lock_account(account_id), counted_online=True).expired
                publish(service_channel(account_id), workspace_channel(account_id))
    return recorded
