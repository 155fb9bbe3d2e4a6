"""Runners: one long Celery task for each queue, which does each second what the settings say (RUNNER_SCHEDULE).

Celery beat starts a runner in a worker of its queue, and starts it again when it is lost (`webim_offline.beat`). While it runs,
nothing passes through the broker. Several workers may serve a queue: the one whose runner holds the queue's lease works, the
others wait until they are needed. A runner ends

- when its worker shuts down (Celery's warm shutdown), at the end of the task that it runs at that moment,
- when another runner has taken its lease,
- after a turn that came so late that beat took this runner for lost: beat's messages wait in the queue, and have to be read.

In a turn the lease is renewed, and what is due is asked for, by one statement (`DueWork`): an idle service costs no more. From the
first task that has something to do, every later one of the turn runs unasked, because what it looks for may just have been made.

The intervals are measured by a clock that nobody sets (Z3). Workers must use the pool "solo": in it, a task and the shutdown of
its worker meet in one process.
"""

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from celery import current_app, shared_task
from celery.signals import worker_shutting_down
from django.conf import settings
from django.db import DatabaseError, InterfaceError, close_old_connections, connection

from dialogs.actions.runner_leases import LOST_AFTER, RunnerLease
from webim_offline.foundation.database.due_work import due_work_of
from webim_offline.foundation.steady_clock import steady_now

logger = logging.getLogger(__name__)
TURN = 1.0  # seconds from the beginning of one turn to that of the next

Task = Callable[[], object]


class Shutdown:
    """Whether the worker that this process is has been told to end."""

    is_asked = False


def _note_shutdown(**_: Any) -> None:
    Shutdown.is_asked = True


worker_shutting_down.connect(_note_shutdown)


@shared_task
def run(queue: str) -> int:
    """Be the runner of this queue for as long as possible, unless it has one; returns the number of turns."""
    schedule: dict[Task, float] = {current_app.tasks[name]: every for name, every in settings.RUNNER_SCHEDULE[queue].items()}
    return Runner(queue, schedule).run()


class Runner:
    """Runs the tasks of one queue, each as often as `schedule` says in seconds (none more often than each TURN)."""

    def __init__(self, queue: str, schedule: Mapping[Task, float]) -> None:
        self.queue, self.schedule = queue, schedule
        self._due_work = {task: work for task in schedule if (work := due_work_of(task))}
        self._lease = RunnerLease(queue, list(self._due_work.values()))
        self._renewed_at = steady_now()
        self._last_run: dict[Task, float] = {}

    def run(self) -> int:
        """Take turns until the runner has to end; returns their number. See the head of this module."""
        try:
            if not self._lease.take():
                return 0
        except (DatabaseError, InterfaceError) as error:
            logger.warning("the runner of %s waits for the database: %s", self.queue, error)
            _close_connection()
            return 0
        turns = 0
        try:
            while not Shutdown.is_asked and self._take_turn():
                turns += 1
        finally:
            with suppress(DatabaseError, InterfaceError):
                self._lease.release()
        return turns

    def _take_turn(self) -> bool:
        """Renew the lease, run what is due, and wait for the next turn; returns False when the runner has to end."""
        began = steady_now()
        try:
            if not self._renewed():
                logger.info("another runner of %s has taken over", self.queue)
                return False
        except (DatabaseError, InterfaceError) as error:
            logger.warning("the runner of %s waits for the database: %s", self.queue, error)
            _close_connection()
        else:
            before, self._renewed_at = self._renewed_at, began
            self._run_due_tasks(began)
            if max(began - before, steady_now() - began) > LOST_AFTER.total_seconds():
                return False
        time.sleep(max(0.0, began + TURN - steady_now()))
        return True

    def _renewed(self) -> bool:
        """Renew the lease; once more, on a new connection, if the one at hand turns out to be broken (the database restarted)."""
        try:
            return self._lease.renew()
        except (DatabaseError, InterfaceError):
            _close_connection()
            return self._lease.renew()

    def _run_due_tasks(self, now: float) -> None:
        is_quiet = True
        for task, every in self.schedule.items():
            # half a turn early is in time: the next turn would be late
            if now - self._last_run.get(task, float("-inf")) < every - TURN / 2:
                continue
            if Shutdown.is_asked:
                return
            self._last_run[task] = now
            if is_quiet and self._due_work.get(task) in self._lease.nothing_due:
                continue
            if is_quiet:
                close_old_connections()
                is_quiet = False
            try:
                task()
            except Exception:
                logger.exception("%s failed", getattr(task, "name", task))


def _close_connection() -> None:
    with suppress(DatabaseError, InterfaceError):
        connection.close()
