"""Refusals in the security log: bounded lines, whoever sends however many, and what was left out is said."""

import logging

import pytest

from webim_offline.refusal_log import LINES, LINES_OF_ONE, MOST_NETWORKS, PERIOD, RefusalLog
from webim_offline.security_log import Event


class Clock:
    seconds = 0.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO, logger="security")
    return lambda: [record.getMessage() for record in caplog.records if record.name == "security"]


def test_one_network_gets_a_few_lines_a_minute_and_what_was_left_out_is_said(lines):
    clock = Clock()
    log = RefusalLog(clock)
    for _ in range(1000):
        log.refused(Event.TICKET, network="203.0.113.9", reason="forged")
    log.limited(Event.LIMIT, network="192.0.2.1", reason="one more")
    assert lines() == ["event=ticket outcome=refused network=203.0.113.9 reason=forged"] * LINES_OF_ONE + [
        "event=limit outcome=limited network=192.0.2.1 reason=one_more"
    ]
    clock.seconds += PERIOD
    log.refused(Event.TICKET, network="203.0.113.9", reason="forged", operator_id=7)
    assert lines()[-2:] == [
        f"event=limit outcome=limited network=203.0.113.9 reason=left_out_{1000 - LINES_OF_ONE}_lines",
        "event=ticket outcome=refused operator=7 network=203.0.113.9 reason=forged",
    ]


def test_any_number_of_networks_gets_a_bounded_number_of_lines_and_a_bounded_memory(lines):
    clock = Clock()
    log = RefusalLog(clock)
    for number in range(5000):
        log.refused(Event.TICKET, network=f"network-{number}", reason="forged")
    assert len(lines()) == LINES
    assert len(log.seen) <= MOST_NETWORKS + 1
    assert len(log.left_out) <= MOST_NETWORKS + 1
    clock.seconds += PERIOD
    log.refused(Event.TICKET, network="one more", reason="forged")
    said = lines()[LINES:]
    assert len(said) == 22
    left_out = sum(int(line.split("left_out_")[1].split("_")[0]) for line in said[:-1])
    assert left_out == 5000 - LINES
