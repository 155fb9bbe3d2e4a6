"""Visits, absences and returns in the database (P1 to P6, P9, P10)."""

from datetime import timedelta

import pytest

from dialogs.actions import deadlines, presence, setting_changes
from dialogs.actions.conversation import close_by_visitor
from dialogs.models import EventKind, LiveProcess, Message, Pulse, Visit, Visitor
from operators.actions.settings import change_settings
from tests import people
from tests.passing_time import fresh, let_pass
from webim_offline.foundation.database.clock import database_now
from webim_offline.foundation.steady_clock import steady_now


@pytest.fixture
def visitor(account, process):
    """A visitor with one page open."""
    visitor = people.make_visitor(account, name="Marina")
    people.arrive(visitor, process)
    visitor.refresh_from_db()
    return visitor


@pytest.fixture
def dialog(visitor):
    return people.start_dialog(visitor.account, visitor=visitor)


def codes(dialog):
    return list(dialog.messages.filter(kind="system").values_list("code", flat=True))


def sweep():
    while deadlines.advance_due_dialogs():
        pass


def test_the_card_is_labelled_the_moment_the_last_visit_ends(dialog, visitor, process):
    people.depart(visitor, process, ago=2)
    assert fresh(dialog).away_since == fresh(visitor).left_at
    assert not dialog.is_offline
    assert codes(dialog) == []


def test_another_tab_keeps_the_visitor_on_the_site(dialog, visitor, process):
    people.arrive(visitor, process, "page-2")
    people.depart(visitor, process, "page-1")
    assert fresh(dialog).away_since is None
    people.depart(visitor, process, "page-2")
    assert fresh(dialog).away_since is not None


def test_a_next_page_heard_of_in_time_leaves_no_trace(dialog, visitor, process):
    before = fresh(dialog).revision
    people.arrive(visitor, process, "page-2")
    people.depart(visitor, process, "page-1", ago=0)
    assert fresh(dialog).revision == before


def test_the_whole_absence_and_the_return(dialog, visitor, process):
    people.depart(visitor, process)
    let_pass(121)
    sweep()
    assert codes(dialog) == ["left"]
    let_pass(1200)
    sweep()
    assert codes(dialog) == ["left", "went_offline"]
    assert fresh(dialog).is_offline
    sweep()
    people.arrive(visitor, process, "page-2")
    fresh(dialog)
    assert codes(dialog) == ["left", "went_offline", "returned"]
    assert (dialog.away_since, dialog.is_offline, dialog.wake_at) == (None, False, None)


def test_a_late_sweep_stamps_the_moments_of_the_rules(dialog, visitor, process):
    people.depart(visitor, process)
    let_pass(7200)
    away_since = fresh(dialog).away_since
    sweep()
    moments = dict(dialog.events.filter(kind__in=["left_notice", "went_offline"]).values_list("kind", "at"))
    assert moments == {
        "left_notice": away_since + timedelta(seconds=120),
        "went_offline": away_since + timedelta(seconds=1200),
    }


@pytest.mark.parametrize(("gone_for", "due"), [(119, []), (121, ["left"]), (1201, ["left", "went_offline"])])
@pytest.mark.parametrize("end", ["return", "message", "close"])
def test_what_was_due_has_happened_when_the_absence_ends_before_a_sweep_noticed(dialog, visitor, process, gone_for, due, end):
    """P8: exactly once, even while the clock worker is away."""
    people.depart(visitor, process)
    let_pass(gone_for)
    away_since = fresh(dialog).away_since
    if end == "return":
        people.arrive(visitor, process, "page-2")
    elif end == "message":
        people.write(visitor, visit_key="page-2")
    else:
        close_by_visitor(visitor.pk, dialog.number)
    sweep()
    assert codes(dialog) == due + (["returned"] if due and end != "close" else [])
    events = dialog.events.filter(kind__in=["left_notice", "went_offline"])
    assert [event.at - away_since for event in events] == [timedelta(seconds=s) for s in (120, 1200)[: len(due)]]
    assert fresh(dialog).is_offline is (end == "close" and gone_for > 1200)
    assert dialog.wake_at == dialog.closes_at  # nothing of the absence is ahead; a closed one waits to be closed for good (Q9)
    assert (dialog.closes_at is not None) is (end == "close")


