"""The rules of presence without a database (P3 to P6, P10, M10, Z2)."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialogs.state import Facts, Step, advance, left, pending, postponed, returned, start, timeouts_of, wake_at

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
DEFAULT = timeouts_of(120, 1200)


def after(**length):
    return NOON + timedelta(**length)


def test_nothing_is_due_while_the_visitor_is_there():
    assert wake_at(Facts(), DEFAULT) is None
    assert advance(Facts(), DEFAULT, after(days=9)) == (Facts(), [])


def test_leaving_is_noticed_after_two_minutes_and_the_dialog_is_offline_after_twenty():
    facts, steps = advance(left(Facts(), NOON), DEFAULT, after(hours=1))
    assert steps == [(after(minutes=2), Step.LEFT_NOTICE), (after(minutes=20), Step.WENT_OFFLINE)]
    assert facts.is_offline
    assert wake_at(facts, DEFAULT) is None


def test_a_deadline_is_neither_early_nor_missed_at_its_own_moment():
    away = left(Facts(), NOON)
    assert advance(away, DEFAULT, after(seconds=119.999))[1] == []
    assert advance(away, DEFAULT, after(seconds=120))[1] == [(after(seconds=120), Step.LEFT_NOTICE)]


def test_an_early_return_leaves_no_message():
    assert returned(left(Facts(), NOON), after(seconds=60)) == (Facts(), [])


def test_a_return_after_the_notice_is_said():
    facts, _ = advance(left(Facts(), NOON), DEFAULT, after(minutes=3))
    assert returned(facts, after(minutes=4)) == (Facts(), [(after(minutes=4), Step.RETURNED)])


def test_a_return_from_offline_makes_the_dialog_online_again():
    facts, _ = advance(left(Facts(), NOON), DEFAULT, after(hours=1))
    back, steps = returned(facts, after(hours=2))
    assert not back.is_offline
    assert steps == [(after(hours=2), Step.RETURNED)]


def test_each_absence_has_its_own_messages():
    facts, _ = advance(left(Facts(), NOON), DEFAULT, after(hours=1))
    back, _ = returned(facts, after(hours=2))
    _, steps = advance(left(back, after(hours=3)), DEFAULT, after(hours=4))
    assert [step for _, step in steps] == [Step.LEFT_NOTICE, Step.WENT_OFFLINE]


def test_zero_switches_a_step_off():
    away = left(Facts(), NOON)
    assert [s for _, s in advance(away, timeouts_of(0, 60), after(days=1))[1]] == [Step.WENT_OFFLINE]
    assert [s for _, s in advance(away, timeouts_of(60, 0), after(days=1))[1]] == [Step.LEFT_NOTICE]
    assert wake_at(away, timeouts_of(0, 0)) is None


def test_at_the_same_moment_the_notice_comes_before_the_offline_message():
    assert [s for _, s in advance(left(Facts(), NOON), timeouts_of(60, 60), after(minutes=1))[1]] == [
        Step.LEFT_NOTICE,
        Step.WENT_OFFLINE,
    ]


def test_a_shorter_timeout_does_not_act_before_it_was_stored():
    changed = timeouts_of(120, 300, since=after(minutes=10))
    _, steps = advance(left(Facts(), NOON), changed, after(minutes=11))
    assert (after(minutes=10), Step.WENT_OFFLINE) in steps


def test_a_second_word_of_the_same_absence_changes_nothing():
    away = left(Facts(), NOON)
    assert left(away, after(minutes=1)) == away


def test_a_dialog_without_any_visit_is_offline_and_waits_for_nothing():
    facts = start(visitor_present=False)
    assert facts.is_offline
    assert wake_at(facts, DEFAULT) is None
    assert returned(facts, NOON) == (Facts(), [])


def test_a_closed_dialog_is_left_alone():
    closed = Facts(is_open=False)
    assert left(closed, NOON) == closed
    assert returned(closed, NOON) == (closed, [])
    assert list(pending(closed, DEFAULT)) == []


def test_an_email_only_dialog_closes_thirty_days_after_its_last_message():
    facts = start(visitor_present=True, closes_at=after(days=30))
    assert wake_at(facts, DEFAULT) == after(days=30)
    later = postponed(facts, after(days=40))
    assert advance(later, DEFAULT, after(days=39))[0].is_open
    assert not advance(later, DEFAULT, after(days=40))[0].is_open


lengths = st.integers(0, 4000)


@given(notice=lengths, offline=lengths, cuts=st.lists(lengths, max_size=6), end=lengths)
def test_a_sweep_at_any_moments_changes_nothing(notice, offline, cuts, end):
    timeouts = timeouts_of(notice, offline)
    facts, steps = left(Facts(), NOON), []
    for cut in sorted(c for c in cuts if c <= end):
        facts, done = advance(facts, timeouts, after(seconds=cut))
        steps += done
    facts, done = advance(facts, timeouts, after(seconds=end))
    assert (facts, steps + done) == advance(left(Facts(), NOON), timeouts, after(seconds=end))


@given(notice=lengths, offline=lengths, now=lengths)
def test_the_alarm_never_rings_late(notice, offline, now):
    timeouts = timeouts_of(notice, offline)
    facts, _ = advance(left(Facts(), NOON), timeouts, after(seconds=now))
    alarm = wake_at(facts, timeouts)
    assert alarm is None or alarm > after(seconds=now)
    if alarm is not None:
        assert advance(facts, timeouts, alarm - timedelta(microseconds=1))[1] == []
        assert advance(facts, timeouts, alarm)[1]


@pytest.mark.parametrize("late", [0, 1, 86_400])
def test_steps_carry_the_moment_of_the_rule_however_late_they_are_noticed(late):
    _, steps = advance(left(Facts(), NOON), DEFAULT, after(seconds=1200 + late))
    assert [at for at, _ in steps] == [after(seconds=120), after(seconds=1200)]
