"""Duties: what asks for them, what joins them, what moves them (decision 0018)."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from dialogs.actions import presence
from dialogs.actions.assignment_by_hand import take
from dialogs.actions.conversation import Contacts, answer, close_by_operator, leave_contacts
from dialogs.actions.duties import DEMANDS, LETTER_WINDOW, done, due_dialog_ids, follow_setting, lock_due, put_off
from dialogs.actions.record import Record
from dialogs.models import Dialog, Duty, EventKind, Purpose
from tests import people
from webim_offline.foundation.database.clock import database_now

LETTERS = Purpose.LEFT_MESSAGE_LETTERS
SECOND = timedelta(seconds=1)


@pytest.fixture
def visitor(account):
    return people.make_visitor(account)


@pytest.fixture
def dialog(visitor):
    """It started offline."""
    return people.write(visitor).dialog


def move(duty: Duty, by: timedelta) -> None:
    Duty.objects.filter(pk=duty.pk).update(due_at=duty.due_at + by, since=duty.since + by)


class TestWhatAsks:
    def test_a_dialog_that_starts_offline_is_a_duty(self, dialog):
        duty = dialog.duties.get()
        started = dialog.events.get(kind=EventKind.STARTED)
        assert (duty.purpose, duty.since, duty.due_at) == (LETTERS, started.at, started.at + LETTER_WINDOW)
        assert duty.first_revision == duty.last_revision == started.revision

    def test_a_dialog_that_starts_online_is_none_and_never_becomes_one(self, account, visitor, anna):
        people.go_online(anna)
        dialog = people.write(visitor).dialog
        people.write(visitor, "Hello?")
        leave_contacts(visitor.pk, Contacts(phone="+44 20 7946 0000"))
        take(dialog.pk, anna)
        assert not Duty.objects.exists()

    def test_presence_answers_and_closings_ask_for_nothing(self, dialog, visitor, anna, process):
        take(dialog.pk, anna)
        Duty.objects.all().delete()
        people.arrive(visitor, process)
        people.depart(visitor, process)
        answer(dialog.pk, anna, "On its way", key="a1")
        close_by_operator(dialog.pk, anna)
        assert not Duty.objects.exists()

    def test_no_kind_of_presence_is_in_the_table(self):
        kinds = {EventKind.VISITOR_LEFT, EventKind.VISITOR_CAME_BACK, EventKind.LEFT_NOTICE, EventKind.WENT_OFFLINE}
        assert kinds.isdisjoint(DEMANDS)

    def test_presence_does_not_even_ask_where_a_dialog_started(self, account, process, django_assert_max_num_queries):
        """Its rows are loaded in part; a thousand of them would be asked for one by one."""
        visitors = [people.make_visitor(account) for _ in range(30)]
        for visitor in visitors:
            people.start_dialog(account, visitor=visitor)
            people.arrive(visitor, process)
        departures = [presence.Departure(visitor.pk, "page-1", 0.0) for visitor in visitors]
        before = Duty.objects.count()
        with django_assert_max_num_queries(12):
            presence.visits_ended(departures, process_id=process.pk)
        assert Duty.objects.count() == before

    def test_it_goes_with_its_transaction(self, account, visitor):
        with transaction.atomic():
            people.write(visitor)
            transaction.set_rollback(True)
        assert not Duty.objects.exists()


class TestOneOpenDuty:
    def test_a_later_event_joins_it_and_does_not_move_it_back(self, dialog, visitor):
        duty = dialog.duties.get()
        move(duty, -5 * SECOND)
        people.write(visitor, "Number 88240")
        joined = dialog.duties.get()
        assert joined.due_at == duty.due_at - 5 * SECOND
        assert joined.since == duty.since - 5 * SECOND
        assert joined.first_revision == duty.first_revision
        assert joined.last_revision == dialog.events.get(kind=EventKind.VISITOR_WROTE).revision

    def test_a_later_event_may_bring_it_forward(self, dialog, anna):
        take(dialog.pk, anna)
        assert dialog.duties.get().due_at == dialog.events.get(kind=EventKind.PICKED_UP).at

    def test_a_later_event_brings_forward_what_was_put_off(self, dialog, visitor):
        duty = dialog.duties.get()
        put_off({duty: duty.due_at + timedelta(minutes=5)})
        assert dialog.duties.get().due_at == duty.due_at + timedelta(minutes=5)
        people.write(visitor, "Number 88240")
        assert dialog.duties.get().due_at == dialog.events.get(kind=EventKind.VISITOR_WROTE).at + LETTER_WINDOW

    def test_a_new_one_begins_when_it_was_done(self, dialog, visitor):
        duty = dialog.duties.get()
        done([duty])
        people.write(visitor, "Number 88240")
        second = dialog.duties.get()
        assert second.first_revision == second.last_revision > duty.last_revision
        assert second.since > duty.since

    def test_events_of_one_transaction_become_one(self, dialog):
        Duty.objects.all().delete()
        now = database_now()
        record = Record(now)
        record.duties.add(dialog, EventKind.VISITOR_WROTE, now)
        dialog.revision += 1
        record.duties.add(dialog, EventKind.PICKED_UP, now - SECOND)
        record.write()
        duty = dialog.duties.get()
        assert (duty.since, duty.due_at) == (now - SECOND, now - SECOND)
        assert duty.last_revision == duty.first_revision + 1

    def test_the_database_takes_no_second_one(self, dialog):
        duty = dialog.duties.get()
        duty.pk = None
        with pytest.raises(IntegrityError), transaction.atomic():
            duty.save(force_insert=True)
        duty.purpose = "roll_ups"
        duty.save(force_insert=True)
        assert dialog.duties.count() == 2


class TestConsuming:
    def test_what_is_due_is_found_longest_first(self, account):
        first, second, later = (people.start_dialog(account) for _ in range(3))
        now = database_now()
        for dialog, due_in in ((first, -1), (second, -2), (later, 1)):
            Duty.objects.filter(dialog=dialog).update(due_at=now + due_in * SECOND)
        assert due_dialog_ids(LETTERS, now, 10) == [second.pk, first.pk]
        assert due_dialog_ids(LETTERS, now, 1) == [second.pk]
        with transaction.atomic():
            locked = lock_due(LETTERS, now, [first.pk, second.pk, later.pk])
        assert [duty.dialog_id for duty in locked] == [first.pk, second.pk]

    def test_another_purpose_is_not_found(self, dialog):
        Duty.objects.update(purpose="roll_ups", due_at=database_now() - SECOND)
        assert due_dialog_ids(LETTERS, database_now(), 10) == []
        with transaction.atomic():
            assert lock_due(LETTERS, database_now(), [dialog.pk]) == []


class TestSettings:
    """Z2: a change of a setting moves due moments, but none to before the change."""

    @pytest.fixture
    def dialogs(self, account):
        return [people.start_dialog(account) for _ in range(2)]

    def follow(self, account, seconds: float, changed_at) -> int:
        return follow_setting(LETTERS, account.pk, after=timedelta(seconds=seconds), changed_at=changed_at)

    def test_a_longer_time_moves_them_back(self, account, dialogs):
        assert self.follow(account, 60, database_now()) == 2
        for duty in Duty.objects.all():
            assert duty.due_at == duty.since + 60 * SECOND

    def test_a_shorter_time_brings_them_forward_but_not_to_before_the_change(self, account, dialogs):
        early, late = Duty.objects.order_by("pk")
        move(early, -9 * SECOND)
        changed_at = early.since - 4 * SECOND
        move(late, -SECOND)
        assert self.follow(account, 3, changed_at) == 2
        early, late = Duty.objects.order_by("pk")
        assert early.due_at == changed_at, "three seconds after its event lies before the change"
        assert late.due_at == late.since + 3 * SECOND

    def test_what_was_due_already_stays_due(self, account, dialogs):
        overdue = Duty.objects.first()
        move(overdue, -20 * SECOND)
        assert self.follow(account, 3600, database_now()) == 1
        assert Duty.objects.get(pk=overdue.pk).due_at == overdue.due_at - 20 * SECOND

    def test_other_accounts_and_purposes_do_not_follow(self, account, other_account, dialogs):
        foreign = people.start_dialog(other_account)
        Duty.objects.filter(dialog=dialogs[0]).update(purpose="roll_ups")
        before = dict(Duty.objects.values_list("dialog", "due_at"))
        assert self.follow(account, 60, database_now()) == 1
        after = dict(Duty.objects.values_list("dialog", "due_at"))
        assert {dialog for dialog in before if before[dialog] != after[dialog]} == {dialogs[1].pk}
        assert foreign.pk in after


def test_a_dialog_takes_its_duties_with_it(dialog):
    Dialog.objects.filter(pk=dialog.pk).delete()
    assert not Duty.objects.exists()
