"""Moments come from the database in UTC, to the microsecond, whichever way they are read."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from operators.models import Account
from webim_offline.foundation.database.prepared import prepared

MOMENTS = [
    datetime(2026, 3, 29, 1, 30, 0, 1, UTC),
    datetime(1999, 12, 31, 23, 59, 59, 999_999, UTC),
    datetime(2400, 2, 29, tzinfo=UTC),
]


@prepared
def created(account_id: int):
    return Account.objects.filter(pk=account_id).values_list("created_at", flat=True)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_moment_comes_back_as_it_was(account, moment):
    accounts = Account.objects.filter(pk=account.pk)
    accounts.update(created_at=moment)
    by_orm = accounts.get().created_at
    (in_steps,) = accounts.values_list("created_at", flat=True).iterator(chunk_size=1)
    (by_message,) = created(account.pk)
    for read in (by_orm, in_steps, by_message):
        assert read == moment
        assert read.tzinfo is UTC
        assert read.utcoffset() == timedelta(0)


@pytest.mark.django_db(transaction=True)
def test_outside_of_transactions_rows_are_read_in_steps(account, other_account):
    assert len(list(Account.objects.order_by("pk").iterator(chunk_size=1))) == 2
    assert connection.get_autocommit()
