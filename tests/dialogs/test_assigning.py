"""The pure rule of automatic assignment beside a slow and obvious one (Q5, Q7, Q8)."""

import random
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialogs.rules.assignment import UNBOUNDED, FreeOperator, Waiting, plan

NOON = datetime(2030, 5, 6, 12, tzinfo=UTC)
SUPPORT, SALES = 1, 2
RUSSIAN, ENGLISH = 11, 12


def after(seconds):
    return NOON + timedelta(seconds=seconds)


def waits(number, place=(SUPPORT, RUSSIAN, False), *, at=None, passed_over=None):
    return Waiting(number, place, after(number if at is None else at), passed_over or {})


def person(number, *, departments=(SUPPORT,), languages=(RUSSIAN,), online=UNBOUNDED, offline=UNBOUNDED, **fields):
    return FreeOperator(number, frozenset(departments), frozenset(languages), capacity={False: online, True: offline}, **fields)


def first(people):
    return min(people, key=lambda person: person.id)


# ----- the reference: asks everything anew before each gift -----


@dataclass
class Desk:
    """What the reference knows of one person: `capacity` is shared with nobody."""

    person: FreeOperator
    open: int
    capacity: dict[bool, int]

    @classmethod
    def of(cls, person):
        return cls(person, person.open, dict(person.capacity))


def qualifies(desk, dialog):
    department, language, kind = dialog.queue
    speaks = language in desk.person.languages
    return speaks and (department is None or department in desk.person.departments) and desk.capacity[kind] > 0


def may_have(dialog, desks):
    """Everybody who could be given the dialog now, equally well."""
    able = [desk for desk in desks if qualifies(desk, dialog)]
    fresh = [desk for desk in able if desk.person.id not in dialog.passed_over]
    if not fresh:  # Q8: nobody else qualifies, so whoever let it wait may have it, after an own action
        at = dialog.passed_over
        fresh = [desk for desk in able if desk.person.acted_at is not None and desk.person.acted_at > at[desk.person.id]]
    fewest = min((desk.open for desk in fresh), default=0)
    return [desk for desk in fresh if desk.open == fewest]


def next_gift(waiting, desks):
    """The oldest dialog that is first in its queue and finds somebody, and whom; None: nothing can be given."""
    by_age = sorted(waiting, key=lambda dialog: (dialog.created_at, dialog.id))
    oldest = {}
    for dialog in by_age:
        oldest.setdefault(dialog.queue, dialog)
    for dialog in by_age:
        if oldest[dialog.queue] is dialog and (tied := may_have(dialog, desks)):
            return dialog, tied
    return None


def replay(waiting, people, pairs):
    """Follow a plan gift by gift: each is the next one, to somebody who may have it. Returns what is left and the desks."""
    left, desks = list(waiting), [Desk.of(person) for person in people]
    for dialog_id, operator_id in pairs:
        expected = next_gift(left, desks)
        assert expected is not None, "given to somebody who may not have it"
        dialog, tied = expected
        assert dialog.id == dialog_id, "the oldest dialog of a queue that finds somebody comes next"
        assert operator_id in {desk.person.id for desk in tied}
        desk = next(desk for desk in tied if desk.person.id == operator_id)
        desk.open += 1
        desk.capacity[dialog.queue[2]] -= 1
        left.remove(dialog)
    return left, desks


def copies(people):
    return [replace(person, capacity=dict(person.capacity)) for person in people]


# ----- random cases -----

places = st.tuples(st.sampled_from([None, SUPPORT, SALES]), st.sampled_from([RUSSIAN, ENGLISH]), st.booleans())
moments = st.integers(0, 6).map(after)
capacities = st.sampled_from([-1, 0, 1, 2, 3, UNBOUNDED])  # below zero: operators took more by hand than the limit
everybody = st.builds(
    lambda departments, languages, opened, online, offline, acted_at: person(
        0, departments=departments, languages=languages, open=opened, online=online, offline=offline, acted_at=acted_at
    ),
    st.sets(st.sampled_from([SUPPORT, SALES])),
    st.sets(st.sampled_from([RUSSIAN, ENGLISH])),
    st.integers(0, 3),
    capacities,
    capacities,
    st.none() | moments,
)
people_there = st.lists(everybody, max_size=5).map(lambda people: [replace(one, id=n) for n, one in enumerate(people, start=1)])
memories = st.dictionaries(st.integers(1, 6), moments, max_size=3)  # 6: somebody who is not there now
queues = st.lists(st.tuples(places, st.integers(0, 8), memories), max_size=14).map(
    lambda rows: [Waiting(number, place, after(at), memory) for number, (place, at, memory) in enumerate(rows, start=100)]
)


