"""Asking whether tasks have anything to do, so that an idle service costs one statement a second and not one for each task.

A task that runs again and again says with `looks_for` how the database can tell that it would find nothing. Whoever runs the tasks
asks for all of them in one statement (`dialogs.actions.runner_leases`), and skips those with nothing to do.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from webim_offline.foundation.database.dialect import dialect

Task = TypeVar("Task", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class DueWork:
    """How to see whether a task has anything to do.

    `condition` returns SQL that is true if it has, or may have. It must never be false while there is something to do, and it
    should be answered by an index. It may name the present moment as `dialect().moment`, and contains no other parameters.

    `pulse` is the name of the row that the task renews whenever it runs. When the task has nothing to do, the row is renewed by the
    statement that asks.
    """

    condition: Callable[[], str]
    pulse: str = ""


def looks_for(condition: Callable[[], str], *, pulse: str = "") -> Callable[[Task], Task]:
    """Decorate the function of a task with what it looks for; see `DueWork`. It goes below Celery's own decorator."""

    def decorate(function: Task) -> Task:
        function.__dict__["due_work"] = DueWork(condition, pulse)
        return function

    return decorate


def due_work_of(task: Callable[[], object]) -> DueWork | None:
    """Return what a task of Celery's, or a function, looks for; None if it does not say, and has to be run to find out."""
    work = getattr(getattr(task, "__wrapped__", task), "due_work", None)
    return work if isinstance(work, DueWork) else None


def any_row(table: str, order: str, where: str, *, then: str = "") -> str:
    """Return the condition that the first row by `order`, of those `where` is true for, exists (and that `then` is true for it).

    A plain EXISTS may read a whole table in vain: where statistics are old, PostgreSQL expects to meet a row soon. The order lets
    it take nothing but the index that begins with this column.
    """
    condition = f" WHERE {then}" if then else ""
    return f"EXISTS (SELECT 1 FROM (SELECT {order} FROM {table} WHERE {where} ORDER BY {order} LIMIT 1) first{condition})"  # noqa: S608


def any_past(table: str, column: str, where: str = "") -> str:
    """Return the condition that the earliest moment in a column, of the rows `where` is true for, is not ahead of now."""
    known = f"{column} IS NOT NULL"
    return any_row(table, column, f"{where} AND {known}" if where else known, then=f"{column} <= {dialect().moment}")
