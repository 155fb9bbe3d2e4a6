"""An idle turn of a runner is one statement, and nothing that has become due is overlooked by it."""

from datetime import timedelta
from itertools import pairwise

import pytest
from celery import current_app
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext

from dialogs.actions import pulse, runner_leases
from dialogs.actions.runner_leases import RunnerLease
from dialogs.models import Dialog, LiveProcess, Pulse, Visit
from notifications.models import OutgoingEmail
from operators.actions.settings import change_settings
from operators.models import Operator
from tests import people
from tests.notifications.mail import after_window
from tests.passing_time import let_pass
from webim_offline import runner
from webim_offline.celery import app as celery
from webim_offline.foundation.database.clock import database_now
from webim_offline.foundation.database.due_work import DueWork, due_work_of
from webim_offline.runner import Runner, Shutdown

pytestmark = pytest.mark.django_db
EACH_SECOND = [name for tasks in settings.RUNNER_SCHEDULE.values() for name, every in tasks.items() if every == 1.0]


@pytest.fixture(autouse=True)
def _known_tasks(monkeypatch):
    celery.loader.import_default_modules()
    monkeypatch.setattr(runner, "close_old_connections", lambda: None)  # the test's own, inside its transaction
    monkeypatch.setattr(Shutdown, "is_asked", False)


def work_of(name: str) -> DueWork:
    work = due_work_of(current_app.tasks[name])
    assert work is not None, f"{name} does not say what it looks for"
    return work


def due() -> set[str]:
    """The tasks that have, or may have, something to do now, as a runner sees it."""
    works = {name: work_of(name) for name in EACH_SECOND}
    Pulse.objects.filter(name="runner:test").delete()
    lease = RunnerLease("test", list(works.values()))
    assert lease.take()
    assert lease.renew()
    return {name for name, work in works.items() if work not in lease.nothing_due}


def run_all() -> None:
    for name in EACH_SECOND:
        current_app.tasks[name]()


@pytest.fixture
def idle(account):
    """A service in which everything has run, and nothing is due."""
    run_all()
    assert due() == set()


def test_each_task_of_each_second_says_what_it_looks_for():
    for name in EACH_SECOND:
        work_of(name)


@pytest.mark.parametrize("queue", settings.RUNNER_SCHEDULE)
def test_an_idle_turn_is_one_statement(idle, monkeypatch, queue):
    statements: list[int] = []

    def sleep(_):
        statements.append(len(queries))
        if len(statements) == 5:
            Shutdown.is_asked = True

    monkeypatch.setattr(runner.time, "sleep", sleep)
    schedule = {current_app.tasks[name]: every for name, every in settings.RUNNER_SCHEDULE[queue].items()}
    before = dict(Pulse.objects.values_list("name", "at"))
    with CaptureQueriesContext(connection) as queries:
        assert Runner(queue, schedule).run() == 5
    assert [later - earlier for earlier, later in pairwise(statements)] == [1, 1, 1, 1]
    for part in {"clock": (Pulse.SWEEP, Pulse.LEASES), "mail": (Pulse.MAIL,)}[queue]:
        assert Pulse.objects.get(name=part).at > before[part], "it is seen to live"


def test_beat_asks_once_and_notes_its_pulse_once(django_assert_num_queries):
    with django_assert_num_queries(1):
        assert runner_leases.lost(["clock", "mail"]) == {"clock", "mail"}
    with django_assert_num_queries(1):
        pulse.beat(Pulse.BEAT)


