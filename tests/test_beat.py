"""Celery beat starts the runners of the settings and no others, whatever somebody wrote into the tables of a schedule."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.conf import settings
from django.db import OperationalError
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from dialogs.actions import pulse, runner_leases
from dialogs.actions.runner_leases import RunnerLease
from dialogs.models import Pulse
from webim_offline import beat
from webim_offline.celery import app as celery

pytestmark = pytest.mark.django_db
START = {(name, entry["task"], entry["args"], entry["options"]["queue"]) for name, entry in settings.CELERY_BEAT_SCHEDULE.items()}
# what beat sent, each second or now and then, before there were runners
SENT_BEFORE = {
    "dialogs.tasks.advance_dialogs",
    "dialogs.tasks.end_lost_visits",
    "operators.tasks.record_expiries",
    "dialogs.tasks.assign_dialogs",
    "dialogs.tasks.apply_setting_changes",
    "notifications.tasks.write_letters",
    "notifications.tasks.send_letters",
    "dialogs.tasks.forget_visitors",
    "operators.tasks.clear_expired_sessions",
}


class Scheduler(beat.RunnerScheduler):
    """It notes what it sends instead of sending it."""

    producer = None

    def __init__(self, *args, **kwargs):
        self.sent = []
        super().__init__(*args, app=celery, **kwargs)

    def apply_entry(self, entry, producer=None):
        self.sent.append((entry.name, entry.task, entry.args, entry.options.get("queue")))

    def seconds(self, clock, count):
        """What it sends in so many seconds."""
        self.sent.clear()
        for _ in range(int(count / beat.LOOK_EVERY)):
            assert self.tick() == beat.LOOK_EVERY
            clock.pass_time(beat.LOOK_EVERY)
        return list(self.sent)


class Clock:
    """A steady clock that the test moves; whoever holds a lease renews it as time passes."""

    def __init__(self):
        self.now, self.leases = 1000.0, []

    def pass_time(self, seconds):
        self.now += seconds
        Pulse.objects.exclude(name=Pulse.BEAT).update(at=datetime.now(UTC) - timedelta(hours=1))
        for lease in self.leases:
            lease._written = Pulse.objects.get(name=lease.name).at
            assert lease.renew()


@pytest.fixture(autouse=True)
def _one_connection(monkeypatch):
    """The test's own, inside its transaction."""
    monkeypatch.setattr(beat, "close_old_connections", lambda: None)


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(beat, "steady_now", lambda: clock.now)
    return clock


@pytest.fixture
def all_run(clock):
    """The runner of every queue holds its lease."""
    for queue in settings.RUNNER_SCHEDULE:
        clock.leases.append(RunnerLease(queue))
        assert clock.leases[-1].take()


def test_it_starts_a_runner_for_each_queue_of_the_settings(clock):
    assert set(Scheduler().seconds(clock, 1)) == START


def test_it_tries_again_each_second_until_a_runner_runs(clock):
    assert Counter(Scheduler().seconds(clock, 4)) == dict.fromkeys(START, 4)


def test_it_sends_nothing_while_all_run(clock, all_run):
    assert Scheduler().seconds(clock, 20) == []


@pytest.mark.parametrize("queue", settings.RUNNER_SCHEDULE)
def test_it_starts_the_one_that_is_lost_within_two_seconds(clock, all_run, queue):
    scheduler = Scheduler()
    scheduler.seconds(clock, 3)
    clock.leases = [lease for lease in clock.leases if not lease.name.endswith(f":{queue}")]
    assert {sent[3] for sent in scheduler.seconds(clock, 1)} == {queue}
    assert runner_leases.LOST_AFTER.total_seconds() + beat.LOOK_EVERY <= 2


def test_workers_of_the_release_before_get_the_tasks_one_by_one(clock):
    """They are restarted after beat, and do not know runners."""
    scheduler = Scheduler()
    assert {task for _, task, *_ in scheduler.seconds(clock, beat.OLD_WORKER_AFTER)} == {"webim_offline.runner.run"}
    sent = Counter((task, queue) for _, task, _, queue in scheduler.seconds(clock, 3))
    for queue, tasks in settings.RUNNER_SCHEDULE.items():
        for task, every in tasks.items():
            assert sent[task, queue] == (3 if every == 1 else 0)
    assert sent["webim_offline.runner.run", "clock"] == 3


