"""A database that is away is said in a line; what else fails keeps its traceback."""

import logging
import sqlite3

import psycopg
import pytest
from django.db import IntegrityError, InterfaceError, OperationalError

from webim_offline.foundation.logs.outages import InALine, is_away

REFUSED = "connection failed: Connection refused\n\tIs the server running on that host?"


def raised(error: Exception, cause: Exception | None) -> Exception:
    error.__cause__ = cause
    return error


AWAY = [
    raised(OperationalError(REFUSED), psycopg.OperationalError(REFUSED)),
    raised(OperationalError("shutting down"), psycopg.errors.lookup("57P01")()),
    raised(OperationalError("crashed"), psycopg.errors.lookup("57P02")()),
    raised(OperationalError("starting up"), psycopg.errors.lookup("57P03")()),
    raised(InterfaceError("connection already closed"), psycopg.InterfaceError()),
]
ELSE = [
    raised(OperationalError("deadlock detected"), psycopg.errors.lookup("40P01")()),
    raised(OperationalError("disk full"), psycopg.errors.lookup("53100")()),
    raised(OperationalError("no such table"), sqlite3.OperationalError()),
    raised(IntegrityError("twice"), psycopg.errors.lookup("23505")()),
    raised(ValueError("anything"), psycopg.OperationalError(REFUSED)),
    OperationalError("nobody knows why"),
]


def written(error: Exception) -> str:
    info = (type(error), error, None)
    record = logging.LogRecord("test", logging.ERROR, __file__, 1, "Task %s failed", ("sweep",), info)
    assert InALine().filter(record)
    return logging.Formatter().format(record)


@pytest.mark.parametrize("error", AWAY, ids=str)
def test_a_database_that_is_away_is_said_in_a_line(error):
    assert is_away(error)
    assert written(error) == f"Task sweep failed: {str(error).partition(chr(10))[0]}"


@pytest.mark.parametrize("error", ELSE, ids=str)
def test_what_else_fails_keeps_its_traceback(error):
    assert not is_away(error)
    assert type(error).__name__ in written(error)
    assert "\n" in written(error)


def test_what_the_message_says_already_is_not_repeated():
    record = logging.LogRecord("test", logging.ERROR, __file__, 1, f"beat failed: {REFUSED}", (), (None, AWAY[0], None))
    InALine().filter(record)
    assert logging.Formatter().format(record) == "beat failed: " + " ".join(REFUSED.split())


def test_a_record_without_an_error_is_left_alone():
    record = logging.LogRecord("test", logging.INFO, __file__, 1, "%s letters", (3,), None)
    assert InALine().filter(record)
    assert record.getMessage() == "3 letters"
