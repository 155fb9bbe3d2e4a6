"""What is locked, in which order, and the statements that lock it.

Two transactions that lock the same two things in different orders can wait for each other for ever; the database then ends one of
them (a deadlock). So every transaction takes its locks in the order of `Lock` below. It may leave out any of them, and it may ask
for one out of turn only without waiting for it (SKIP LOCKED, `pg_try_advisory_xact_lock`): what nobody waits for closes no circle.

Of several rows of one table the lower key is locked first, in one statement with ORDER BY: `lock_rows`. An UPDATE or DELETE of
several rows locks them in whatever order the database meets them, so they are locked by `lock_rows` before, unless another lock
that the transaction holds keeps everybody else away from them.

What the order means in the life of the service:

- Whoever finds that signs of life can be written again (P9) first keeps everybody else from finding the same.
- A letter is locked before the dialog it tells of: what became of it changes the dialog's ledger (B2).
- Whoever ends an outage (P9) holds the pulse of the sweep, so that nobody else ends the same outage.
- A live process comes before visitors and visits: whoever ends a lost process gives up its visits.
- Whoever assigns in an account holds the account's assignment lock, so that the next one waits before it locks anything else.
- The account's row stands before everything that happens in the account. Changes of settings, statuses and memberships lock it
  exclusively; the start of a dialog and everything that reads a setting share it (S2).
- Devices come before visitors, because a device says which visitors a push token concerns (P7).
- An operator's row comes before the dialog: an own action is noted before it is carried out (Q8). The limits are not counted under
  the row's lock, for signs of life must not wait for that, but under an advisory lock, the operator lock (Q5).
- A visitor comes before their dialogs, and the dialogs before the visits: a page's message finds out first which dialog it belongs
  to. A changed lease of visits comes before the visits that it moves.
- A dialog comes before what is made from it: texts of the search, the account's numbering, and its duties, written with events.

SQLite has one writer at a time. There nothing is locked, and the same functions only read.

`tests/test_lock_order.py` records the locks of every action on PostgreSQL and fails when one of them leaves this order.
"""

from collections.abc import Collection
from enum import Enum
from typing import Any, TypeVar
from uuid import UUID

from django.db import connection, models

from webim_offline.foundation.database.dialect import Statement, dialect
from webim_offline.foundation.database.loading import columns_of, instance_of
from webim_offline.foundation.database.statements import run_together

Row = TypeVar("Row", bound=models.Model)


class Lock(Enum):
    """Everything that is locked, in the order in which it is locked. The value is the table, or says what kind of lock it is."""

    SIGNS_OF_LIFE = "operators_workspacesheard"
    LETTERS = "notifications_outgoingemail"
    PULSES = "dialogs_pulse"
    PROCESSES = "dialogs_liveprocess"
    ASSIGNMENT = "advisory lock (ASSIGNMENT_CLASS, account id)"
    ACCOUNTS = "operators_account"
    DEVICES = "dialogs_device"
    OPERATORS = "operators_operator"
    VISITORS = "dialogs_visitor"
    OPERATOR = "advisory lock (OPERATOR_NUMBERS + operator id)"
    DIALOGS = "dialogs_dialog"
    SETTING_CHANGES = "operators_settingchange"
    VISITS = "dialogs_visit"
    NUMBERING = "dialogs_numbering"
    DUTIES = "dialogs_duty"


# The numbers of our advisory locks on PostgreSQL. Those of two 32-bit numbers and those of one 64-bit number never meet.
ASSIGNMENT_CLASS = 0x7731  # the first number; the second is the account's id
OPERATOR_NUMBERS = 0x7732 << 44  # plus the operator's id


def lock_rows(rows: models.QuerySet[Row], *order: str) -> list[Row]:
    """Lock the rows in the order of their keys (or in `order`), and return them.

    The query must not join anything. After waiting for a lock, PostgreSQL reads the locked row again, but not what was joined to it
    (decision 0004).
    """
    return list(rows.select_for_update(no_key=True).order_by(*order or ("pk",)))


def lock_keys(rows: models.QuerySet[Row], *order: str | models.expressions.Combinable) -> list[Any]:
    """Do the same as `lock_rows`, but return only the primary keys."""
    return list(rows.select_for_update(no_key=True).order_by(*order or ("pk",)).values_list("pk", flat=True))


def lock_rows_shared(model: type[Row], keys: Collection[int]) -> dict[int, Row]:
    """Lock the rows with these keys in a way that others can share, and return them by key. Makes one query.

    Nobody can change the rows until the transaction ends.
    """
    (found,) = run_together(shared_lock(model, keys))
    return {row.pk: row for row in (instance_of(model, values) for values in found)}


def shared_lock(model: type[models.Model], keys: Collection[int]) -> Statement:
    """Return the statement of `lock_rows_shared`. Its rows are those of `columns_of`, in the order of their keys."""
    quote = connection.ops.quote_name
    table, key = quote(model._meta.db_table), quote(str(model._meta.pk.column))
    condition, values = dialect().among(key, keys)
    return f"SELECT {columns_of(model)} FROM {table} WHERE {condition} ORDER BY {key}{dialect().for_share}", values  # noqa: S608


def keep_row(model: type[models.Model], key: int | UUID) -> None:
    """Keep a row from being deleted until the transaction ends, because the transaction is about to refer to it.

    Others may change the row meanwhile; they do not wait.
    """
    if not dialect().takes_row_locks:
        return
    quote = connection.ops.quote_name
    sql = f"SELECT 1 FROM {quote(model._meta.db_table)} WHERE {quote(str(model._meta.pk.column))} = %s FOR KEY SHARE"  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(sql, [key])


def lock_assignment(account_id: int) -> list[Statement]:
    """Return the statements that keep everybody else from assigning dialogs in this account until the transaction ends."""
    return dialect().advisory_lock(ASSIGNMENT_CLASS, account_id)


def operator_lock(operator_id: int) -> list[Statement]:
    """Return the statements that keep everybody else from giving this operator a dialog until the transaction ends.

    The operator's dialogs are counted under this lock, so that nobody gets more than the limit allows (Q5).
    """
    return dialect().advisory_lock(OPERATOR_NUMBERS + operator_id)


def operator_locks_to_try(operator_ids: Collection[int]) -> Statement:
    """Return a statement that takes the operator locks of several operators without waiting (PostgreSQL only).

    Its rows are the ids of the operators whose lock was free, and is now held by this transaction.
    """
    sql = "SELECT id FROM unnest(%s::bigint[]) AS id WHERE pg_try_advisory_xact_lock(%s + id)"
    return sql, [list(operator_ids), OPERATOR_NUMBERS]
