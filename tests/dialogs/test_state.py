"""The rules of presence without a database (P3 to P7, P10, M10, Z2)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialogs.rules.presence import (
    Facts,
    Step,
    advance,
    caught_up,
    left,
    pending,
    postponed,
    returned,
    start,
    timeouts_from_seconds,
    token_arrived,
    token_removed,
    wake_at,
)

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
DEFAULT = timeouts_from_seconds(120, 1200)


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
    assert [s for _, s in advance(away, timeouts_from_seconds(0, 60), after(days=1))[1]] == [Step.WENT_OFFLINE]
    assert [s for _, s in advance(away, timeouts_from_seconds(60, 0), after(days=1))[1]] == [Step.LEFT_NOTICE]
    assert wake_at(away, timeouts_from_seconds(0, 0)) is None


def test_at_the_same_moment_the_notice_comes_before_the_offline_message():
    assert [s for _, s in advance(left(Facts(), NOON), timeouts_from_seconds(60, 60), after(minutes=1))[1]] == [
        Step.LEFT_NOTICE,
        Step.WENT_OFFLINE,
    ]


def test_a_shorter_timeout_does_not_act_before_it_was_stored():
    changed = timeouts_from_seconds(120, 300, since=after(minutes=10))
    _, steps = advance(left(Facts(), NOON), changed, after(minutes=11))
    assert (after(minutes=10), Step.WENT_OFFLINE) in steps


def settings(*ages):
    """Timeouts that followed one another: (left_notice_after, offline_after, in force since)."""
    timeouts = None
    for notice, offline, since in ages:
        timeouts = timeouts_from_seconds(notice, offline, since, before=timeouts)
    return timeouts


class TestSettingsThatChangedWhileSomebodyWasAway:
    """P4, P5 and Z2: away since noon, and the settings since."""

    def done(self, *ages, until):
        return advance(left(Facts(), NOON), settings(*ages), after(seconds=until))[1]

    def test_a_shorter_time_acts_when_it_is_stored_at_the_earliest(self):
        ages = (0, 1200, None), (0, 300, after(seconds=600))
        assert self.done(*ages, until=599) == []
        assert self.done(*ages, until=600) == [(after(seconds=600), Step.WENT_OFFLINE)]

    def test_a_shorter_time_that_is_not_over_yet_acts_in_its_own_time(self):
        assert self.done((0, 1200, None), (0, 700, after(seconds=600)), until=3600) == [(after(seconds=700), Step.WENT_OFFLINE)]

    def test_a_longer_time_postpones(self):
        ages = (0, 1200, None), (0, 3600, after(seconds=600))
        assert self.done(*ages, until=3599) == []
        assert self.done(*ages, until=3600) == [(after(seconds=3600), Step.WENT_OFFLINE)]

    def test_a_longer_time_takes_nothing_back_however_late_it_is_noticed(self):
        ages = (120, 1200, None), (1800, 3600, after(seconds=1500))
        assert self.done(*ages, until=9999) == [(after(seconds=120), Step.LEFT_NOTICE), (after(seconds=1200), Step.WENT_OFFLINE)]

    def test_a_time_that_is_replaced_at_the_moment_it_would_be_over_does_not_act(self):
        assert self.done((0, 1200, None), (0, 0, after(seconds=1200)), until=9999) == []

    def test_switched_off_nothing_happens_any_more(self):
        assert self.done((120, 1200, None), (0, 0, after(seconds=60)), until=10**6) == []
        assert wake_at(left(Facts(), NOON), settings((120, 1200, None), (0, 0, after(seconds=60)))) is None

    def test_switched_on_it_acts_from_then_on(self):
        assert self.done((0, 0, None), (120, 1200, after(seconds=600)), until=3600) == [
            (after(seconds=600), Step.LEFT_NOTICE),
            (after(seconds=1200), Step.WENT_OFFLINE),
        ]

    def test_a_change_of_one_does_not_move_the_other(self):
        ages = (120, 1200, None), (600, 1200, after(seconds=1201))
        assert self.done(*ages, until=9999) == [(after(seconds=120), Step.LEFT_NOTICE), (after(seconds=1200), Step.WENT_OFFLINE)]

    def test_back_to_the_old_value_is_as_if_nothing_had_been(self):
        ages = (0, 1200, None), (0, 3600, after(seconds=300)), (0, 1200, after(seconds=400))
        assert self.done(*ages, until=3600) == [(after(seconds=1200), Step.WENT_OFFLINE)]

    def test_off_and_on_again_after_the_time_was_over_acts_when_it_is_on_again(self):
        ages = (0, 1200, None), (0, 0, after(seconds=300)), (0, 1200, after(seconds=2000))
        assert self.done(*ages, until=3600) == [(after(seconds=2000), Step.WENT_OFFLINE)]

    def test_no_message_is_repeated_in_one_absence(self):
        facts, _ = advance(left(Facts(), NOON), settings((120, 1200, None)), after(seconds=130))
        for notice in (60, 600, 0, 120):
            changed = settings((120, 1200, None), (notice, 1200, after(seconds=140)))
            assert advance(facts, changed, after(seconds=1199))[1] == []

    numbers = st.integers(0, 20).map(lambda tens: tens * 100)
    pairs = st.tuples(numbers, numbers).map(lambda pair: (pair[0], pair[1] and max(pair)))  # what P5 allows
    changes = st.lists(st.tuples(pairs, st.integers(0, 60).map(lambda fifties: fifties * 50)), max_size=5)

    @given(first=pairs, changes=changes, looks=st.lists(st.integers(0, 4000), max_size=6))
    def test_it_does_not_matter_when_anybody_looks(self, first, changes, looks):
        """A clock that always looks, each time under the settings of that moment, is what a late look finds."""
        ages = sorted((since, notice, offline) for (notice, offline), since in changes)

        def known(second):
            return settings((*first, None), *((n, o, after(seconds=since)) for since, n, o in ages if since <= second))

        facts, slow = left(Facts(), NOON), []
        for second in sorted({0, 4000, *looks}):
            facts, steps = advance(facts, known(second), after(seconds=second))
            slow += steps
        exact, expected = left(Facts(), NOON), []
        for second in range(0, 4001, 50):  # every moment at which anything can happen
            notice, offline = next(((n, o) for since, n, o in reversed(ages) if since <= second), first)
            exact, steps = advance(exact, timeouts_from_seconds(notice, offline), after(seconds=second))
            expected += [(after(seconds=second), step) for _, step in steps]
        assert slow == expected
        assert facts.is_offline == exact.is_offline


@given(looks=st.lists(st.integers(-4000, 8000), max_size=12))
def test_a_clock_that_is_set_to_and_fro_repeats_nothing(looks):
    """Z3."""
    facts, steps = left(Facts(), NOON), []
    for second in looks:
        facts, done = advance(facts, DEFAULT, after(seconds=second))
        steps += done
    latest = max(looks, default=0)
    assert steps == [
        step
        for step in [(after(seconds=120), Step.LEFT_NOTICE), (after(seconds=1200), Step.WENT_OFFLINE)]
        if step[0] <= after(seconds=latest)
    ]
    back, said = returned(facts, after(seconds=-5000))
    assert [step for _, step in said] == ([Step.RETURNED] if steps else [])
    assert advance(back, DEFAULT, after(days=9)) == (back, [])


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


def test_what_an_absence_has_led_to_leaves_the_closing_alone():
    facts = left(start(visitor_present=True, closes_at=after(minutes=3)), NOON)
    reached, steps = caught_up(facts, DEFAULT, after(minutes=4))
    assert steps == [(after(minutes=2), Step.LEFT_NOTICE)]
    assert reached == replace(facts, left_notice_at=after(minutes=2))
    assert caught_up(facts, DEFAULT, after(days=1)) == (reached, steps), "after its closing there is no absence"


def test_with_a_push_token_nobody_is_absent():
    always = token_arrived(Facts())
    assert left(always, NOON) == always
    assert returned(always, NOON) == (always, [])
    assert advance(always, DEFAULT, after(days=9)) == (always, [])
    assert wake_at(always, DEFAULT) is None


@pytest.mark.parametrize("passed", [60, 180, 3600], ids=["label", "notice", "offline"])
def test_a_token_that_arrives_undoes_an_absence_without_a_step(passed):
    away, _ = advance(left(Facts(), NOON), DEFAULT, after(seconds=passed))
    assert token_arrived(away) == Facts(always_online=True)
    assert returned(token_arrived(away), after(days=1)) == (Facts(always_online=True), [])


def test_without_its_token_an_absence_starts_at_the_removal():
    gone = token_removed(left(token_arrived(Facts()), NOON), after(hours=5), present=False)
    assert (gone.away_since, gone.is_offline) == (after(hours=5), False)
    assert advance(gone, DEFAULT, after(hours=6))[1] == [
        (after(hours=5, minutes=2), Step.LEFT_NOTICE),
        (after(hours=5, minutes=20), Step.WENT_OFFLINE),
    ]


def test_without_its_token_who_is_there_stays_there_and_was_not_absent_before():
    there = token_removed(token_arrived(Facts()), NOON, present=True)
    assert there.away_since is None
    assert left(there, after(minutes=3)).away_since == after(minutes=3)
    assert left(there, after(minutes=-3)).away_since == NOON, "heard of late"
    back, _ = returned(left(there, after(minutes=3)), after(minutes=4))
    assert back == Facts()


def test_a_removal_of_what_is_not_there_changes_nothing():
    away = left(Facts(), NOON)
    assert token_removed(away, after(minutes=1), present=False) == away
    assert token_removed(Facts(is_offline=True), NOON, present=False) == Facts(is_offline=True)


def test_a_dialog_without_any_visit_is_online_with_a_token():
    facts = start(visitor_present=False, always_online=True)
    assert (facts.is_offline, facts.always_online, wake_at(facts, DEFAULT)) == (False, True, None)


def test_a_token_changes_nothing_of_a_closed_dialog_nor_of_its_closing_by_time():
    closed = Facts(is_open=False)
    assert token_arrived(closed) == token_removed(closed, NOON, present=False) == closed
    by_mail = start(visitor_present=True, closes_at=after(days=30))
    assert wake_at(token_arrived(by_mail), DEFAULT) == after(days=30)


lengths = st.integers(0, 4000)


@given(deeds=st.lists(st.tuples(st.sampled_from(["leave", "return", "token", "no token"]), lengths), max_size=12))
def test_online_by_a_token_is_never_anything_else(deeds):
    """Whatever happens in whatever order: P7 and an absence exclude each other, and alarms never ring late."""
    facts, moment, present = Facts(), NOON, True
    for deed, seconds in deeds:
        moment += timedelta(seconds=seconds)
        facts, _ = advance(facts, DEFAULT, moment)
        if deed == "leave":
            facts, present = left(facts, moment), False
        elif deed == "return":
            facts, present = returned(facts, moment)[0], True
        elif deed == "token":
            facts = token_arrived(facts)
        else:
            facts = token_removed(facts, moment, present=present)
        if facts.always_online:
            assert (facts.away_since, facts.is_offline, facts.left_notice_at, facts.went_offline_at) == (None, False, None, None)
        else:
            assert (facts.away_since is None) == present
        assert (wake_at(facts, DEFAULT) or moment) >= moment


@given(notice=lengths, offline=lengths, cuts=st.lists(lengths, max_size=6), end=lengths)
def test_a_sweep_at_any_moments_changes_nothing(notice, offline, cuts, end):
    timeouts = timeouts_from_seconds(notice, offline)
    facts, steps = left(Facts(), NOON), []
    for cut in sorted(c for c in cuts if c <= end):
        facts, done = advance(facts, timeouts, after(seconds=cut))
        steps += done
    facts, done = advance(facts, timeouts, after(seconds=end))
    assert (facts, steps + done) == advance(left(Facts(), NOON), timeouts, after(seconds=end))


@given(notice=lengths, offline=lengths, now=lengths)
def test_the_alarm_never_rings_late(notice, offline, now):
    timeouts = timeouts_from_seconds(notice, offline)
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
