"""Celery's beat with a pulse, so that /healthz can tell that it lives; a clock set back does not stop it (Z3)."""

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from django.db import DatabaseError, InterfaceError, connection
from django.db.models import QuerySet
from django_celery_beat.schedulers import DatabaseScheduler

from dialogs.actions import deadlines
from dialogs.models import Pulse

logger = logging.getLogger(__name__)
EVERY = 1.0  # seconds
# what the settings leave unsaid of a task: with it, nothing that somebody changed in its row is left
AS_SET: dict[str, Any] = {"enabled": True, "one_off": False, "start_time": None, "expires": None}


class PulseScheduler(DatabaseScheduler):
    """The schedule of the settings, and no other; a lost database stops neither the clock nor this process.

    It is kept in the database for the moments of the last runs alone. What else somebody wrote there is put right at the
    start; rows that are none of the settings' are not run.
    """

    last_pulse = float("-inf")

    def update_from_dict(self, mapping: Mapping[str, Mapping[str, Any]]) -> None:
        """Write the tasks of the settings, each as it stands there."""
        super().update_from_dict({name: {**AS_SET, **entry} for name, entry in mapping.items()})

    def enabled_models_qs(self) -> QuerySet:
        """The rows that are run."""
        return super().enabled_models_qs().filter(name__in=self.app.conf.beat_schedule)

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
