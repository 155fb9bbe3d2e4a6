"""Rate limits (X3): so many a period and client, whatever comes at once."""

from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest

from webim_offline import rate_limits
from webim_offline.rate_limits import forget, give_back, spend

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
        memory.spend(f"client-{number}", "", 1, 4)
    assert len(memory._counts) == 10