def test_every_open_dialog_follows_its_visitor_whatever_its_start_state(account, anna, visitor, process):
    people.go_online(anna)
    dialog = people.start_dialog(account, visitor=visitor)
    assert dialog.start_state == "online"
    people.depart(visitor, process)
    let_pass(1300)
    sweep()
    assert fresh(dialog).is_offline
    assert dialog.start_state == "online"


def test_a_dialog_without_a_visit_is_offline_until_a_first_one(account, process):
    visitor = people.make_visitor(account)
    dialog = people.start_dialog(account, visitor=visitor)
    assert dialog.is_offline
    assert dialog.wake_at is None
    people.arrive(visitor, process)
    assert not fresh(dialog).is_offline
    assert codes(dialog) == []


def test_a_message_is_a_sign_of_life_of_its_page(account):
    visitor = people.make_visitor(account)
    dialog = people.start_dialog(account, visitor=visitor, visit_key="page-9")
    assert not dialog.is_offline
    visit = Visit.objects.get()
    assert visit.process is None
    assert visit.expires_at - visit.began_at == timedelta(seconds=account.visit_lease)


def test_a_message_keeps_the_visit_of_a_page_that_is_otherwise_silent(account, visitor, dialog, process):
    people.write(visitor, visit_key="page-1")
    wrote_at = Message.objects.latest("pk").at
    lapsed = presence.Departure(visitor.pk, "page-1", 1)  # the process heard of the page long before that
    presence.visits_silent([lapsed], process_id=process.pk)
    presence.visits_ended([lapsed], process_id=process.pk)
    presence.end_lost_visits()
    visit = Visit.objects.get()
    assert (visit.process, visit.ended_at) == (None, None)
    assert visit.expires_at == wrote_at + timedelta(seconds=account.visit_lease)
    assert fresh(dialog).away_since is None


def test_a_departure_noticed_after_a_message_s_lease_carries_the_end_of_that_lease(account, visitor, dialog, process):
    people.write(visitor, visit_key="page-1")
    until = database_now() - timedelta(seconds=1)
    Visit.objects.update(expires_at=until)
    presence.visits_ended([presence.Departure(visitor.pk, "page-1", 20)], process_id=process.pk)
    assert fresh(dialog).away_since == until


def test_a_message_takes_no_goodbye_back(visitor, dialog, process):
    people.write(visitor, visit_key="page-1")
    presence.visits_ended([presence.Departure(visitor.pk, "page-1", 0, said_goodbye=True)], process_id=process.pk)
    assert fresh(dialog).away_since is not None


def test_a_message_outlives_the_process_that_held_its_page(account, visitor, dialog, process):
    presence.end_lost_visits()
    people.write(visitor, visit_key="page-1")
    dead_at = database_now() - timedelta(seconds=1)
    LiveProcess.objects.update(expires_at=dead_at, renewed_at=dead_at - timedelta(seconds=30))
    presence.end_lost_visits()
    assert fresh(dialog).away_since is None


def test_a_page_that_only_writes_is_a_visit_beside_another(account, visitor, dialog, process):
    people.write(visitor, visit_key="page-9")
    people.depart(visitor, process)
    assert fresh(dialog).away_since is None


def test_a_visit_no_process_holds_ends_with_its_lease(account, visitor):
    other = people.make_visitor(account)
    dialog = people.start_dialog(account, visitor=other, visit_key="page-9")
    presence.end_lost_visits()
    lapsed = database_now() - timedelta(seconds=1)
    Visit.objects.filter(visitor=other).update(expires_at=lapsed)
    assert presence.end_lost_visits() == 1
    assert fresh(dialog).away_since == lapsed
    assert fresh(visitor).is_present


def test_visits_of_a_dead_process_end_after_its_lease_unless_heard_of_elsewhere(account, visitor, dialog, process):
    staying = people.make_visitor(account)
    people.arrive(staying, process)
    presence.end_lost_visits()
    dead_at = database_now() - timedelta(seconds=1)
    LiveProcess.objects.filter(pk=process.pk).update(expires_at=dead_at, renewed_at=dead_at - timedelta(seconds=30))
    people.arrive(staying, people.make_process())
    presence.end_lost_visits()
    presence.end_lost_visits()
    assert fresh(dialog).away_since == dead_at
    assert fresh(staying).is_present
    assert not LiveProcess.objects.filter(pk=process.pk).exists()


