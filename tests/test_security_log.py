"""One line a security event, with ids only."""

import logging
import time

import pytest

from webim_offline.foundation.logs import security
from webim_offline.foundation.logs.security import MOST_LINES, MOST_NETWORKS, Event, Outcome, record


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO, logger="security")
    return lambda: [(line.levelname, line.getMessage()) for line in caplog.records if line.name == "security"]


def test_a_line_holds_what_is_known(lines):
    record(Event.PASSWORD, Outcome.DONE, operator_id=7, account_id=2, actor_id=3, network="192.0.2.1")
    assert lines() == [("INFO", "event=password outcome=done operator=7 account=2 actor=3 network=192.0.2.1")]


def test_what_is_not_known_is_left_out_and_refusals_are_warnings(lines):
    record(Event.TICKET, Outcome.REFUSED, reason="for another purpose")
    assert lines() == [("WARNING", "event=ticket outcome=refused reason=for_another_purpose")]


class TestFlood:
    @pytest.fixture
    def clock(self, monkeypatch):
        """Moves the suppressor's clock, in seconds."""
        moment = [1000.0]
        monkeypatch.setattr(security.time, "monotonic", lambda: moment[0])

        def move(seconds):
            moment[0] += seconds

        return move

    @pytest.fixture
    def tell(self, monkeypatch):
        """What a timer would call when the minute is over; no timer runs."""
        monkeypatch.setattr(security.Suppressor, "_wake_in", lambda *arguments: None)
        return security.suppressor.tell

    def refuse(self, times=1, network="192.0.2.1", event=Event.DENIAL):
        for _ in range(times):
            record(event, Outcome.REFUSED, network=network, reason="foreign site")

    def test_of_a_flood_some_lines_are_written_and_then_how_many_were_not(self, lines, clock, tell):
        self.refuse(200)
        assert len(lines()) == MOST_LINES
        clock(61)
        tell()
        left_out = 200 - MOST_LINES
        assert lines()[MOST_LINES:] == [("WARNING", f"event=denial outcome=refused network=192.0.2.1 left_out={left_out}")]
        self.refuse()
        assert lines()[MOST_LINES + 1 :] == [("WARNING", "event=denial outcome=refused network=192.0.2.1 reason=foreign_site")]

    def test_the_next_line_tells_it_too(self, lines, clock, tell):
        self.refuse(MOST_LINES + 1)
        clock(61)
        self.refuse(network="198.51.100.7")
        assert [line for _, line in lines()[MOST_LINES:]] == [
            "event=denial outcome=refused network=192.0.2.1 left_out=1",
            "event=denial outcome=refused network=198.51.100.7 reason=foreign_site",
        ]

    def test_a_flood_hides_neither_other_networks_nor_other_events(self, lines, clock, tell):
        self.refuse(100)
        self.refuse(network="198.51.100.7")
        self.refuse(event=Event.SIGN_IN)
        assert len(lines()) == MOST_LINES + 2

    def test_what_was_done_is_always_written(self, lines, clock, tell):
        for number in range(100):
            record(Event.PASSWORD, Outcome.DONE, operator_id=number, network="192.0.2.1")
        assert len(lines()) == 100

    def test_many_networks_are_a_flood_too(self, lines, clock, tell):
        for number in range(3 * MOST_NETWORKS):
            self.refuse(network=f"2001:db8:0:{number:x}::/64")
        assert len(lines()) == MOST_NETWORKS + MOST_LINES

    def test_a_timer_tells_it_when_nothing_else_happens(self, lines, monkeypatch):
        monkeypatch.setattr(security, "PERIOD", 0.5)
        self.refuse(200)
        until = time.monotonic() + 10
        while not any("left_out" in line for _, line in lines()):
            assert time.monotonic() < until
            time.sleep(0.05)