@given(queues, people_there, st.randoms(use_true_random=False))
def test_every_gift_is_the_next_one_and_nothing_that_can_be_given_is_left(waiting, people, dice):
    pairs = plan(waiting, copies(people), choose=dice.choice)
    left, desks = replay(waiting, people, pairs)
    assert next_gift(left, desks) is None


@given(queues, people_there, st.randoms(use_true_random=False))
def test_no_limit_is_passed_nobody_mismatched_and_nothing_given_twice(waiting, people, dice):
    """Q5 and Q7 counted from the pairs alone, without the reference's order."""
    pairs = plan(waiting, copies(people), choose=dice.choice)
    dialogs, persons = {dialog.id: dialog for dialog in waiting}, {one.id: one for one in people}
    assert len({dialog_id for dialog_id, _ in pairs}) == len(pairs)
    for one in people:
        for kind in (False, True):
            given_to = [dialog_id for dialog_id, operator_id in pairs if operator_id == one.id]
            count = sum(dialogs[dialog_id].queue[2] == kind for dialog_id in given_to)
            assert count <= max(one.capacity[kind], 0)
    for dialog_id, operator_id in pairs:
        department, language, _ = dialogs[dialog_id].queue
        assert language in persons[operator_id].languages
        assert department is None or department in persons[operator_id].departments


@given(queues, people_there)
def test_the_people_know_afterwards_what_they_have(waiting, people):
    working = copies(people)
    pairs = plan(waiting, working, choose=first)
    _, desks = replay(waiting, people, pairs)
    assert [(one.open, one.capacity) for one in working] == [(desk.open, desk.capacity) for desk in desks]


@given(queues, people_there, st.integers(1, 4))
def test_a_plan_of_long_queues_oldest_dialogs_is_the_beginning_of_the_whole_plan(waiting, people, known):
    """`cut`: what the rest of a queue would change is never guessed, and something is given when anything can be."""
    whole = plan(waiting, copies(people), choose=first)
    told, counts = [], {}
    for dialog in sorted(waiting, key=lambda dialog: (dialog.created_at, dialog.id)):
        counts[dialog.queue] = counts.get(dialog.queue, 0) + 1
        if counts[dialog.queue] <= known:
            told.append(dialog)
    cut = frozenset(place for place, count in counts.items() if count >= known)
    pairs = plan(told, copies(people), cut=cut, choose=first)
    assert pairs == whole[: len(pairs)]
    assert bool(pairs) == bool(whole)


@given(queues, people_there, st.integers(0, 5))
def test_at_most_so_many_are_given_and_they_are_the_first(waiting, people, most):
    assert plan(waiting, copies(people), most=most, choose=first) == plan(waiting, copies(people), choose=first)[:most]


@given(queues, people_there, st.randoms(use_true_random=False))
def test_the_order_of_telling_does_not_matter(waiting, people, dice):
    shuffled = list(waiting)
    dice.shuffle(shuffled)
    assert plan(shuffled, copies(people), choose=first) == plan(waiting, copies(people), choose=first)


# ----- told by hand -----


def test_the_queue_whose_first_dialog_is_oldest_comes_next():
    offline = (SUPPORT, RUSSIAN, True)
    waiting = [waits(3), waits(1), waits(2, offline), waits(4, offline)]
    assert [dialog_id for dialog_id, _ in plan(waiting, [person(7)])] == [1, 2, 3, 4]


def test_of_one_moment_the_one_written_first_comes_first():
    assert [dialog_id for dialog_id, _ in plan([waits(9, at=0), waits(8, at=0)], [person(7)])] == [8, 9]