class TestNothingIsOverlooked:
    def test_an_alarm(self, idle, account):
        dialog = people.start_dialog(account)
        Dialog.objects.filter(pk=dialog.pk).update(wake_at=database_now() + timedelta(seconds=30))
        assert "dialogs.tasks.advance_dialogs" not in due()
        let_pass(30)
        assert "dialogs.tasks.advance_dialogs" in due()

    def test_a_lost_live_process_and_its_visits(self, idle, account, process):
        people.arrive(people.make_visitor(account), process)
        assert "dialogs.tasks.end_lost_visits" not in due()
        LiveProcess.objects.update(expires_at=database_now())
        assert "dialogs.tasks.end_lost_visits" in due()
        run_all()
        assert not LiveProcess.objects.exists()
        assert "dialogs.tasks.end_lost_visits" not in due()
        Visit.objects.update(expires_at=database_now())
        assert "dialogs.tasks.end_lost_visits" in due()
        run_all()
        assert not Visit.objects.filter(ended_at=None).exists()

    @pytest.mark.parametrize("seconds", [6, -6])
    def test_an_outage_and_a_clock_that_was_set(self, idle, seconds):
        """P9: the pulse of the leases is not renewed past it, so that it is seen."""
        silent_since = database_now() - timedelta(seconds=seconds)
        Pulse.objects.filter(name=Pulse.LEASES).update(at=silent_since)
        assert due() == {"dialogs.tasks.end_lost_visits"}
        assert Pulse.objects.get(name=Pulse.LEASES).at == silent_since

    @pytest.mark.parametrize("part", [Pulse.SWEEP, Pulse.LEASES, Pulse.MAIL])
    def test_a_pulse_that_was_never_noted(self, idle, part):
        Pulse.objects.filter(name=part).delete()
        (task,) = due()
        assert work_of(task).pulse == part

    def test_a_workspace_that_fell_silent(self, idle, account):
        anna = people.make_operator(account, "anna", online=True)
        assert "operators.tasks.record_expiries" not in due()
        lease = timedelta(seconds=account.operator_lease)
        Operator.objects.filter(pk=anna.pk).update(last_seen_at=database_now() - lease)
        assert "operators.tasks.record_expiries" in due()
        Operator.objects.filter(pk=anna.pk).update(last_seen_at=database_now() - lease + timedelta(seconds=1))
        assert "operators.tasks.record_expiries" not in due()

    def test_what_is_assigned_and_what_is_to_be_assigned(self, idle, account):
        people.start_dialog(account)
        assert "dialogs.tasks.assign_dialogs" not in due(), "it is given by hand"
        type(account).objects.filter(pk=account.pk).update(assignment="automatic")
        assert "dialogs.tasks.assign_dialogs" in due()
        people.make_operator(account, "anna", online=True)
        run_all()
        assert Dialog.objects.get().operator is not None
        assert "dialogs.tasks.assign_dialogs" in due(), "it may have to be taken back"

    def test_a_changed_setting(self, idle, account):
        change_settings(account, {"offline_after": 600}, actor=None)
        assert "dialogs.tasks.apply_setting_changes" in due()
        run_all()
        assert "dialogs.tasks.apply_setting_changes" not in due()

    def test_a_letter_to_be_written_and_to_be_sent(self, idle, account):
        type(account).objects.filter(pk=account.pk).update(left_messages_email="left@north.example")
        people.start_dialog(account)
        assert "notifications.tasks.write_letters" not in due()
        let_pass(15)
        assert "notifications.tasks.write_letters" in due()
        after_window()
        assert OutgoingEmail.objects.exists()
        assert "notifications.tasks.send_letters" in due()


class TestOfATurn:
    def test_from_the_first_task_with_something_to_do_all_run(self, idle, account, monkeypatch):
        """What it has made due may be what a later one looks for."""
        ran: list[str] = []
        schedule = {}
        for name in settings.RUNNER_SCHEDULE["clock"]:
            if name not in EACH_SECOND:
                continue

            def task(name: str = name) -> None:
                ran.append(name)

            task.__dict__["due_work"] = work_of(name)
            schedule[task] = 1.0
        change_settings(account, {"offline_after": 600}, actor=None)
        monkeypatch.setattr(runner.time, "sleep", lambda _: setattr(Shutdown, "is_asked", True))
        assert Runner("clock", schedule).run() == 1
        names = list(settings.RUNNER_SCHEDULE["clock"])
        assert ran == [name for name in names[names.index("dialogs.tasks.apply_setting_changes") :] if name in EACH_SECOND]

    def test_a_task_that_always_fails_is_not_taken_for_one_that_runs(self, idle, account):
        """/healthz must see that the sweep stands still."""
        people.start_dialog(account)
        Dialog.objects.update(wake_at=database_now())
        noted = Pulse.objects.get(name=Pulse.SWEEP).at
        assert "dialogs.tasks.advance_dialogs" in due()
        assert Pulse.objects.get(name=Pulse.SWEEP).at == noted

    def test_a_runner_that_lost_its_lease_renews_no_pulse(self, idle):
        lease = RunnerLease("test", [work_of(name) for name in EACH_SECOND])
        Pulse.objects.filter(name="runner:test").delete()
        assert lease.take()
        Pulse.objects.filter(name="runner:test").update(at=database_now() + timedelta(milliseconds=5))
        before = dict(Pulse.objects.values_list("name", "at"))
        assert not lease.renew()
        assert dict(Pulse.objects.values_list("name", "at")) == before
        assert lease.nothing_due == frozenset()


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite's planner knows no statistics")
def test_no_table_is_read_in_vain_when_its_statistics_are_old(account):
    """All deadlines were due when they were counted, and none is now."""
    people.start_dialog(account)
    columns = [field.column for field in Dialog._meta.concrete_fields if field.column not in {"id", "number", "wake_at", "state"}]
    copied = ", ".join(f'"{column}"' for column in columns)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO dialogs_dialog ({copied}, number, state, wake_at)"
            f" SELECT {copied}, 1000 + n, 'closed', now() - interval '1 hour' FROM dialogs_dialog, generate_series(1, 20000) n"
        )
        cursor.execute("ANALYZE dialogs_dialog")
        cursor.execute("UPDATE dialogs_dialog SET wake_at = now() + interval '1 day'")
        conditions = " OR ".join(f"({work_of(name).condition()})" for name in EACH_SECOND)
        cursor.execute(f"EXPLAIN SELECT {conditions}")
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "Seq Scan on dialogs_dialog" not in plan, plan
