"""Celery beat's scheduler: it starts the runner of each queue, looks whether it lives, and starts it again when it is lost.

Celery beat calls `tick` again and again, and sleeps as long as it says. What is started stands in the settings
(CELERY_BEAT_SCHEDULE), and nowhere else. Lengths of time are measured by a clock that nobody sets (Z3).
"""

import logging
from typing import Any

from celery.beat import ScheduleEntry, Scheduler
from celery.schedules import schedule
from django.conf import settings
from django.db import DatabaseError, InterfaceError, close_old_connections, connection

from dialogs.actions import pulse, runner_leases
from dialogs.models import Pulse
from webim_offline.foundation.steady_clock import steady_now

logger = logging.getLogger(__name__)
EVERY = 1.0  # seconds between two pulses, and between two messages to start a runner that is lost
LOOK_EVERY = 0.5  # seconds; a lost runner is started again within 2 s (runner_leases.LOST_AFTER is the rest)
OLD_WORKER_AFTER = 5.0  # seconds without a runner after which its tasks are sent one by one


class RunnerScheduler(Scheduler):
    """Each entry of the schedule starts the runner of the queue that it is sent to."""

    _pulse_at = float("-inf")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._lost_since: dict[str, float] = {}  # queue -> when its runner was first missed
        self._started_at: dict[str, float] = {}  # queue -> when a message to start its runner was last sent
        super().__init__(*args, **kwargs)

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Note that beat lives and start the runners that are lost; returns the seconds to sleep."""
        now = steady_now()
        entries = {entry.options["queue"]: entry for entry in self.schedule.values() if entry.options}
        close_old_connections()
        try:
            if now - self._pulse_at >= EVERY:
                pulse.beat(Pulse.BEAT)
                self._pulse_at = now
            lost = runner_leases.lost(entries)
        except (DatabaseError, InterfaceError) as error:
            logger.warning("beat waits for the database: %s", error)
            connection.close()
            return LOOK_EVERY
        self._lost_since = {queue: self._lost_since.get(queue, now) for queue in lost}
        for queue in lost:
            if now - self._started_at.get(queue, float("-inf")) >= EVERY:
                self._started_at[queue] = now
                self._start(queue, entries[queue], missed_for=now - self._lost_since[queue])
        return LOOK_EVERY

    def _start(self, queue: str, entry: ScheduleEntry, *, missed_for: float) -> None:
        """Send the message that starts a runner. It expires soon, so that a worker which comes late does not find many."""
        self.apply_entry(entry, producer=self.producer)
        if missed_for < OLD_WORKER_AFTER:
            return
        # Perhaps the workers are of the release before this one, which does not know runners, and are restarted after beat.
        # They know each task. To be removed with the next release.
        for task, every in settings.RUNNER_SCHEDULE[queue].items():
            if every <= EVERY:
                single = self.Entry(name=task, task=task, schedule=schedule(every), options=entry.options, app=self.app)
                self.apply_entry(single, producer=self.producer)
