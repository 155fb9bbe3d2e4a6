"""Whether a kept connection is still there is found out without asking the server (PostgreSQL)."""

import time

import pytest
from django.db import DataError, connection, transaction
from django.test.utils import CaptureQueriesContext

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no connections that could be cut"),
]


def backend() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]


@pytest.fixture
def cut():
    """Ends a connection from the server's side, as a restart or a pooler does."""
    other = connection.copy()

    def end(number):
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [number])
        time.sleep(0.3)

    yield end
    other.close()


def test_one_that_is_there_is_asked_nothing():
    backend()
    with CaptureQueriesContext(connection) as captured:
        assert connection.is_usable()
    assert len(captured) == 0


def test_one_that_the_server_has_closed_is_replaced_at_the_next_request(cut):
    before = backend()
    cut(before)
    assert not connection.is_usable()
    connection.health_check_enabled, connection.health_check_done = True, False  # a request begins
    assert backend() != before


def test_what_the_server_says_by_itself_does_not_make_it_unusable():
    backend()
    with connection.cursor() as cursor:
        cursor.execute("LISTEN something")
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("NOTIFY something")
    other.close()
    time.sleep(0.3)
    before = backend()
    assert connection.is_usable()
    assert backend() == before


def test_one_in_a_transaction_that_failed_is_not():
    def fail():
        with transaction.atomic(), connection.cursor() as cursor:
            try:
                cursor.execute("SELECT 1 / 0")
            finally:
                assert not connection.is_usable()

    with pytest.raises(DataError):
        fail()
    assert connection.is_usable()
