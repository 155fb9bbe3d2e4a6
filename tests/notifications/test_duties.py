"""The consumer of the duties to write letters: what it leaves alone, how it finds what is due, and two of it at once."""

import itertools
import json
import threading
from datetime import timedelta
from functools import partial
from importlib import import_module

import pytest
from django.apps import apps
from django.db import connection, transaction

from dialogs.actions.duties import done, lock_due
from dialogs.models import Dialog, Duty, Purpose
from notifications.models import LetterKind, OutgoingEmail
from notifications.outgoing import duties
from notifications.tasks import write_letters
from tests import people
from tests.notifications import former_release
from tests.passing_time import let_pass
from tests.running import eventually
from webim_offline.foundation.database.clock import database_now

LETTERS = Purpose.LEFT_MESSAGE_LETTERS
OTHERS = 100_000
on_postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")


def test_a_duty_of_an_unknown_purpose_waits_and_disturbs_nothing(account):
    dialog = people.start_dialog(account)
    Duty.objects.create(
        dialog=dialog, purpose="roll_ups", due_at=dialog.created_at, since=dialog.created_at, first_revision=1, last_revision=2
    )
    let_pass(15)
    write_letters()
    assert OutgoingEmail.objects.get().dialog == dialog
    assert Duty.objects.get().purpose == "roll_ups"
    assert not dialog.events.filter(handled_at=None).exists()
    people.write(dialog.visitor, "Number 88240")
    let_pass(15)
    write_letters()
    assert OutgoingEmail.objects.count() == 2
    Duty.objects.filter(purpose="roll_ups").delete()
    people.write(dialog.visitor, "Hello?")
    assert dialog.events.filter(handled_at=None).count() == 1, "the duty that went was none of a letter"


def copy_dialog(dialog: Dialog, times: int) -> None:
    """Closed dialogs like this one, by one statement."""
    columns = [field.column for field in Dialog._meta.concrete_fields if field.column != "id"]
    values = {"number": "number + i", "state": "'closed'"}
    names, picks = ", ".join(columns), ", ".join(values.get(name, name) for name in columns)
    numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {times})"
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO dialogs_dialog ({names}) {numbers} SELECT {picks} FROM dialogs_dialog, n WHERE id = {dialog.pk}"
        )


def test_due_duties_are_found_by_their_index_whatever_else_waits(account):
    dialog = people.start_dialog(account)
    copy_dialog(dialog, OTHERS)
    columns = "dialog_id, purpose, due_at, since, first_revision, last_revision"
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO dialogs_duty ({columns})"
            " SELECT d.id, 'roll_ups', y.due_at, y.since, 1, 2 FROM dialogs_dialog d, dialogs_duty y WHERE d.state = 'closed'"
        )
        cursor.execute("ANALYZE dialogs_duty")
    now = database_now() + timedelta(minutes=1)
    due = (
        Duty.objects.filter(purpose=LETTERS, due_at__lte=now).order_by("due_at").values_list("dialog_id", flat=True)[: duties.BATCH]
    )
    if connection.vendor == "postgresql":
        plan = json.loads(due.explain(format="json", analyze=True))[0]["Plan"]["Plans"][0]
        assert (plan["Node Type"], plan.get("Index Name")) == ("Index Scan", "duty_due")
        assert plan["Actual Rows"] == 1
        assert "Filter" not in plan, "the index finds the purpose and the moment"
    else:
        assert "duty_due (purpose=? AND due_at<?)" in due.explain()
    assert duties.due_dialog_ids(LETTERS, now, duties.BATCH) == [dialog.pk]
    for_its_dialog = Duty.objects.filter(purpose=LETTERS, due_at__lte=now, dialog__in=[dialog.pk])
    assert "Seq Scan" not in for_its_dialog.explain()
    assert "SCAN dialogs_duty" not in for_its_dialog.explain()


