"""Processes of the release before duties on today's schema: beside today's, and alone after a rollback (decision 0018)."""

import itertools
from importlib import import_module

import pytest
from django.apps import apps
from django.db import connection

from dialogs.actions.assignment_by_hand import take
from dialogs.actions.conversation import close_by_visitor
from dialogs.models import Delivery, DialogEvent, Duty, EventKind
from notifications.models import LetterKind, OutgoingEmail
from notifications.tasks import write_letters
from tests import people
from tests.notifications import former_release
from tests.passing_time import let_pass

FORMER, TODAY = "former", "today"
WRITERS = {FORMER: former_release.write_due_letters, TODAY: write_letters}
# which letter writers run at a moment, in which order
RUNS = [(FORMER,), (TODAY,), (FORMER, TODAY), (TODAY, FORMER)]


def produced_by(release: str, produce, *args, **kwargs):
    """Let an action run in a process of this release."""
    if release == TODAY:
        return produce(*args, **kwargs)
    with former_release.writes_events():
        return produce(*args, **kwargs)


def write_by(run: tuple[str, ...]) -> None:
    for release in run:
        WRITERS[release]()


def is_settled() -> bool:
    """Neither release finds anything to do for a dialog that started offline."""
    unhandled = DialogEvent.objects.filter(handled_at=None, dialog__start_state="offline")
    return not unhandled.exists() and not Duty.objects.exists()


def told() -> list[tuple[str, list[str]]]:
    """The kinds of the letters in order, each with the visitor's messages that it holds."""
    texts = ("One", "Two", "Three")
    letters = OutgoingEmail.objects.order_by("pk")
    return [(letter.kind, [text for text in texts if f"\n{text}\n" in letter.text]) for letter in letters]


@pytest.fixture
def visitor(account):
    return people.make_visitor(account, name="Marina")


@pytest.mark.parametrize("producers", list(itertools.product([FORMER, TODAY], repeat=3)), ids="-".join)
@pytest.mark.parametrize("runs", list(itertools.product(RUNS, repeat=2)), ids=lambda runs: "-".join("+".join(run) for run in runs))
def test_no_letter_is_lost_or_doubled_in_any_order(account, visitor, anna, producers, runs):
    first, second, third = producers
    dialog = produced_by(first, people.write, visitor, "One").dialog
    let_pass(5)
    produced_by(second, people.write, visitor, "Two")
    write_by(runs[0])
    assert told() == [], "the window is open"
    let_pass(10)
    write_by(runs[0])
    assert told() == [(LetterKind.FIRST, ["One", "Two"])]
    assert is_settled()
    produced_by(third, people.write, visitor, "Three")
    let_pass(8)
    write_by(runs[1])
    assert len(told()) == 1
    let_pass(7)
    write_by(runs[1])
    assert told()[1:] == [(LetterKind.FOLLOW_UP, ["Three"])]
    produced_by(first, take, dialog.pk, anna)
    write_by(runs[0])
    assert [kind for kind, _ in told()] == [LetterKind.FIRST, LetterKind.FOLLOW_UP, LetterKind.PICKED_UP]
    assert is_settled()
    assert Delivery.objects.count() == 3


@pytest.mark.parametrize("producer", [FORMER, TODAY])
@pytest.mark.parametrize("run", RUNS, ids="+".join)
def test_a_pick_up_does_not_hurry_the_first_letter(account, visitor, anna, producer, run):
    dialog = produced_by(producer, people.write, visitor, "One").dialog
    produced_by(producer, take, dialog.pk, anna)
    write_by(run)
    let_pass(8)
    write_by(run)
    assert told() == []
    let_pass(7)
    write_by(run)
    assert told() == [(LetterKind.FIRST, ["One"])]
    assert "Anna has taken this dialog" in OutgoingEmail.objects.get().text
    assert is_settled()


@pytest.mark.parametrize("run", RUNS, ids="+".join)
def test_a_closing_in_a_former_process_leaves_nothing_behind(account, visitor, run):
    dialog = people.write(visitor, "One").dialog
    let_pass(15)
    write_by(run)
    produced_by(FORMER, close_by_visitor, visitor.pk, dialog.number)
    let_pass(15)
    write_by(run)
    assert is_settled()
    assert told() == [(LetterKind.FIRST, ["One"])]


def test_a_duty_of_a_former_process_is_what_ours_would_be(account):
    for release in (FORMER, TODAY):
        visitor = people.make_visitor(account)
        dialog = produced_by(release, people.write, visitor, "One").dialog
        let_pass(5, dialog=dialog)
        produced_by(release, people.write, visitor, "Two")
    former, ours = Duty.objects.order_by("pk")
    for duty in (former, ours):
        events = list(duty.dialog.events.filter(kind__in=former_release.AWAITED_KINDS).order_by("revision"))
        assert (duty.first_revision, duty.last_revision) == (events[0].revision, events[-1].revision)
        assert duty.since == events[0].at
        assert duty.due_at == events[0].at + former_release.WINDOW
    assert former.purpose == ours.purpose


@pytest.mark.parametrize("second", range(2))
def test_a_trigger_adds_the_window_exactly(account, second):
    """To the microsecond, also where the fraction would be rounded up to the next second or is missing."""
    dialog = produced_by(FORMER, people.start_dialog, account)
    event = dialog.events.get(kind=EventKind.STARTED)
    at = event.at.replace(second=59, microsecond=999_999 * second)
    Duty.objects.all().delete()
    event.pk, event.at, event.handled_at = None, at, None
    event.save(force_insert=True)
    assert Duty.objects.get().due_at == at + former_release.WINDOW


