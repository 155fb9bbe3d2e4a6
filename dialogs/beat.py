"""Celery's beat with a pulse, so that /healthz can tell that it lives; a clock set back does not stop it (Z3)."""

import logging
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from django.db import DatabaseError, InterfaceError, connection
from django_celery_beat.schedulers import DatabaseScheduler

from dialogs.actions import deadlines
from dialogs.models import Pulse

logger = logging.getLogger(__name__)
EVERY = 1.0  # seconds


class PulseScheduler(DatabaseScheduler):
    """The schedule of the settings, kept in the database; a lost database stops neither the clock nor this process."""

    last_pulse = float("-inf")

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Ring what is due, note that beat lives; returns the seconds to sleep."""
        self._forget_runs_ahead()
        try:
            pause = super().tick(*args, **kwargs)
            if monotonic() - self.last_pulse >= EVERY:
                deadlines.beat(Pulse.BEAT)
                self.last_pulse = monotonic()
        except (DatabaseError, InterfaceError) as error:
            logger.warning("beat waits for the database: %s", error)
            connection.close()
            return EVERY
        return min(pause, EVERY)

    def _forget_runs_ahead(self) -> None:
        # celery would ring nothing until the clock is again as late as it was. The heap holds entries of its own, younger
        # than those of the schedule
        now = datetime.now(UTC)
        entries = [*(self._schedule or {}).values(), *(event.entry for event in self._heap or ())]
        ahead = [entry for entry in entries if entry.last_run_at > now]
        for entry in ahead:
            entry.last_run_at = entry.model.last_run_at = now
        if ahead:
            self._heap = None
