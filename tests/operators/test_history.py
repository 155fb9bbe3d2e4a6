"""A4: who was online for whom at any past moment; A2, Z2 and P9 in what is recorded."""

import io
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command

from dialogs.models import Dialog
from operators.actions.accounts import archive_account
from operators.actions.people import change_people, delete_operator
from operators.actions.settings import change_settings
from operators.actions.signs_of_life import _hear, end_silence, record_expiries, seen, workspaces_seen
from operators.actions.status import set_status, sign_out
from operators.availability import judged_at, service_states
from operators.history import Replay, online_at
from operators.models import ConditionReason, Operator, OperatorChange, WorkspacesHeard
from tests import people
from tests.model.clock import Wall
from webim_offline.foundation.database.clock import database_now

MOMENT = timedelta(microseconds=1)


@pytest.fixture
def support(account):
    return account.departments.get(slug="support")


@pytest.fixture
def english(account):
    return account.languages.get(code="en")


@pytest.fixture
def ago(anna):
    """Move everything known of anna's availability into the past, as if that much time had passed."""

    def pass_by(seconds: float) -> None:
        for change in OperatorChange.objects.filter(operator=anna):
            OperatorChange.objects.filter(pk=change.pk).update(at=change.at - timedelta(seconds=seconds))
        seen = Operator.objects.get(pk=anna.pk).last_seen_at
        Operator.objects.filter(pk=anna.pk).update(last_seen_at=seen and seen - timedelta(seconds=seconds))

    return pass_by


def rows(operator) -> list[tuple[str, bool]]:
    return list(operator.changes.order_by("pk").values_list("reason", "is_online"))


def answers(account, support, english, moments) -> list[bool]:
    """Was anybody online at the moments, by the question to one moment; the replay must say the same."""
    asked = [bool(online_at(account.pk, support.pk, english.pk, at)) for at in moments]
    replay = Replay(account)
    assert [replay.is_online(at, (support.pk, english.pk)) for at in moments] == asked
    return asked


def test_a_chosen_status_counts_from_its_moment_on(account, anna, support, english):
    set_status(anna, "online")
    set_status(anna, "lunch")
    online, lunch = anna.changes.order_by("pk").values_list("at", flat=True)
    assert answers(account, support, english, [online - MOMENT, online, lunch - MOMENT, lunch]) == [False, True, True, False]


def test_choosing_the_same_again_is_no_change(anna):
    set_status(anna, "online")
    set_status(anna, "online")
    assert rows(anna) == [("chosen", True)]


def test_only_the_own_departments_and_languages(account, anna, english):
    set_status(anna, "online")
    sales = account.departments.get(slug="sales")
    now = database_now()
    assert online_at(account.pk, None, english.pk, now) == {anna.pk}
    assert online_at(account.pk, sales.pk, english.pk, now) == set()
    assert online_at(account.pk, None, english.pk + 1000, now) == set()


@pytest.mark.parametrize("is_recorded", [True, False])
def test_an_expiry_counts_from_the_moment_it_happened(account, anna, support, english, ago, is_recorded):
    set_status(anna, "online")
    ago(100)
    assert [record_expiries(), record_expiries()] == [1, 0] if is_recorded else True
    end = Operator.objects.get(pk=anna.pk).last_seen_at + timedelta(seconds=60)
    assert answers(account, support, english, [end - MOMENT, end, end + MOMENT]) == [True, True, False]
    if is_recorded:
        assert anna.changes.get(reason=ConditionReason.EXPIRED).at == end


def test_a_return_after_an_expiry_records_both(account, anna, support, english, ago):
    set_status(anna, "online")
    ago(100)
    workspaces_seen({anna.pk: anna.tickets_valid_from})
    assert rows(anna) == [("chosen", True), ("expired", False), ("back", True)]
    chosen, expired, back = anna.changes.order_by("pk").values_list("at", flat=True)
    moments = [chosen, expired, expired + MOMENT, back - MOMENT, back]
    assert answers(account, support, english, moments) == [True, True, False, False, True]


@pytest.mark.parametrize("heard", ["stream", "request"])
def test_signs_in_time_change_nothing(anna, ago, heard):
    set_status(anna, "online")
    for _ in range(4):
        ago(50)
        if heard == "stream":
            workspaces_seen({anna.pk: anna.tickets_valid_from})
        else:
            seen(Operator.objects.get(pk=anna.pk), database_now())
    record_expiries()
    assert rows(anna) == [("chosen", True)]


def test_a_sign_of_somebody_on_a_break_makes_nobody_online(anna, ago):
    set_status(anna, "lunch")
    ago(100)
    workspaces_seen({anna.pk: anna.tickets_valid_from})
    assert rows(anna) == [("chosen", False)]


