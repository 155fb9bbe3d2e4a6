"""The Celery application: two queues, `clock` and `mail`, never served by the same worker process."""

import logging
import os
from typing import Any

import celery.app.log
from celery import Celery
from celery.utils.log import mlevel
from django.conf import settings
from django.utils.log import configure_logging
from kombu.transport import TRANSPORT_ALIASES

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webim_offline.settings")

TRANSPORT_ALIASES["folder"] = "webim_offline.foundation.broker:Transport"


class Logging(celery.app.log.Logging):
    """Workers and beat write as every other process does, instead of Celery's own handlers and formats."""

    def setup_logging_subsystem(self, loglevel: int | str | None = None, *args: Any, **kwargs: Any) -> bool:
        configure_logging(settings.LOGGING_CONFIG, settings.LOGGING)
        logging.getLogger("celery").setLevel(mlevel(loglevel or "WARNING"))
        return True  # Celery has nothing left to set up


app = Celery("webim_offline", log=Logging)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
