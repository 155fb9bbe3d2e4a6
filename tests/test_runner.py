"""The runner of a queue: what it runs and how often, and when it ends."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.conf import settings
from django.db import OperationalError

from dialogs.actions import pulse, runner_leases
from dialogs.actions.runner_leases import RunnerLease
from dialogs.models import Pulse
from webim_offline import runner
from webim_offline.foundation.database.clock import database_now
from webim_offline.runner import Runner, Shutdown

pytestmark = pytest.mark.django_db
LATE = runner_leases.LOST_AFTER.total_seconds() + 0.1


class Clock:
    """A steady clock that moves when the runner sleeps, and the plans for certain moments."""

    def __init__(self):
        self.now = 1000.0
        self.plans = []
        self.slept = []

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.pass_time(seconds)

    def pass_time(self, seconds):
        self.now += seconds
        due = [plan for plan in self.plans if plan[0] <= self.now]
        self.plans = [plan for plan in self.plans if plan not in due]
        for _, act in due:
            act()

    def after(self, seconds, act):
        self.plans.append((self.now + seconds, act))


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(runner, "steady_now", lambda: clock.now)
    monkeypatch.setattr(runner.time, "sleep", clock.sleep)
    monkeypatch.setattr(Shutdown, "is_asked", False)
    monkeypatch.setattr(runner, "close_old_connections", lambda: None)  # the test's own, inside its transaction
    return clock


@pytest.fixture
def ran():
    return []


@pytest.fixture
def tasks(ran):
    """Two tasks of each second, and one of each minute."""
    often, rare, last = (lambda name=name: ran.append(name) for name in ("often", "rare", "last"))
    return {often: 1.0, rare: 60.0, last: 1.0}


def shut_down():
    """As Celery does in its handler of SIGTERM."""
    runner.worker_shutting_down.send(sender="clock@here", sig="SIGTERM", how="Warm", exitcode=0)


def loses_its_lease():
    """Nobody has renewed the lease for too long."""
    Pulse.objects.filter(name="runner:clock").update(at=database_now() - timedelta(seconds=LATE))


def test_it_runs_each_task_as_often_as_the_schedule_says(clock, tasks, ran):
    clock.after(120, shut_down)
    assert Runner("clock", tasks).run() == 120
    assert Counter(ran) == {"often": 120, "rare": 2, "last": 120}
    assert ran[:3] == ["often", "rare", "last"]


def test_a_turn_begins_a_second_after_the_one_before(clock):
    clock.after(10, shut_down)
    assert Runner("clock", {lambda: clock.pass_time(0.25): 1.0}).run() == 10
    assert clock.slept == [0.75] * 10


@pytest.mark.parametrize("hours", [1, -1, 24 * 7])
def test_a_clock_that_is_set_neither_stops_nor_repeats_it(clock, tasks, ran, hours):
    """Z3."""
    with time_machine.travel(datetime(2026, 3, 1, 12, tzinfo=UTC), tick=False) as wall:
        clock.after(3, lambda: wall.shift(hours * 3600))
        clock.after(6, lambda: wall.shift(-hours * 3600))
        clock.after(10, shut_down)
        assert Runner("clock", tasks).run() == 10
    assert Counter(ran) == {"often": 10, "rare": 1, "last": 10}


def test_a_task_that_fails_stops_no_other(clock, tasks, ran, caplog):
    def fails():
        raise ValueError("no such number")

    clock.after(3, shut_down)
    assert Runner("clock", {fails: 1.0, **tasks}).run() == 3
    assert Counter(ran) == {"often": 3, "rare": 1, "last": 3}
    assert "no such number" in caplog.text


class TestEnds:
    def test_when_its_worker_shuts_down_after_the_task_that_runs(self, tasks, ran):
        often, _, last = tasks
        assert Runner("clock", {often: 1.0, shut_down: 1.0, last: 1.0}).run() == 1
        assert ran == ["often"]
        assert RunnerLease("clock").take(), "it has given its lease up"

    def test_when_another_runner_has_taken_over(self, clock, tasks, ran):
        other = RunnerLease("clock")

        def take_over():
            loses_its_lease()
            assert other.take()

        clock.after(3, take_over)
        assert Runner("clock", tasks).run() == 3
        assert ran.count("often") == 3
        assert other.renew(), "the other one's lease is left alone"

    def test_after_a_turn_that_took_too_long(self, clock, tasks, ran):
        """Beat has sent messages to start another one: they wait in the queue of this worker."""
        slow = {lambda: clock.pass_time(LATE): 1.0}
        assert Runner("clock", {**slow, **tasks}).run() == 0
        assert ran == ["often", "rare", "last"]
        assert RunnerLease("clock").take()

    def test_after_the_turn_that_an_outage_of_the_database_made_late(self, clock, tasks, ran, monkeypatch):
        is_away = []
        renew = RunnerLease.renew

        def renewing(lease):
            if is_away:
                raise OperationalError("the database is away")
            return renew(lease)

        monkeypatch.setattr(RunnerLease, "renew", renewing)
        monkeypatch.setattr(runner, "_close_connection", lambda: None)  # the test's own
        clock.after(3, lambda: is_away.append(True))
        clock.after(8, is_away.clear)
        assert Runner("clock", tasks).run() == 8
        assert ran.count("often") == 4, "three before the outage, and one at its end"


class TestLease:
    def test_one_runner_of_a_queue_works(self, tasks, ran):
        assert RunnerLease("clock").take()
        assert Runner("clock", tasks).run() == 0
        assert ran == []

    def test_queues_are_apart(self, clock, tasks):
        assert RunnerLease("mail").take()
        clock.after(1, shut_down)
        assert Runner("clock", tasks).run() == 1

    def test_a_lost_one_is_taken_over(self, clock, tasks):
        assert RunnerLease("clock").take()
        loses_its_lease()
        clock.after(1, shut_down)
        assert Runner("clock", tasks).run() == 1

    @pytest.mark.parametrize("hours", [1, -1])
    def test_one_of_another_time_counts_for_nothing(self, hours):
        """The clock was set, or a backup restored."""
        Pulse.objects.create(name="runner:clock", at=database_now() + timedelta(hours=hours))
        assert runner_leases.lost(["clock"]) == {"clock"}
        assert RunnerLease("clock").take()
        assert runner_leases.lost(["clock"]) == set()

    def test_only_one_of_two_takes_a_lost_one(self):
        first, second = RunnerLease("clock"), RunnerLease("clock")
        assert first.take()
        loses_its_lease()
        assert second.take()
        assert not first.renew()
        assert not first.take()

    def test_a_new_start_forgets_it(self):
        """Embedded: the folder of the broker is empty then, too."""
        assert RunnerLease("clock").take()
        pulse.forget_beats()
        assert RunnerLease("clock").take()


def test_the_database_may_be_away_when_it_is_started(tasks, monkeypatch, caplog):
    def fails(_):
        raise OperationalError("gone")

    monkeypatch.setattr(RunnerLease, "take", fails)
    monkeypatch.setattr(runner, "_close_connection", lambda: None)
    assert Runner("clock", tasks).run() == 0
    assert "waits for the database" in caplog.text


def test_the_task_runs_the_tasks_of_the_settings(clock, monkeypatch):
    ran = []
    monkeypatch.setattr(settings, "RUNNER_SCHEDULE", {"clock": {"dialogs.tasks.end_lost_visits": 1.0}})
    monkeypatch.setattr("dialogs.actions.presence.end_lost_visits", lambda: ran.append("ended"))
    clock.after(2, shut_down)
    assert runner.run("clock") == 2
    assert ran == ["ended"] * 2