def test_after_a_rollback_what_is_due_is_found_and_what_was_done_is_not(account, visitor, anna):
    people.write(visitor, "One")
    let_pass(15)
    write_letters()
    people.write(visitor, "Two")
    waiting = people.start_dialog(account)
    # from here on only the former release runs
    let_pass(15)
    assert former_release.write_due_letters() == 2
    letters = OutgoingEmail.objects.order_by("pk")
    assert sorted(letters.values_list("dialog__visitor", "kind")) == sorted(
        [(visitor.pk, "first"), (visitor.pk, "follow_up"), (waiting.visitor_id, "first")]
    )
    assert former_release.write_due_letters() == 0
    assert is_settled()
    # and today's release comes back: nothing of what the former one did is done again
    write_letters()
    assert letters.count() == 3


@pytest.mark.parametrize("producer", [FORMER, TODAY])
def test_a_dialog_that_started_online_is_nobodys_duty(account, visitor, anna, producer):
    people.go_online(anna)
    dialog = produced_by(producer, people.write, visitor, "One").dialog
    assert not Duty.objects.exists()
    assert dialog.events.filter(handled_at=None).exists() == (producer == FORMER)
    let_pass(15)
    write_letters()
    former_release.write_due_letters()
    assert not dialog.events.filter(handled_at=None).exists()
    assert told() == []


def test_presence_looks_handled_to_former_processes(account, visitor, process):
    people.arrive(visitor, process)
    dialog = people.write(visitor).dialog
    people.depart(visitor, process)
    assert set(dialog.events.filter(handled_at=None).values_list("kind", flat=True)) == {EventKind.STARTED}


@pytest.mark.django_db(transaction=True)
class TestTheMigration:
    @pytest.fixture
    def migration(self):
        """Before it the schema has neither triggers nor duties; `run` migrates."""
        module = import_module("dialogs.migrations.0009_duties_beside_handled_at")
        with connection.schema_editor(atomic=False) as editor:
            module.end(apps, editor)
        yield module
        run(module)

    def test_makes_the_duties_of_events_that_are_unhandled(self, migration, monkeypatch, account, anna):
        monkeypatch.setattr(migration, "BATCH", 2)
        dialogs = [produced_by(FORMER, people.start_dialog, account) for _ in range(5)]
        produced_by(FORMER, people.write, dialogs[0].visitor, "Two")
        told_already = produced_by(FORMER, people.start_dialog, account)
        DialogEvent.objects.filter(dialog=told_already).update(handled_at=told_already.created_at)
        produced_by(FORMER, take, told_already.pk, anna)
        people.go_online(anna)
        produced_by(FORMER, people.start_dialog, account)  # online
        assert not Duty.objects.exists()
        run(migration)
        offline = [*dialogs, told_already]
        assert set(Duty.objects.values_list("dialog", flat=True)) == {dialog.pk for dialog in offline}
        for dialog in dialogs:
            duty = dialog.duties.get()
            events = list(dialog.events.filter(handled_at=None).order_by("revision"))
            assert (duty.first_revision, duty.last_revision) == (events[0].revision, events[-1].revision)
            assert (duty.since, duty.due_at) == (events[0].at, events[0].at + former_release.WINDOW)
        pick_up = told_already.duties.get()
        assert pick_up.due_at == pick_up.since, "at once"
        let_pass(15)
        write_letters()
        first = OutgoingEmail.objects.filter(kind=LetterKind.FIRST).values_list("dialog", flat=True)
        assert sorted(first) == [dialog.pk for dialog in dialogs]
        former_release.write_due_letters()
        assert OutgoingEmail.objects.count() == len(dialogs)
        assert is_settled()

    def test_can_be_repeated_and_keeps_what_was_done_meanwhile(self, migration, account):
        done, waiting = (produced_by(FORMER, people.start_dialog, account) for _ in range(2))
        run(migration)
        let_pass(15, dialog=done)
        write_letters()
        before = Duty.objects.values_list("dialog", "due_at", "since", "first_revision", "last_revision").get()
        run(migration)
        assert Duty.objects.values_list("dialog", "due_at", "since", "first_revision", "last_revision").get() == before
        assert before[0] == waiting.pk
        assert OutgoingEmail.objects.get().dialog == done

    def test_joins_older_events_to_a_duty_that_the_trigger_made_first(self, migration, monkeypatch, account, visitor):
        dialog = produced_by(FORMER, people.write, visitor, "One").dialog
        make_older_ones = migration.make_duties_of_unhandled_events

        def write_first(*args) -> None:
            produced_by(FORMER, people.write, visitor, "Two")
            make_older_ones(*args)

        monkeypatch.setattr(migration, "make_duties_of_unhandled_events", write_first)
        run(migration)
        duty, started = Duty.objects.get(), dialog.events.get(kind=EventKind.STARTED)
        assert (duty.first_revision, duty.since) == (started.revision, started.at)
        let_pass(15)
        write_letters()
        assert told() == [(LetterKind.FIRST, ["One", "Two"])]
        assert is_settled()

    def test_can_be_taken_back(self, migration, account):
        dialog = people.start_dialog(account)
        let_pass(15)
        Duty.objects.all().delete()  # the table goes
        assert former_release.write_due_letters() == 1
        assert OutgoingEmail.objects.get().dialog == dialog


def run(migration) -> None:
    with connection.schema_editor(atomic=False) as editor:
        migration.begin(apps, editor)
