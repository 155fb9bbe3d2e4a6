"""Fixtures for all tests. Set DATABASE_URL (and REDIS_URL) to run the same suite on PostgreSQL and Redis."""

import pytest

from tests import people


@pytest.fixture
def account(db):
    """North Tea: English and Russian, departments support and sales."""
    return people.make_account("north-tea")


@pytest.fixture
def other_account(db):
    """South Coffee: somebody else's company."""
    return people.make_account("south-coffee", name="South Coffee")


@pytest.fixture
def anna(account):
    """An operator of support, not online."""
    return people.make_operator(account, "anna")


@pytest.fixture
def boris(account):
    """An operator of support, not online."""
    return people.make_operator(account, "boris")


@pytest.fixture
def vera(account):
    """The supervisor, without a department."""
    return people.make_operator(account, "vera", departments=(), role="supervisor")


@pytest.fixture
def process(db):
    """A live process with a fresh lease."""
    return people.make_process()
