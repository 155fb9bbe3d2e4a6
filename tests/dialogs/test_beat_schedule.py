"""The schedule that runs is the settings', whatever somebody wrote into its tables."""

from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from dialogs import beat
from webim_offline.celery import app as celery

pytestmark = pytest.mark.django_db(transaction=True)  # the scheduler commits


class Scheduler(beat.PulseScheduler):
    """It notes what it rings instead of sending it."""

    def __init__(self, *args, **kwargs):
        self.rung = []
        super().__init__(*args, **kwargs)

    def apply_entry(self, entry, producer=None):
        self.rung.append((entry.name, entry.task, entry.options.get("queue")))

    def sync(self):
        """Nothing: it would write when the process ends, too."""


def long_ago():
    return datetime.now(UTC) - timedelta(days=1)


def rings(scheduler):
    """What is rung when everything has been due for a day."""
    for entry in scheduler.schedule.values():
        entry.last_run_at = entry.model.last_run_at = long_ago()
    scheduler._heap = None
    while scheduler.tick() == 0:
        pass
    return set(scheduler.rung)


EXPECTED = {(name, entry["task"], entry["options"]["queue"]) for name, entry in settings.CELERY_BEAT_SCHEDULE.items()}


@pytest.fixture
def stored():
    """The rows as a start makes them."""
    Scheduler(app=celery)
    assert set(PeriodicTask.objects.values_list("name", flat=True)) == set(settings.CELERY_BEAT_SCHEDULE)


def test_it_rings_what_the_settings_say(stored):
    assert rings(Scheduler(app=celery)) == EXPECTED


CHANGES = {
    "switched off": {"enabled": False},
    "another task": {"task": "notifications.tasks.write_letters", "args": "[1]"},
    "once only": {"one_off": True, "total_run_count": 3},
    "not yet": {"start_time": datetime(2090, 1, 1, tzinfo=UTC)},
    "no longer": {"expires": datetime(2020, 1, 1, tzinfo=UTC), "expire_seconds": None},
    "another queue": {"queue": "nobody", "exchange": "x", "routing_key": "y"},
    "run in the future": {"last_run_at": datetime(2090, 1, 1, tzinfo=UTC)},
}


@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES)
def test_a_start_puts_right_what_somebody_changed(stored, changes):
    PeriodicTask.objects.update(**changes)
    scheduler = Scheduler(app=celery)
    assert rings(scheduler) == EXPECTED
    for row in PeriodicTask.objects.all():
        entry = settings.CELERY_BEAT_SCHEDULE[row.name]
        assert (row.enabled, row.one_off, row.task, row.args) == (True, False, entry["task"], "[]")
        assert (row.queue, row.exchange, row.start_time, row.expires) == (entry["options"]["queue"], None, None, None)
        assert row.expire_seconds == entry["options"]["expire_seconds"]


def test_another_interval_is_put_right(stored):
    IntervalSchedule.objects.update(every=30, period="days")
    crontab = CrontabSchedule.objects.create(hour="4")
    PeriodicTask.objects.filter(name="end lost visits").update(interval=None, crontab=crontab)
    assert rings(Scheduler(app=celery)) == EXPECTED
    for row in PeriodicTask.objects.select_related("interval"):
        assert (row.crontab, row.interval.every) == (None, settings.CELERY_BEAT_SCHEDULE[row.name]["schedule"])


def test_a_task_that_somebody_added_is_not_run(stored):
    interval = IntervalSchedule.objects.first()
    PeriodicTask.objects.create(name="mine", task="dialogs.tasks.advance_dialogs", interval=interval)
    scheduler = Scheduler(app=celery)
    assert rings(scheduler) == EXPECTED
    PeriodicTask.objects.create(name="mine too", task="dialogs.tasks.advance_dialogs", interval=interval)
    assert "mine too" not in scheduler.schedule
    assert rings(scheduler) == EXPECTED
    assert PeriodicTask.objects.filter(name__startswith="mine").count() == 2, "they are left where they are"