def test_signing_out_and_deactivation_end_it_at_once(account, anna, boris, support, english):
    for person in (anna, boris):
        set_status(person, "online")
    sign_out(anna)
    assert online_at(account.pk, support.pk, english.pk, database_now()) == {boris.pk}
    change_people(boris, departments=[support], languages=[english], active=False)
    assert online_at(account.pk, support.pk, english.pk, database_now()) == set()
    assert rows(anna)[-1] == ("signed_out", False)
    assert rows(boris)[-1] == ("active", False)
    # a ticket issued before brings neither back
    workspaces_seen({anna.pk: anna.created_at - timedelta(hours=1), boris.pk: database_now()})
    assert online_at(account.pk, support.pk, english.pk, database_now()) == set()


def test_membership_has_its_history(account, anna, vera, support, english):
    set_status(anna, "online")
    before = database_now()
    change_people(anna, departments=[], languages=[english], active=True, actor=vera)
    assert answers(account, support, english, [before, database_now()]) == [True, False]
    change = anna.changes.first()
    assert (change.reason, change.actor, change.departments, change.languages) == ("membership", vera, [], [english.pk])


def test_an_archived_account_has_nobody(account, anna, support, english):
    set_status(anna, "online")
    archive_account(account, actor=None)
    assert online_at(account.pk, support.pk, english.pk, database_now()) == set()
    workspaces_seen({anna.pk: anna.tickets_valid_from})
    seen(Operator.objects.get(pk=anna.pk), database_now())
    assert not Operator.objects.get(pk=anna.pk).counted_online


def test_a_shorter_lease_acts_from_its_own_moment_on(account, anna, support, english, ago):
    set_status(anna, "online")
    ago(40)
    before = database_now()
    change_settings(account, {"operator_lease": 30}, actor=None)
    assert rows(anna) == [("chosen", True), ("settings", False)]
    assert answers(account, support, english, [before, database_now()]) == [True, False]


@pytest.mark.parametrize("is_over_already", [True, False])
def test_a_sign_that_knows_only_the_longer_lease_undoes_nothing(account, anna, support, english, ago, is_over_already):
    """Its process read the lease of 60 s; then it became 10, and ran out or had run out before the sign was written."""
    set_status(anna, "online")
    ago(30 if is_over_already else 5)
    known = Operator.objects.select_related("account").get(pk=anna.pk)
    change_settings(account, {"operator_lease": 10}, actor=None)
    account.refresh_from_db()
    if not is_over_already:
        ago(20)
    before = database_now()
    _hear([known], {anna.pk: known.tickets_valid_from}, before)
    moments = [before, database_now()]
    states = [(support.pk, english.pk) in service_states([account.pk], at)[account.pk] for at in moments]
    assert answers(account, support, english, moments) == states == [False, False]


def test_a_longer_lease_brings_back_from_its_own_moment_on(account, anna, support, english, ago):
    set_status(anna, "online")
    ago(80)
    before = database_now()
    change_settings(account, {"operator_lease": 120}, actor=None)
    assert rows(anna) == [("chosen", True), ("expired", False), ("settings", True)]
    assert answers(account, support, english, [before, database_now()]) == [False, True]


def test_a_refused_setting_records_nothing(account, anna, ago):
    set_status(anna, "online")
    ago(80)
    with pytest.raises(ValidationError):
        change_settings(account, {"operator_lease": 10**12}, actor=None)
    assert rows(anna) == [("chosen", True)]