def side_by_side(*jobs, times: int = 12) -> None:
    """Run each job so many times in a thread and on a connection of its own."""
    failures = []

    def work(job) -> None:
        try:
            for _ in range(times):
                job()
        except Exception as failure:  # noqa: BLE001 - the test looks at it
            failures.append(failure)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive()
    assert failures == []


@on_postgresql
@pytest.mark.django_db(transaction=True)
class TestAtOnce:
    def test_letter_writers_of_both_releases_write_everything_once(self, account, monkeypatch):
        monkeypatch.setattr(duties, "BATCH", 5)
        monkeypatch.setattr(former_release, "BATCH", 5)
        dialogs = [people.start_dialog(account) for _ in range(30)]
        with former_release.writes_events():
            dialogs += [people.start_dialog(account) for _ in range(30)]
        let_pass(15)

        def work(write_due_letters) -> None:
            while Duty.objects.exists():
                write_due_letters()

        writers = (duties.write_due_letters, former_release.write_due_letters) * 2
        side_by_side(*(partial(work, writer) for writer in writers), times=1)
        assert sorted(OutgoingEmail.objects.values_list("dialog", "kind")) == [(dialog.pk, "first") for dialog in dialogs]
        assert not Duty.objects.exists()

    def test_the_migration_runs_beside_a_former_release_at_work(self, account):
        """Visitors write, a former letter writer writes, and in the midst of it the duties come."""
        migration = import_module("dialogs.migrations.0009_duties_beside_handled_at")
        with connection.schema_editor(atomic=False) as editor:
            migration.end(apps, editor)
        turns = itertools.count()

        def leave_a_message() -> None:
            visitor = people.make_visitor(account)
            people.write(visitor, "One")
            let_pass(15, dialog=visitor.dialogs.get())
            people.write(visitor, "Two")

        def migrate() -> None:
            if next(turns) == 3:
                with connection.schema_editor(atomic=False) as editor:
                    migration.begin(apps, editor)

        with former_release.writes_events():
            side_by_side(leave_a_message, leave_a_message, former_release.write_due_letters, migrate)
        let_pass(15)
        side_by_side(duties.write_due_letters, former_release.write_due_letters)
        assert Dialog.objects.count() == 24
        for dialog in Dialog.objects.all():
            letters = list(dialog.letters.order_by("pk"))
            assert [letter.kind for letter in letters] == [LetterKind.FIRST, LetterKind.FOLLOW_UP][: len(letters)]
            text = "".join(letter.text for letter in letters)
            assert (text.count("\nOne\n"), text.count("\nTwo\n")) == (1, 1)
        assert not Duty.objects.exists()
        assert not dialog.events.filter(handled_at=None).exists()

    def test_an_event_that_waits_for_the_lock_of_its_duty_gets_a_new_one(self, account):
        """A consumer does everything up to the revision it locked, and nothing after it is lost."""
        dialog = people.start_dialog(account)
        writing = threading.Thread(target=lambda: (people.write(dialog.visitor, "Number 88240"), connection.close()))
        with transaction.atomic():
            [locked] = lock_due(LETTERS, database_now() + timedelta(minutes=1), [dialog.pk])
            writing.start()
            waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%%dialogs_duty%%'"
            with connection.cursor() as cursor:
                eventually(lambda: cursor.execute(waits) or cursor.fetchone(), within=10)
            done([locked])
        writing.join(10)
        duty = Duty.objects.get()
        assert duty.first_revision == duty.last_revision > locked.last_revision
        assert dialog.events.filter(handled_at=None).count() == 1

    def test_a_duty_that_somebody_else_holds_is_left_to_them(self, account):
        held, free = (people.start_dialog(account) for _ in range(2))
        let_pass(15)
        with transaction.atomic():
            lock_due(LETTERS, database_now(), [held.pk])
            other = threading.Thread(target=lambda: (write_letters(), connection.close()))
            other.start()
            other.join(10)
            assert not other.is_alive()
        assert OutgoingEmail.objects.get().dialog == free
        assert Duty.objects.get().dialog == held
