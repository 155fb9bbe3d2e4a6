"""Celery's beat with a pulse, so that /healthz can tell that it lives."""

import logging
from time import monotonic
from typing import Any

from django.db import DatabaseError, connection
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
        try:
            pause = super().tick(*args, **kwargs)
            if monotonic() - self.last_pulse >= EVERY:
                deadlines.beat(Pulse.BEAT)
                self.last_pulse = monotonic()
        except DatabaseError as error:
            logger.warning("beat waits for the database: %s", error)
            connection.close()
            return EVERY
        return min(pause, EVERY)