class TestOutages:
    """P9: while no sign of life can be written, time stands still for leases of workspaces."""

    @pytest.fixture
    def heard(self, db):
        def heard(seconds_ago: float) -> None:
            WorkspacesHeard.objects.update_or_create(pk=1, defaults={"at": database_now() - timedelta(seconds=seconds_ago)})

        return heard

    def test_time_stands_still_two_seconds_after_the_last_writing(self):
        now = datetime(2026, 3, 1, 12, tzinfo=UTC)
        assert judged_at(now, None) == now
        assert judged_at(now, now) == now
        assert judged_at(now, now + timedelta(hours=1)) == now
        assert judged_at(now, now - timedelta(minutes=5)) == now - timedelta(minutes=5) + timedelta(seconds=2)

    def test_who_was_alive_before_it_is_online_all_along(self, account, anna, boris, vera, support, english, heard, ago):
        set_status(anna, "online")
        people.go_online(boris, seen_ago=400)  # lost before it
        set_status(vera, "online")
        sign_out(vera)
        ago(320)
        heard(300)
        assert (support.pk, english.pk) in service_states([account.pk], database_now())[account.pk]
        assert people.start_dialog(account).start_state == "online"
        assert record_expiries() == 1
        assert rows(boris)[-1] == ("expired", False)
        workspaces_seen({})
        record_expiries()
        assert rows(anna) == [("chosen", True)]
        assert online_at(account.pk, support.pk, english.pk, database_now()) == {anna.pk}
        assert Operator.objects.get(pk=anna.pk).last_seen_at > database_now() - timedelta(seconds=5)
        assert Operator.objects.get(pk=vera.pk).last_seen_at is None
        call_command("check_start_states", "--account", account.slug, stdout=io.StringIO())

    def test_afterwards_one_full_lease_and_no_more(self, account, anna, heard, ago):
        set_status(anna, "online")
        ago(320)
        heard(300)
        end_silence()
        ago(61)
        assert record_expiries() == 1
        assert people.start_dialog(account).start_state == "offline"

    def test_nobody_is_forgiven_twice_for_one_outage(self, anna, heard, ago):
        set_status(anna, "online")
        ago(320)
        heard(300)
        end_silence()
        ago(61)
        end_silence()
        assert record_expiries() == 1

    def test_a_dialog_says_who_was_online_in_an_outage(self, account, anna, heard, ago):
        set_status(anna, "online")
        ago(320)
        heard(300)
        assert people.start_dialog(account).evidence["judged_at"] < people.start_dialog(account).evidence["at"]

    @pytest.mark.parametrize("step", [3600, -3600])
    def test_a_step_of_the_clock_sends_nobody_away_and_keeps_nobody_for_long(self, account, anna, boris, step):
        with Wall() as clock:
            for person in (anna, boris):
                set_status(person, "online")
            workspaces_seen({who.pk: who.tickets_valid_from for who in (anna, boris)})
            clock.shift(step)
            workspaces_seen({anna.pk: anna.tickets_valid_from})
            assert record_expiries() == 0
            for _ in range(59):
                clock.shift(1)
                workspaces_seen({anna.pk: anna.tickets_valid_from})
            assert record_expiries() == 0
            clock.shift(2)
            workspaces_seen({anna.pk: anna.tickets_valid_from})
            assert record_expiries() == 1
            assert [Operator.objects.get(pk=who.pk).counted_online for who in (anna, boris)] == [True, False]

    def test_a_clock_set_back_brings_nobody_back(self, account, anna):
        with Wall() as clock:
            set_status(anna, "online")
            workspaces_seen({anna.pk: anna.tickets_valid_from})
            for _ in range(61):
                clock.shift(1)
                workspaces_seen({})
            assert record_expiries() == 1
            clock.shift(-3600)
            workspaces_seen({})
            assert people.start_dialog(account).start_state == "offline"
            anna.refresh_from_db()
            seen(anna, database_now())
            assert people.start_dialog(account).start_state == "online"


class TestCheck:
    def test_it_finds_no_difference_where_there_is_none(self, account, anna):
        people.start_dialog(account)
        set_status(anna, "online")
        people.start_dialog(account)
        set_status(anna, "lunch")
        people.start_dialog(account)
        out = io.StringIO()
        call_command("check_start_states", stdout=out)
        assert "3 dialogs: every start state agrees" in out.getvalue()

    def test_it_names_what_differs(self, account, anna):
        dialog = people.start_dialog(account)
        Dialog.objects.filter(pk=dialog.pk).update(start_state="online")
        out = io.StringIO()
        with pytest.raises(CommandError, match="1 of 1 dialogs"):
            call_command("check_start_states", stdout=out)
        assert f"{account.slug} #{dialog.number}: started online, by the history offline" in out.getvalue()

    def test_an_account_that_does_not_exist(self, db):
        with pytest.raises(CommandError, match="no account 'nowhere'"):
            call_command("check_start_states", "--account", "nowhere")


def test_a_person_who_never_was_online_can_be_deleted_with_the_history(account, anna, boris):
    set_status(anna, "lunch")
    delete_operator(anna)
    set_status(boris, "online")
    with pytest.raises(ValidationError, match="deactivate instead"):
        delete_operator(boris)


def test_moments_never_run_backwards(account, anna, support, english, ago):
    for _ in range(3):
        set_status(anna, "online")
        ago(100)
        change_people(anna, departments=[support], languages=[], active=True)
        change_people(anna, departments=[support], languages=[english], active=True)
        workspaces_seen({anna.pk: anna.tickets_valid_from})
        set_status(anna, "meeting")
    moments = list(anna.changes.order_by("pk").values_list("at", flat=True))
    assert all(earlier <= later for earlier, later in pairwise(moments))
    assert rows(anna).count(("expired", False)) == 3


def test_tickets_are_void_after_signing_out_though_the_clock_was_set_back(account, anna):
    with Wall() as clock:
        sign_out(anna)
        anna.refresh_from_db()
        before = anna.tickets_valid_from
        clock.shift(-3600)
        set_status(anna, "online")
        workspaces_seen({anna.pk: before})  # a session of that hour goes on
        assert Operator.objects.get(pk=anna.pk).counted_online
        sign_out(anna)
        workspaces_seen({anna.pk: before})
        assert Operator.objects.get(pk=anna.pk).last_seen_at is None