def test_an_outage_is_not_shown_as_people_leaving(visitor, dialog, process):
    presence.end_lost_visits()
    silence = timedelta(minutes=10)
    now = database_now()
    Pulse.objects.filter(name=Pulse.LEASES).update(at=now - silence)
    LiveProcess.objects.filter(pk=process.pk).update(renewed_at=now - silence, expires_at=now - silence + timedelta(seconds=29))
    presence.end_lost_visits()
    assert fresh(visitor).is_present
    assert fresh(dialog).away_since is None
    assert LiveProcess.objects.get().expires_at >= now + timedelta(seconds=29)


def test_a_database_that_hangs_in_the_middle_of_a_sweep_ages_nobody(visitor, dialog, process, monkeypatch):
    presence.end_lost_visits()
    before = database_now()
    monkeypatch.setattr(presence.outages, "database_now", iter([before, *[before + timedelta(minutes=2)] * 9]).__next__)
    presence.end_lost_visits()
    monkeypatch.undo()
    assert fresh(visitor).is_present
    assert fresh(dialog).away_since is None


def test_a_goodbye_from_the_time_of_an_outage_is_written_after_it(account, visitor, dialog, process):
    presence.renew_process(process.pk, database_now() - timedelta(minutes=5))  # its row changed behind it
    assert Visit.objects.get().process is None
    ago = account.left_notice_after + 60
    presence.visits_ended([presence.Departure(visitor.pk, "page-1", ago, said_goodbye=True)], process_id=process.pk)
    assert Visit.objects.get().ended_at == fresh(dialog).away_since
    assert database_now() - dialog.away_since >= timedelta(seconds=ago)
    notice = dialog.events.get(kind=EventKind.LEFT_NOTICE)
    assert database_now() - notice.at < timedelta(seconds=5)  # Z2: not before that fact was stored


def pulse_ago(seconds):
    Pulse.objects.update_or_create(name=Pulse.LEASES, defaults={"at": database_now() - timedelta(seconds=seconds)})


def test_a_clock_set_back_keeps_nobody_for_longer_than_a_lease(visitor, process):
    other = people.make_visitor(visitor.account)
    people.start_dialog(visitor.account, visitor=other, visit_key="page-9")
    later = database_now() + timedelta(hours=1)
    LiveProcess.objects.update(renewed_at=later, expires_at=later + timedelta(seconds=30))
    Visit.objects.filter(visitor=other).update(expires_at=later + timedelta(seconds=30))
    pulse_ago(-3600)
    presence.end_lost_visits()
    longest = database_now() + timedelta(seconds=30)
    assert LiveProcess.objects.get().expires_at <= longest
    assert Visit.objects.get(visitor=other).expires_at <= longest
    assert fresh(visitor).is_present
    assert fresh(other).is_present


def test_leases_that_had_run_out_before_the_outage_get_no_more(visitor, dialog, process):
    dead_at = database_now() - timedelta(seconds=200)
    LiveProcess.objects.update(renewed_at=dead_at - timedelta(seconds=30), expires_at=dead_at)
    pulse_ago(190)
    presence.end_lost_visits()
    presence.end_lost_visits()
    assert fresh(dialog).away_since == dead_at


def test_a_process_whose_row_changed_behind_it_gives_its_visits_up_and_tells_them_again(visitor, process):
    known, ended_ago = presence.renew_process(process.pk, process.renewed_at)
    assert ended_ago is None
    LiveProcess.objects.filter(pk=process.pk).update(renewed_at=known - timedelta(minutes=5))  # as from a backup
    zombie = people.make_visitor(visitor.account)
    people.arrive(zombie, process)
    known, ended_ago = presence.renew_process(process.pk, known)
    assert ended_ago == 0
    assert fresh(visitor).is_present
    presence.visits_began([presence.Arrival(visitor.pk, visitor.account_id, "page-1", None)], process_id=process.pk)
    told = Visit.objects.get(visitor=visitor)
    assert (told.process_id, told.expires_at, told.page_url) == (process.pk, None, "https://shop.example/")
    Visit.objects.filter(process=None).update(expires_at=database_now())
    presence.end_lost_visits()
    assert fresh(visitor).is_present
    assert not fresh(zombie).is_present


