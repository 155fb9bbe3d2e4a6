"""Which rows each statement of each transaction locks on PostgreSQL, and whether that order could end in a deadlock.

A row that a transaction locks, changes or deletes shows it in its system columns (`xmax`, `xmin`), so the recorder looks at all
rows before and after each statement. It sees what triggers lock, too. It needs a database that nobody else uses meanwhile.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from django.apps import apps
from django.db import connection
from django.db.models import QuerySet

from webim_offline.foundation.database import statements
from webim_offline.foundation.database.locks import Lock

ORDER = {lock.value: place for place, lock in enumerate(Lock)}
# tables whose rows are changed only under another lock that the transaction must hold then: nobody else can be at these rows
GUARDED_BY = {
    "operators_department": Lock.ACCOUNTS,
    "operators_language": Lock.ACCOUNTS,
    "operators_contactfield": Lock.ACCOUNTS,
    "operators_operator_departments": Lock.ACCOUNTS,
    "operators_operator_languages": Lock.ACCOUNTS,
    "operators_operatorchange": Lock.ACCOUNTS,
    "dialogs_searchtext": Lock.DIALOGS,
    "dialogs_delivery": Lock.DIALOGS,
    "dialogs_message": Lock.DIALOGS,
    "dialogs_dialogevent": Lock.DIALOGS,
    "notifications_deliveryattempt": Lock.LETTERS,
}
OURS = ("operators", "dialogs", "notifications")


@dataclass
class Transaction:
    """What one transaction holds: by table, the keys in the order in which it got them."""

    id: str
    held: dict[str, list[str]] = field(default_factory=dict)


class Recorder:
    """`faults` says what could end in a deadlock; `edges` holds (locked before, waited for), by table."""

    is_paused = False

    def __init__(self) -> None:
        self.faults: dict[str, str] = {}
        self.edges: set[tuple[str, str]] = set()
        self._now = Transaction("")
        models = [model for label in OURS for model in apps.get_app_config(label).get_models(include_auto_created=True)]
        self._sql = " UNION ALL ".join(
            f"SELECT '{model._meta.db_table}', {model._meta.pk.column}::text, xmin::text, xmax::text FROM {model._meta.db_table}"
            for model in models
            if model._meta.managed
        )

    def __call__(self, execute, sql, params, many, context):
        if self.is_paused:
            return execute(sql, params, many, context)
        before = self._look()
        result = execute(sql, params, many, context)
        after = self._look()
        if before is not None and after is not None:
            self._note(sql, params, before, after)
        return result

    def _look(self) -> tuple[str, dict[tuple[str, str], tuple[str, str]]] | None:
        """The transaction, and every row with its system columns; None where the transaction was broken off."""
        if connection.connection.info.transaction_status.name == "INERROR":
            return None
        with connection.connection.cursor() as cursor:
            transaction = cursor.execute("SELECT pg_current_xact_id()::text").fetchone()[0] if connection.in_atomic_block else ""
            rows = cursor.execute(self._sql).fetchall()
        return transaction, {(table, key): (xmin, xmax) for table, key, xmin, xmax in rows}

    def _note(self, sql, params, before, after) -> None:
        transaction = after[0]
        if not transaction or transaction != self._now.id:
            self._now = Transaction(transaction)
        touched: dict[str, list[str]] = {}
        for row, marks in before[1].items():
            if after[1].get(row) != marks and row[1] not in self._now.held.get(row[0], ()):
                touched.setdefault(row[0], []).append(row[1])
        if advisory := re.search(r"pg_(try_)?advisory_xact_lock\(%s(, %s)?", sql):
            lock = Lock.ASSIGNMENT if advisory[2] else Lock.OPERATOR
            touched[lock.value] = [str(params[-1])]
        waits = not re.search(r"SKIP LOCKED|NOWAIT|pg_try_", sql)
        # what a trigger locks is locked after the rows of the statement itself
        for table in sorted(touched, key=lambda table: (table not in sql, ORDER.get(table, len(ORDER)))):
            self._lock(table, touched[table], sql, waits=waits)

    def _lock(self, table: str, keys: list[str], sql: str, *, waits: bool) -> None:
        held = self._now.held
        if guard := GUARDED_BY.get(table):
            if guard.value not in held:
                self._fault(f"{table} is changed without the lock of {guard.name}", sql)
            return
        if table not in ORDER:
            if waits and len(keys) > 1:
                self._fault(f"several rows of {table} are locked, and Lock does not name it", sql)
            return
        if waits:
            self.edges |= {(other, table) for other in held if other != table}
            for other in held:
                if ORDER[other] > ORDER[table]:
                    self._fault(f"{table} is waited for while {other} is held", sql)
            self._check_keys(table, keys, sql)
        held.setdefault(table, []).extend(keys)

    def _check_keys(self, table: str, keys: list[str], sql: str) -> None:
        # an INSERT locks the rows it finds in the order of its values, which the actions sort
        is_ordered = re.search(r"ORDER BY.*FOR (NO KEY UPDATE|UPDATE|SHARE)|^INSERT INTO", sql, re.S)
        if len(keys) > 1 and not is_ordered and "advisory" not in table and table in sql:
            self._fault(f"{len(keys)} rows of {table} are locked in no order", sql)
        # visits are ordered by visitor and key; those of one statement are looked at alone
        known = self._now.held.get(table, [])
        if table != Lock.VISITS.value and known and all(key.isdigit() for key in (*keys, *known)):
            if min(map(int, keys)) < max(map(int, known)):
                self._fault(f"{table} {min(keys)} is waited for while {max(known)} is held", sql)
        elif known and table == Lock.VISITS.value:
            self._fault(f"{table} is locked in two turns", sql)

    def _fault(self, what: str, sql: str) -> None:
        kind = re.sub(r"\d+", "N", what)
        self.faults.setdefault(f"{kind}: {sql[:60]}", f"{what}:\n    {' '.join(sql.split())[:300]}")


def arranged(rows: QuerySet, **values) -> None:
    """Change rows as the story wants them: what only a test does is not recorded."""
    Recorder.is_paused = True
    try:
        rows.update(**values)
    finally:
        Recorder.is_paused = False


@contextmanager
def recorded() -> Iterator[Recorder]:
    """Record what this connection locks. Statements that travel together are sent one by one meanwhile."""

    def one_by_one(several):
        found = []
        with connection.cursor() as cursor:
            for sql, values in several:
                cursor.execute(sql, values)
                found.append(cursor.fetchall() if cursor.description else [])
        return found

    recorder = Recorder()
    connection.ensure_connection()
    with pytest.MonkeyPatch.context() as patch, connection.execute_wrapper(recorder):
        patch.setattr(statements, "_one_message", one_by_one)
        yield recorder
