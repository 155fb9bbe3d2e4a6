"""Statements that travel together."""

import threading

import pytest
from django.db import connection, transaction

from operators.models import Account
from tests import people
from webim_offline.statements import run_together


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