def test_a_process_learns_when_the_outage_ended_that_somebody_else_noticed(visitor, process):
    ended = database_now() - timedelta(seconds=3)
    LiveProcess.objects.update(renewed_at=ended)  # as `end_outage` leaves it
    _, ended_ago = presence.renew_process(process.pk, ended - timedelta(minutes=2))
    assert 3 <= ended_ago < 5
    assert Visit.objects.get().expires_at == ended + timedelta(seconds=visitor.account.visit_lease)


def test_departures_that_waited_out_an_outage_are_not_written(visitor, process):
    long_ago = steady_now() - 6
    with pytest.raises(presence.OutageBetween):
        presence.visits_ended([presence.Departure(visitor.pk, "page-1", 1)], process_id=process.pk, found_at=long_ago)
    assert fresh(visitor).is_present


def test_a_departure_told_by_a_process_that_lost_the_visit_is_ignored(dialog, visitor, process):
    people.arrive(visitor, people.make_process())
    people.depart(visitor, process)
    assert fresh(visitor).is_present
    assert fresh(dialog).away_since is None


def test_closed_dialogs_are_left_alone(account, anna, dialog, visitor, process):
    close_by_visitor(visitor.pk, dialog.number)
    people.depart(visitor, process)
    assert fresh(dialog).away_since is None
    assert dialog.wake_at == dialog.closes_at == dialog.closed_at + timedelta(seconds=600)  # for good (Q9), nothing else


def test_a_shorter_timeout_acts_on_visitors_already_gone(account, dialog, visitor, process):
    people.depart(visitor, process)
    let_pass(600)
    account.refresh_from_db()
    change_settings(account, {"offline_after": 300}, actor=None)
    setting_changes.apply_setting_changes()
    sweep()
    fresh(dialog)
    account.refresh_from_db()
    assert dialog.is_offline
    assert dialog.went_offline_at == account.timeouts_changed_at


def test_one_poisoned_row_does_not_stop_the_clock(account, monkeypatch, process, caplog):
    visitors = [people.make_visitor(account) for _ in range(3)]
    for visitor in visitors:
        people.arrive(visitor, process)
    dialogs = [people.start_dialog(account, visitor=v) for v in visitors]
    for visitor in visitors:
        people.depart(visitor, process)
    let_pass(121)
    real = deadlines.presence.advance
    bad = fresh(dialogs[1]).facts

    def failing(facts, timeouts, now):
        if facts == bad:
            raise ZeroDivisionError
        return real(facts, timeouts, now)

    monkeypatch.setattr(deadlines.presence, "advance", failing)
    sweep()
    assert [codes(d) for d in dialogs] == [["left"], [], ["left"]]
    assert fresh(dialogs[1]).wake_at > database_now() + timedelta(minutes=59)


def test_presence_is_history_at_once_and_waits_for_nobody(dialog, visitor, process):
    people.depart(visitor, process)
    assert not dialog.events.filter(kind=EventKind.VISITOR_LEFT, handled_at=None).exists()
    assert dialog.events.filter(kind=EventKind.STARTED, handled_at=None).exists()


def test_a_thousand_arrivals_and_departures_take_a_constant_number_of_statements(account, process, django_assert_max_num_queries):
    visitors = [people.make_visitor(account) for _ in range(200)]
    arrivals = [presence.Arrival(v.pk, account.pk, "p") for v in visitors]
    with django_assert_max_num_queries(8):
        presence.visits_began(arrivals, process_id=process.pk)
    assert Visitor.objects.filter(is_present=True).count() == 200
    with django_assert_max_num_queries(12):
        presence.visits_ended([presence.Departure(v.pk, "p", i / 100) for i, v in enumerate(visitors)], process_id=process.pk)
    assert not Visitor.objects.filter(is_present=True).exists()
