"""A deadlock's victim is run again; everything else goes up."""

import contextlib
import threading

import pytest
from django.db import OperationalError, connection, transaction

from operators.models import Account
from tests import people
from webim_offline.foundation.database.transactions import atomic


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer")
@pytest.mark.django_db(transaction=True)
def test_both_sides_of_a_deadlock_get_done():
    first, second = people.make_account(), people.make_account()
    both_hold_one = threading.Barrier(2, timeout=5)
    runs, errors = [], []

    @atomic
    def rename(one, other):
        runs.append(one.pk)
        Account.objects.filter(pk=one.pk).update(name="renamed")
        if len(runs) <= 2:
            both_hold_one.wait()
        Account.objects.filter(pk=other.pk).update(name="renamed")

    def run(*pair):
        try:
            rename(*pair)
        except Exception as error:  # noqa: BLE001 - the test looks at it
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=pair) for pair in ((first, second), (second, first))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert errors == []
    assert len(runs) == 3
    assert set(Account.objects.values_list("name", flat=True)) == {"renamed"}


@pytest.mark.django_db
@pytest.mark.parametrize("around", [transaction.atomic, contextlib.nullcontext])
def test_other_errors_are_not_tried_again(around):
    runs = []

    @atomic
    def fail():
        runs.append(1)
        raise OperationalError("the disk is full")

    with pytest.raises(OperationalError, match="disk"), around():
        fail()
    assert len(runs) == 1
