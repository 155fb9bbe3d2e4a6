"""Timeouts that change while visitors are away, in the database (P4, P5, Z2, Z3)."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse

from dialogs import tasks
from dialogs.actions import deadlines, presence, setting_changes
from dialogs.actions.conversation import bring_into_workspace
from dialogs.actions.presence import Departure, visits_ended, visits_silent
from dialogs.models import Dialog, LiveProcess, Pulse, Visit
from operators.actions.settings import change_settings
from operators.models import Account, SettingChange
from tests import people
from tests.passing_time import fresh, let_pass
from webim_offline.foundation.database.clock import database_now


@pytest.fixture
def visitor(account, process):
    visitor = people.make_visitor(account, name="Marina")
    people.arrive(visitor, process)
    return visitor


@pytest.fixture
def dialog(visitor, process):
    """Of a visitor who has just left."""
    dialog = people.start_dialog(visitor.account, visitor=visitor)
    people.depart(visitor, process)
    return dialog


def change(account, **changes):
    """Stored, and applied by the clock worker; returns when it was stored."""
    change_settings(account, changes, actor=None)
    tasks.apply_setting_changes()
    return fresh(account).timeouts_changed_at


def sweep():
    while deadlines.advance_due_dialogs():
        pass


def steps(dialog):
    """{step: seconds after the visitor left} of everything that time did."""
    moments = {"left_notice": fresh(dialog).left_notice_at, "went_offline": dialog.went_offline_at}
    return {step: round((at - dialog.away_since).total_seconds(), 3) for step, at in moments.items() if at}


def codes(dialog):
    return list(dialog.messages.filter(kind="system").values_list("code", flat=True))


class TestShorter:
    def test_it_acts_at_once_on_whoever_has_been_away_long_enough(self, account, dialog):
        let_pass(600)
        sweep()
        stored_at = change(account, offline_after=300)
        assert fresh(dialog).is_offline
        assert dialog.went_offline_at == stored_at, "not before it was stored (Z2)"
        assert dialog.messages.get(code="went_offline").at == stored_at

    def test_it_acts_in_its_time_on_everyone_else(self, account, dialog):
        let_pass(130)
        sweep()
        change(account, offline_after=300)
        assert not fresh(dialog).is_offline
        assert dialog.wake_at == dialog.away_since + timedelta(seconds=300)

    def test_both_at_once(self, account, dialog):
        let_pass(100)
        stored_at = change(account, left_notice_after=10, offline_after=20)
        assert [at for _, at in dialog.events.filter(kind__in=["left_notice", "went_offline"]).values_list("kind", "at")] == [
            stored_at,
            stored_at,
        ]
        assert codes(dialog) == ["left", "went_offline"]

    def test_a_message_that_is_written_is_not_repeated(self, account, dialog):
        let_pass(130)
        sweep()
        change(account, left_notice_after=60)
        change(account, left_notice_after=0)
        change(account, left_notice_after=120)
        let_pass(600)
        sweep()
        assert codes(dialog) == ["left"]

    def test_other_accounts_notice_nothing(self, account, other_account, process):
        visitor = people.make_visitor(other_account)
        people.arrive(visitor, process)
        theirs = people.start_dialog(other_account, visitor=visitor)
        people.depart(visitor, process)
        let_pass(100)
        alarm = fresh(theirs).wake_at
        change(account, left_notice_after=10, offline_after=20)
        assert fresh(theirs).wake_at == alarm
        assert codes(theirs) == []

    def test_it_leaves_alone_who_is_there_and_what_is_closed(self, account, visitor, process, dialog):
        people.arrive(visitor, process, "page-2")
        change(account, left_notice_after=1, offline_after=1)
        assert fresh(dialog).wake_at is None
        assert codes(dialog) == []


class TestLonger:
    def test_it_postpones(self, account, dialog):
        let_pass(600)
        sweep()
        change(account, offline_after=3600)
        let_pass(1200)
        sweep()
        assert not fresh(dialog).is_offline
        let_pass(1801)
        sweep()
        assert steps(dialog) == {"left_notice": 120, "went_offline": 3600}

    def test_the_old_alarm_rings_early_and_is_set_anew(self, account, dialog):
        let_pass(600)
        sweep()
        change(account, offline_after=3600)
        let_pass(601)
        sweep()
        assert fresh(dialog).wake_at == dialog.away_since + timedelta(seconds=3600)

    def test_what_had_happened_before_it_was_stored_stays_so_though_nobody_had_looked(self, account, dialog):
        let_pass(1300)
        change(account, left_notice_after=1800, offline_after=3600)
        sweep()
        assert steps(dialog) == {"left_notice": 120, "went_offline": 1200}
        assert dialog.events.get(kind="went_offline").details.away == 1200, "by the limit that acted (B3)"

    def test_a_change_of_one_does_not_move_the_moment_of_the_other(self, account, dialog):
        let_pass(1300)
        change(account, left_notice_after=60)
        sweep()
        assert steps(dialog) == {"left_notice": 120, "went_offline": 1200}

    def test_back_to_the_old_value(self, account, dialog):
        let_pass(130)
        sweep()
        change(account, offline_after=3600)
        let_pass(10)
        change(account, offline_after=1200)
        let_pass(1200)
        sweep()
        assert steps(dialog) == {"left_notice": 120, "went_offline": 1200}


class TestZero:
    def test_switched_off_nothing_happens_any_more(self, account, dialog):
        change(account, left_notice_after=0, offline_after=0)
        let_pass(100_000)
        sweep()
        assert codes(dialog) == []
        assert fresh(dialog).wake_at is None
        assert dialog.away_since is not None, "the card keeps its label (P3)"

    def test_switched_on_it_acts_from_then_on(self, account, visitor, process):
        change(account, left_notice_after=0, offline_after=0)
        dialog = people.start_dialog(account, visitor=visitor)
        people.depart(visitor, process)
        let_pass(600)
        sweep()
        stored_at = change(account, left_notice_after=120, offline_after=1200)
        assert codes(dialog) == ["left"]
        assert dialog.messages.get(code="left").at == stored_at
        let_pass(700)
        sweep()
        assert steps(dialog)["went_offline"] == 1200

    def test_offline_stays_offline_when_it_is_switched_off(self, account, dialog, visitor, process):
        let_pass(1300)
        sweep()
        change(account, offline_after=0)
        assert fresh(dialog).is_offline
        people.arrive(visitor, process, "page-2")
        assert not fresh(dialog).is_offline
        assert codes(dialog) == ["left", "went_offline", "returned"]


class TestClockSetBack:
    def test_a_setting_from_the_future_does_not_keep_alarms_from_ringing(self, account, visitor, process):
        Account.objects.update(timeouts_changed_at=database_now() + timedelta(hours=3))
        dialog = people.start_dialog(account, visitor=visitor)
        people.depart(visitor, process)
        assert fresh(dialog).wake_at == dialog.away_since + timedelta(seconds=120)

    def test_nothing_is_repeated(self, account, dialog):
        let_pass(1300)
        sweep()
        let_pass(-7200)
        Dialog.objects.update(wake_at=database_now())
        sweep()
        let_pass(7200)
        Dialog.objects.update(wake_at=database_now())
        sweep()
        assert codes(dialog) == ["left", "went_offline"]


class TestApplying:
    def test_a_change_is_handled_once_and_others_wait_for_nothing(self, account, dialog):
        change_settings(account, {"offline_after": 600, "name": "Northern Tea"}, actor=None)
        assert setting_changes.apply_setting_changes() == 1
        assert setting_changes.apply_setting_changes() == 0

    def test_broken_off_it_begins_again(self, account, dialog, monkeypatch):
        let_pass(600)
        sweep()
        change_settings(account, {"offline_after": 300}, actor=None)

        def fails(_accounts):
            raise ZeroDivisionError

        with monkeypatch.context() as patch:
            patch.setattr(setting_changes, "_ring", fails)
            with pytest.raises(ZeroDivisionError):
                tasks.apply_setting_changes()
        tasks.apply_setting_changes()
        assert fresh(dialog).is_offline

    def test_many_are_rung_in_batches_and_in_a_rhythm(self, account, process, monkeypatch):
        monkeypatch.setattr(setting_changes, "RUNG_AT_ONCE", 2)
        monkeypatch.setattr(setting_changes, "RUNG_A_SECOND", 4)
        for visitor in people.make_visitors(account, 9):
            people.arrive(visitor, process)
            people.write(visitor)
            people.depart(visitor, process)
        let_pass(600)
        sweep()
        change_settings(account, {"offline_after": 300}, actor=None)
        setting_changes.apply_setting_changes()
        alarms = list(Dialog.objects.order_by("pk").values_list("wake_at", flat=True))
        assert [round((alarm - alarms[0]).total_seconds(), 3) for alarm in alarms] == [0, 0, 0, 0, 1, 1, 1, 1, 2]
        let_pass(3)
        sweep()
        assert Dialog.objects.filter(is_offline=True).count() == 9

    def test_an_earlier_alarm_is_not_put_off(self, account, dialog):
        let_pass(121)
        due = fresh(dialog).wake_at
        change_settings(account, {"offline_after": 600}, actor=None)
        setting_changes.apply_setting_changes()
        assert fresh(dialog).wake_at == due

    def test_dialogs_that_only_go_by_mail_too(self, account, vera, visitor, process):
        Account.objects.update(left_messages_email="left@tea.example", left_messages_in_workspace=False)
        dialog = people.start_dialog(account, visitor=visitor)
        people.depart(visitor, process)
        let_pass(600)
        sweep()
        stored_at = change(account, offline_after=300)
        assert fresh(dialog).went_offline_at == stored_at
        bring_into_workspace(dialog.pk, actor=vera)
        assert fresh(dialog).is_offline

    def test_an_alarm_that_is_set_anew_meanwhile_knows_the_former_settings(self, account, visitor, process):
        """Nobody has looked since the time was over; then the dialog is brought into the workspace, then the sweep looks."""
        Account.objects.update(left_messages_email="left@tea.example", left_messages_in_workspace=False)
        dialog = people.start_dialog(account, visitor=visitor)
        people.depart(visitor, process)
        let_pass(1300)
        change(account, left_notice_after=0, offline_after=0)
        bring_into_workspace(dialog.pk, actor=None)
        sweep()
        assert steps(dialog) == {"left_notice": 120, "went_offline": 1200}


@pytest.mark.parametrize(("field", "value"), [("visit_lease", 0), ("visit_lease", 2_592_000)])
def test_the_edges_of_the_lease_of_a_visit(account, field, value):
    change_settings(account, {field: value}, actor=None)
    visitor = people.make_visitor(account)
    dialog = people.start_dialog(account, visitor=visitor, visit_key="page-9")
    assert not dialog.is_offline
    presence.end_lost_visits()
    assert (fresh(dialog).away_since is not None) == (value == 0)


class TestTheAdmin:
    def save(self, client, account, **changes):
        page = reverse("admin:operators_account_change", args=[account.pk])
        form = client.get(page).context["adminform"].form
        data = {name: form.initial.get(name) for name in form.fields}
        data = {name: value for name, value in data.items() if value is not None and value is not False} | changes
        return client.post(page, data | {"setting_changes-TOTAL_FORMS": "0", "setting_changes-INITIAL_FORMS": "0"})

    def test_a_change_there_acts_on_who_is_away(self, client, account, dialog):
        let_pass(600)
        sweep()
        client.force_login(people.make_operator(None, "help"))
        assert self.save(client, account, offline_after="300").status_code == 302
        tasks.apply_setting_changes()
        assert fresh(dialog).is_offline

    def test_a_supervisors_hand_made_post_changes_no_time(self, client, account, vera, dialog):
        let_pass(600)
        sweep()
        client.force_login(vera)
        assert self.save(client, account, offline_after="1", left_notice_after="1", visit_lease="1").status_code == 302
        tasks.apply_setting_changes()
        fresh(account)
        assert (account.left_notice_after, account.offline_after, account.visit_lease) == (120, 1200, 30)
        assert not fresh(dialog).is_offline
        assert not SettingChange.objects.exists()

    def test_what_is_refused_leaves_everything_as_it_was(self, client, account, dialog):
        alarm = fresh(dialog).wake_at
        client.force_login(people.make_operator(None, "help"))
        assert self.save(client, account, offline_after="119").status_code == 200
        with pytest.raises(ValidationError):
            change_settings(account, {"offline_after": 119}, actor=None)
        tasks.apply_setting_changes()
        assert fresh(dialog).wake_at == alarm
        assert fresh(account).offline_after == 1200


class TestTheLeaseOfVisits:
    """P2 with Z2: a visit ends by the lease in force, never before that was stored."""

    @pytest.fixture
    def wrote_at(self, visitor):
        """When her page, of which no live process hears anything, sent a message."""
        people.write(visitor, visit_key="page-2")
        return Dialog.objects.get().created_at

    def ends(self):
        return Visit.objects.get(key="page-2").expires_at

    def test_what_a_message_gave_its_page_follows(self, account, wrote_at):
        for lease in (60, 20, 7):
            change(account, visit_lease=lease)
            assert self.ends() == wrote_at + timedelta(seconds=lease)

    def test_it_ends_nothing_before_it_was_stored(self, account, wrote_at):
        change(account, visit_lease=0)
        assert self.ends() == SettingChange.objects.get().at > wrote_at

    def test_a_message_of_later_has_the_new_one_already(self, account, visitor, wrote_at):
        change_settings(account, {"visit_lease": 10}, actor=None)
        people.write(visitor, visit_key="page-2")
        setting_changes.apply_setting_changes()
        assert self.ends() == Dialog.objects.get().last_message_at + timedelta(seconds=10)

    def test_it_acts_once_whoever_applies_it_too(self, account, wrote_at):
        change_settings(account, {"visit_lease": 20}, actor=None)
        (same,) = SettingChange.objects.all()
        setting_changes.apply_setting_changes()
        setting_changes._move_ends(same)
        assert self.ends() == wrote_at + timedelta(seconds=20)

    @pytest.fixture
    def silent(self, visitor, process):
        """Her page's process gives the visit up: silent for 4 s, by a lease of `lease` seconds."""

        def silent(lease):
            before = database_now()
            visits_silent([Departure(visitor.pk, "page-1", ago=4 - lease, lease=lease)], process_id=process.pk)
            assert Visit.objects.get().process is None
            return before - timedelta(seconds=4)

        return silent

    @pytest.mark.parametrize("lease", [10, 60])
    def test_what_its_process_gave_up_by_the_new_one_is_not_moved_again(self, account, silent, lease):
        change_settings(account, {"visit_lease": lease}, actor=None)
        last_sign = silent(lease)
        setting_changes.apply_setting_changes()
        assert (Visit.objects.get().expires_at - last_sign).total_seconds() == pytest.approx(lease, abs=0.9)

    @pytest.mark.parametrize("lease", [10, 60])
    def test_what_its_process_gave_up_by_the_old_one_ends_by_the_new_one(self, account, silent, lease):
        change_settings(account, {"visit_lease": lease}, actor=None)
        setting_changes.apply_setting_changes()
        last_sign = silent(30)
        assert (Visit.objects.get().expires_at - last_sign).total_seconds() == pytest.approx(lease, abs=0.9)

    def test_given_up_by_the_old_one_it_ends_not_before_the_new_one_was_stored(self, account, silent):
        change_settings(account, {"visit_lease": 2}, actor=None)
        silent(30)
        assert Visit.objects.get().expires_at == SettingChange.objects.get().at

    def test_an_outage_gives_the_new_one_once(self, account, wrote_at):
        presence.end_outage()
        Pulse.objects.filter(name=Pulse.LEASES).update(at=database_now() - timedelta(seconds=6))
        change_settings(account, {"visit_lease": 10}, actor=None)
        again_at = presence.end_outage()  # by a live process, before the clock worker applies what changed
        setting_changes.apply_setting_changes()
        assert self.ends() == again_at + timedelta(seconds=10)

    @pytest.mark.usefixtures("visitor")
    def test_a_lost_process_gives_the_new_one_once(self, account, process):
        lost_at = database_now()
        LiveProcess.objects.update(renewed_at=lost_at - timedelta(seconds=2), expires_at=lost_at)
        change_settings(account, {"visit_lease": 40}, actor=None)
        presence.end_lost_visits()
        setting_changes.apply_setting_changes()
        assert Visit.objects.get().expires_at == lost_at + timedelta(seconds=38)

    def test_a_page_that_was_silent_for_longer_left_when_it_was_stored(self, account, visitor, process):
        change_settings(account, {"visit_lease": 5}, actor=None)
        people.depart(visitor, process, ago=20)
        assert fresh(visitor).left_at == SettingChange.objects.get().at

    def test_a_goodbye_has_its_own_moment(self, account, visitor, process):
        change_settings(account, {"visit_lease": 5}, actor=None)
        visits_ended([Departure(visitor.pk, "page-1", 20, said_goodbye=True)], process_id=process.pk)
        assert fresh(visitor).left_at < SettingChange.objects.get().at