def test_a_queue_whose_first_dialog_finds_nobody_is_passed_over_with_all_that_is_behind_it():
    russian, english = (SUPPORT, RUSSIAN, False), (SUPPORT, ENGLISH, False)
    waiting = [waits(1, russian, passed_over={7: after(0)}), waits(2, russian), waits(3, english)]
    assert plan(waiting, [person(7, languages=(RUSSIAN, ENGLISH))]) == [(3, 7)]


def test_whoever_has_the_fewest_of_both_kinds_gets_it_and_then_counts_with_it():
    people = [person(7, open=2), person(8, open=0)]
    assert plan([waits(n) for n in range(1, 4)], people, choose=first) == [(1, 8), (2, 8), (3, 7)]


def test_a_limit_of_one_kind_leaves_the_other_kind_alone():
    waiting = [waits(1), waits(2, (SUPPORT, RUSSIAN, True)), waits(3), waits(4, (SUPPORT, RUSSIAN, True))]
    assert plan(waiting, [person(7, online=1, offline=2)]) == [(1, 7), (2, 7), (4, 7)]
    assert plan(waiting, [person(7, online=-2, offline=0)]) == []


def test_a_dialog_without_a_department_is_matched_by_language_alone():
    people = [person(7, departments=()), person(8, languages=(ENGLISH,))]
    assert plan([waits(1, (None, RUSSIAN, False)), waits(2)], people) == [(1, 7)]


def test_ties_reach_everybody():
    given_to = [plan([waits(1)], [person(n) for n in (7, 8, 9)] + [person(6, open=1)])[0][1] for _ in range(300)]
    assert {7, 8, 9} == set(given_to)
    assert min(given_to.count(n) for n in (7, 8, 9)) > 50, "each by chance alike: a third of them"


def test_only_the_tied_are_chosen_from():
    asked = []

    def choose(people):
        asked.append(sorted(one.id for one in people))
        return random.choice(people)

    plan(
        [waits(1)], [person(7), person(8), person(9, open=1), person(10, languages=(ENGLISH,)), person(11, online=0)], choose=choose
    )
    assert asked == [[7, 8]]


def test_nobody_and_nothing():
    assert plan([], [person(7)]) == plan([waits(1)], []) == []


class TestMemory:
    """Q8: not to the same person again while another qualifies, nor before that person's next own action if none does."""

    def test_another_gets_it_however_much_they_have(self):
        people = [person(7, acted_at=after(99)), person(8, open=50)]
        assert plan([waits(1, passed_over={7: after(0)})], people) == [(1, 8)]

    @pytest.mark.parametrize(("acted_at", "pairs"), [(None, []), (4, []), (5, []), (6, [(1, 7)])])
    def test_alone_they_get_it_after_their_next_own_action(self, acted_at, pairs):
        alone = person(7, acted_at=acted_at and after(acted_at))
        assert plan([waits(1, passed_over={7: after(5)})], [alone]) == pairs

    @pytest.mark.parametrize("other", [person(8, online=0), person(8, languages=(ENGLISH,)), person(8, departments=(SALES,))])
    def test_somebody_who_cannot_have_it_does_not_qualify(self, other):
        assert plan([waits(1, passed_over={7: after(5)})], [person(7, acted_at=after(6)), other]) == [(1, 7)]

    def test_of_several_silent_ones_each_is_judged_by_their_own_moment(self):
        dialog = waits(1, passed_over={7: after(5), 8: after(9)})
        people = [person(7, open=3, acted_at=after(7)), person(8, acted_at=after(7))]
        assert plan([dialog], people) == [(1, 7)]

    def test_it_is_of_one_dialog_only(self):
        assert plan([waits(1, passed_over={7: after(0)}), waits(2)], [person(7), person(8, online=1)], choose=first) == [
            (1, 8),
            (2, 7),
        ]

    def test_a_silent_one_who_acted_waits_behind_another_until_that_one_is_full(self):
        waiting = [waits(n, passed_over={7: after(0)}) for n in (1, 2)]
        assert plan(waiting, [person(7, acted_at=after(1)), person(8, open=9, online=1)]) == [(1, 8), (2, 7)]
