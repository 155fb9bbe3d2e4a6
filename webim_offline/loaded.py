"""The code of the workers and of beat, loaded once by the process from which they are forked (`children`), and shared by them.

Nothing that is imported here may start a thread, connect to anything or make what belongs to one process alone. What a worker needs
and does not find here, it loads for itself: `tests/test_children.py` names it.
"""

# ruff: noqa: E402, F401 - Django must be set up first; loading is all that is wanted

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webim_offline.settings")
django.setup()

import billiard.dummy
import billiard.pool
import celery.app.amqp
import celery.app.control
import celery.app.events
import celery.apps.beat
import celery.apps.worker
import celery.backends.base
import celery.bin.beat
import celery.bin.worker
import celery.concurrency.solo
import celery.contrib.django.task
import celery.events.dispatcher
import celery.events.receiver
import celery.fixups.django
import celery.worker.autoscale
import celery.worker.components
import celery.worker.consumer
import celery.worker.consumer.delayed_delivery
import celery.worker.strategy
import kombu.transport.virtual
from django.conf import settings

import dialogs.tasks
import notifications.tasks
import operators.tasks
import webim_offline.beat
import webim_offline.foundation.broker
import webim_offline.runner

if settings.REDIS_URL:
    import kombu.transport.redis
