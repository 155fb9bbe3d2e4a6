"""One line a security event, with ids only."""

import logging

import pytest

from webim_offline.security_log import Event, Outcome, record


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
