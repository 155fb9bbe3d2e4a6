"""Statements that travel together."""

import threading

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from operators.models import Account
from tests import people
from webim_offline.foundation.database.statements import run_together


@pytest.mark.django_db
def test_each_gives_its_own_rows(account):
    rename = ("UPDATE operators_account SET name = %s WHERE id = %s", ["100 % tea", account.pk])
    read = ("SELECT name FROM operators_account WHERE id = %s", [account.pk])
    assert run_together(read, rename, read) == [[(account.name,)], [], [("100 % tea",)]]
    assert run_together() == []


@pytest.mark.django_db
def test_one_query_on_postgresql(account, django_assert_num_queries):
    with django_assert_num_queries(1 if connection.vendor == "postgresql" else 3):
        run_together(("SELECT 1", []), ("SELECT %s", [2]), ("SELECT 3", []))


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer")
def test_what_follows_a_lock_sees_what_the_lock_waited_for():
    account = people.make_account()
    is_locked, seen = threading.Event(), []
    lock = ("SELECT pg_advisory_xact_lock(%s)", [account.pk])

    def waits():
        try:
            is_locked.wait(10)
            with transaction.atomic():
                seen.append(run_together(lock, ("SELECT name FROM operators_account WHERE id = %s", [account.pk]))[1])
        finally:
            connection.close()

    waiting = threading.Thread(target=waits)
    waiting.start()
    with transaction.atomic():
        run_together(lock)
        is_locked.set()
        with connection.cursor() as cursor:
            for _ in range(1000):
                cursor.execute("SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
                if cursor.fetchone()[0]:
                    break
                waiting.join(0.01)
            else:
                pytest.fail("the other never came to wait")
        Account.objects.filter(pk=account.pk).update(name="Renamed meanwhile")
    waiting.join(10)
    assert seen == [[("Renamed meanwhile",)]]


@pytest.mark.django_db
def test_an_error_has_its_django_name_and_what_follows_it_is_not_done(account):
    taken = ("INSERT INTO operators_language (account_id, code) SELECT account_id, code FROM operators_language", [])
    rename = ("UPDATE operators_account SET name = 'Never'", [])
    for _ in range(8):  # planned once a connection by then, on PostgreSQL
        with pytest.raises(IntegrityError), transaction.atomic():
            run_together(("SELECT %s", [1]), taken, rename)
        assert run_together(("SELECT name FROM operators_account WHERE id = %s", [account.pk])) == [[(account.name,)]]


@pytest.mark.django_db
def test_the_log_of_queries_shows_them(account):
    with CaptureQueriesContext(connection) as log:
        run_together(("SELECT 1 AS one", []), ("SELECT 2 AS two", []))
    said = " ".join(query["sql"] for query in log)
    assert "SELECT 1 AS one" in said
    assert "SELECT 2 AS two" in said


@pytest.mark.django_db
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite keeps its own plans")
def test_what_comes_again_and_again_is_planned_once():
    for number in range(1, 20):
        run_together(("SELECT %s + 1 AS planned_once", [number]))
    ((count,),) = run_together(("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%%planned_once%%'", []))[0]
    assert count == 1
