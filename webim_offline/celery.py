"""The Celery application: two queues, `clock` and `mail`, never served by the same worker process."""

import os

from celery import Celery
from kombu.transport import TRANSPORT_ALIASES

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webim_offline.settings")

TRANSPORT_ALIASES["folder"] = "webim_offline.broker:Transport"
app = Celery("webim_offline")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