def test_every_task_of_a_schedule_is_one_that_a_worker_knows():
    celery.loader.import_default_modules()
    of_runners = {task for tasks in settings.RUNNER_SCHEDULE.values() for task in tasks}
    assert of_runners == SENT_BEFORE, "beat of the release before may still send them"
    assert {*of_runners, "webim_offline.runner.run"} <= celery.tasks.keys()


CHANGES = {
    "switched off": {"enabled": False},
    "another task": {"task": "notifications.tasks.write_letters", "args": "[1]"},
    "once only": {"one_off": True, "total_run_count": 3},
    "not yet": {"start_time": datetime(2090, 1, 1, tzinfo=UTC)},
    "no longer": {"expires": datetime(2020, 1, 1, tzinfo=UTC), "expire_seconds": None},
    "another queue": {"queue": "nobody", "exchange": "x", "routing_key": "y"},
    "run in the future": {"last_run_at": datetime(2090, 1, 1, tzinfo=UTC)},
}


@pytest.fixture
def stored():
    """Rows of the tables of django-celery-beat, as the release before kept them, and as somebody may add them."""
    every = IntervalSchedule.objects.create(every=1, period="seconds")
    for name in (*settings.CELERY_BEAT_SCHEDULE, "ring due deadlines", "send due letters", "mine"):
        PeriodicTask.objects.create(name=name, task="dialogs.tasks.advance_dialogs", interval=every)
    return every


@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES)
def test_what_somebody_changed_in_the_tables_changes_nothing(clock, stored, changes):
    PeriodicTask.objects.update(**changes)
    assert set(Scheduler().seconds(clock, 2)) == START


def test_another_interval_in_the_tables_changes_nothing(clock, stored):
    IntervalSchedule.objects.update(every=30, period="days")
    crontab = CrontabSchedule.objects.create(hour="4")
    PeriodicTask.objects.filter(name="mine").update(interval=None, crontab=crontab)
    assert Counter(Scheduler().seconds(clock, 2)) == dict.fromkeys(START, 2)


def test_a_task_that_somebody_added_is_not_run(clock, stored):
    scheduler = Scheduler()
    assert set(scheduler.seconds(clock, 2)) == START
    PeriodicTask.objects.create(name="mine too", task="dialogs.tasks.advance_dialogs", interval=stored)
    assert "mine too" not in scheduler.schedule
    assert set(scheduler.seconds(clock, 2)) == START
    assert PeriodicTask.objects.filter(name__startswith="mine").count() == 2, "they are left where they are"


class TestPulse:
    def test_a_tick_is_a_pulse(self):
        assert Scheduler().tick() == beat.LOOK_EVERY
        assert Pulse.objects.filter(name=Pulse.BEAT).exists()

    def test_at_most_one_pulse_a_second(self, monkeypatch):
        given = []
        monkeypatch.setattr(pulse, "beat", given.append)
        scheduler = Scheduler()
        for _ in range(5):
            scheduler.tick()
        assert given == [Pulse.BEAT]

    @pytest.mark.django_db(transaction=True)  # it gives the connection up
    @pytest.mark.parametrize("where", ["dialogs.actions.pulse.beat", "dialogs.actions.runner_leases.lost"])
    def test_a_lost_database_does_not_end_it(self, monkeypatch, where):
        def fails(_):
            raise OperationalError("gone")

        scheduler = Scheduler()
        monkeypatch.setattr(where, fails)
        assert scheduler.tick() == beat.LOOK_EVERY
        assert scheduler.sent == []
        monkeypatch.undo()
        assert scheduler.tick() == beat.LOOK_EVERY
        assert Pulse.objects.filter(name=Pulse.BEAT).exists()
        assert set(scheduler.sent) == START


@pytest.mark.parametrize("hours", [1, -1, 24 * 7])
def test_beat_goes_on_when_the_clock_is_set_to_and_fro(clock, hours):
    """Z3: what is lost is started, and the clock set back stops nothing."""
    with time_machine.travel(datetime(2026, 3, 1, 12, tzinfo=UTC), tick=False) as wall:
        scheduler = Scheduler()
        usual = Counter(scheduler.seconds(clock, 4))
        assert usual.keys() == START
        for step in (hours, -hours):
            wall.shift(step * 3600)
            assert set(scheduler.seconds(clock, 4)) >= START
        clock.leases = [RunnerLease(queue) for queue in settings.RUNNER_SCHEDULE]
        for lease in clock.leases:
            assert lease.take()
        assert scheduler.seconds(clock, 2) == []
        for step in (hours, -hours):
            wall.shift(step * 3600)
            assert Counter(scheduler.seconds(clock, 4)) <= Counter(START), "a runner that lives is started once more at most"
