"""Rate limits (X3): so many a period and client, whatever comes at once."""

from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest

from webim_offline.foundation import rate_limits
from webim_offline.foundation.rate_limits import forget, give_back, rate, spend, spend_all

names = count()


@pytest.fixture
def client():
    """Somebody who has asked for nothing yet."""
    return f"client-{next(names)}"


@pytest.fixture
def at(monkeypatch, settings):
    """Sets the clock, in seconds after a whole minute; four a minute are allowed."""
    settings.RATE_LIMITS = {"tea": "4/min"}

    def set_clock(seconds):
        monkeypatch.setattr(rate_limits.time, "time", lambda: 60_000_000.0 + seconds)

    set_clock(0)
    return set_clock


def test_so_many_and_no_more(at, client):
    assert [spend("tea", client) for _ in range(6)] == [0, 0, 0, 0, 60, 60]
    assert spend("tea", f"{client}-other") == 0


def test_it_is_told_when_to_come_again(at, client):
    at(50)
    waits = [spend("tea", client) for _ in range(5)]
    assert waits == [0, 0, 0, 0, 25]
    at(50 + 24)
    assert spend("tea", client) == 1
    at(50 + 25)
    assert spend("tea", client) == 0


def test_the_turn_of_a_minute_gives_no_second_helping(at, client):
    at(59)
    assert [spend("tea", client) for _ in range(4)] == [0] * 4
    at(61)
    assert spend("tea", client) > 0
    at(121)
    assert [spend("tea", client) for _ in range(4)] == [0] * 4


def test_who_was_refused_does_not_wait_longer_for_it(at, client):
    for _ in range(50):
        spend("tea", client)
    at(76)
    assert spend("tea", client) == 0


def test_many_at_once_are_not_one(client, settings):
    settings.RATE_LIMITS = {"tea": "20/day"}
    with ThreadPoolExecutor(8) as several:
        waits = list(several.map(lambda _: spend("tea", client), range(100)))
    assert waits.count(0) == 20


def test_what_is_given_back_does_not_count(at, client):
    for _ in range(4):
        spend("tea", client)
    give_back("tea", client)
    assert [spend("tea", client) for _ in range(2)] == [0, 60]


def test_it_can_be_given_back_after_the_turn_of_a_minute(at, client):
    at(59)
    for _ in range(4):
        spend("tea", client)
    at(60)
    give_back("tea", client)
    assert [spend("tea", client) > 0 for _ in range(2)] == [False, True]


def test_more_is_never_given_back_than_was_spent(at, client):
    for _ in range(9):
        give_back("tea", client)
    assert [spend("tea", client) > 0 for _ in range(5)] == [False] * 4 + [True]


def test_what_is_forgotten_does_not_count(at, client):
    at(59)
    for _ in range(3):
        spend("tea", client)
    at(60)
    spend("tea", client)
    forget("tea", client)
    assert [spend("tea", client) > 0 for _ in range(5)] == [False] * 4 + [True]


def test_a_process_does_not_remember_for_ever(at, monkeypatch):
    monkeypatch.setattr(rate_limits, "MOST_KEPT", 10)
    memory = rate_limits.InMemory()
    for number in range(100):
        memory.spend([rate_limits.Counter.of("tea", f"client-{number}", 60.0)], [1])
    assert len(memory._counts) == 10


class TestSeveralAtOnce:
    @pytest.fixture(autouse=True)
    def limits(self, at, settings):
        settings.RATE_LIMITS = {"tea": "4/min", "water": "6/min"}

    def test_a_request_counts_against_each(self, client):
        both = ("tea", client), ("water", client)
        assert [spend_all(*both) for _ in range(4)] == [(0, "")] * 4
        assert [spend("water", client) for _ in range(3)] == [0, 0, 60]

    def test_the_first_that_is_reached_is_named_and_none_is_counted(self, client):
        both = ("water", client), ("tea", client)
        answers = [spend_all(*both) for _ in range(9)]
        assert answers == [(0, "")] * 4 + [(60, "tea")] * 5
        assert [spend("water", client) for _ in range(3)] == [0, 0, 60]

    def test_many_at_once_are_not_one(self, client):
        both = ("water", client), ("tea", client)
        with ThreadPoolExecutor(8) as several:
            answers = list(several.map(lambda _: spend_all(*both), range(50)))
        assert answers.count((0, "")) == 4
        assert spend("water", client) == 0

    def test_of_the_same_limit_each_client_is_counted(self, client):
        assert spend_all(("tea", client), ("tea", f"{client}-network")) == (0, "")
        assert [spend("tea", client) for _ in range(4)] == [0, 0, 0, 60]

    def test_it_is_one_question_to_redis(self, client, monkeypatch):
        asked = []
        monkeypatch.setattr(rate_limits.redis_gate, "ask", lambda question: asked.append(question) or [0, 1, 0, 1, 0])
        spend_all(("tea", client), ("water", client))
        assert len(asked) == 1


class TestCountedLate:
    @pytest.fixture(autouse=True)
    def limits(self, at, settings):
        settings.RATE_LIMITS = {"sea": "300/min", "tea": "4/min"}
        self.at = at

    @pytest.fixture
    def asked(self, monkeypatch):
        """The requests of each question so far."""
        questions = []
        spend_now = rate_limits._spend
        monkeypatch.setattr(rate_limits, "_spend", lambda counters, more: questions.append(more) or spend_now(counters, more))
        return questions

    def allowed(self, client, of=400, name="sea"):
        return sum(not spend_all((name, client), late=True)[0] for _ in range(of))

    def test_the_first_of_a_large_limit_ask_nobody_and_are_counted_with_a_later_one(self, client, asked):
        assert self.allowed(client, 3) == 3
        assert asked == []
        assert self.allowed(client, 1) == 1
        assert asked == [[4]]

    def test_a_small_limit_is_asked_each_time(self, client, asked):
        assert self.allowed(client, 3, "tea") == 3
        assert asked == [[1]] * 3
        assert spend_all(("sea", client), ("tea", client), late=True) == (0, "")
        assert asked[3:] == [[1, 1]]

    def test_one_process_lets_exactly_so_many_through(self, client):
        assert self.allowed(client) == 300
        wait, name = spend_all(("sea", client), late=True)
        assert wait > 0
        assert name == "sea"

    def test_each_further_process_lets_a_hundredth_more_through(self, client, monkeypatch):
        assert self.allowed(client) == 300
        monkeypatch.setattr(rate_limits, "allowances", rate_limits.Allowances())
        assert self.allowed(client) == 3

    def test_the_turn_of_a_minute_gives_nothing_more(self, client):
        self.at(59)
        self.allowed(client)
        self.at(60)
        assert self.allowed(client) == 0

    def test_several_at_once_are_all_counted(self, client):
        with ThreadPoolExecutor(8) as several:
            answers = list(several.map(lambda _: spend_all(("sea", client), late=True), range(600)))
        assert answers.count((0, "")) == 300

    def test_a_process_does_not_remember_for_ever(self, monkeypatch):
        monkeypatch.setattr(rate_limits, "MOST_ALLOWANCES", 10)
        for number in range(100):
            self.allowed(f"client-{number}", 5)
        assert len(rate_limits.allowances._known) == 10


def test_every_default_is_a_rate(settings):
    assert all(rate(name) for name in settings.RATE_LIMITS)
