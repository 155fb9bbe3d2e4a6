"""Fixtures for all tests. Set DATABASE_URL (and REDIS_URL) to run the same suite on PostgreSQL and Redis."""

import pytest
from django.core.cache import cache
from whitenoise.middleware import WhiteNoiseMiddleware

from operators.known_accounts import forget_known_accounts
from tests import people
from webim_offline.foundation import rate_limits
from webim_offline.foundation.logs import security


@pytest.fixture(autouse=True, scope="session")
def static_files_found_once():
    """Every test's client builds the middleware anew; the project's static files are looked for by the first only."""
    found = {}
    find = WhiteNoiseMiddleware.add_files_from_finders

    def find_once(self):
        place = (self.static_root, self.static_prefix, self.max_age)
        if place not in found:
            find(self)
            found[place] = self.files
        self.files = dict(found[place])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WhiteNoiseMiddleware, "add_files_from_finders", find_once)
        yield


# made when the tables are, the same for every test
MADE_WITH_THE_TABLES = {"django_content_type", "auth_permission", "django_migrations"}


@pytest.fixture(autouse=True, scope="session")
def tables_emptied_quickly():
    """After a test that commits, only rows are deleted.

    Django empties all tables by TRUNCATE, which on PostgreSQL makes new files for each, and then makes content types and
    permissions again: together a fifth of the suite's time.
    """
    found = []

    def flush(style, connection, **_):
        found.extend([] if found else connection.introspection.django_table_names(only_existing=True, include_views=False))
        tables = [table for table in found if table not in MADE_WITH_THE_TABLES]
        if connection.vendor == "sqlite":
            return connection.ops.sql_flush(style, tables)
        deletes = [f"DELETE FROM {connection.ops.quote_name(table)}" for table in tables]
        # foreign keys and triggers have nothing to say about it
        return ["SET session_replication_role = replica", *deletes, "SET session_replication_role = DEFAULT"]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("django.core.management.commands.flush.sql_flush", flush)
        patch.setattr("django.core.management.commands.flush.emit_post_migrate_signal", lambda *_: None)
        yield


@pytest.fixture(autouse=True)
def nothing_remembered():
    """Nobody has asked for anything yet, nor is anything left out of the security log: ids, addresses and slugs come again."""
    cache.clear()  # in a Redis the rate limits as well
    rate_limits.in_memory.clear()
    rate_limits.allowances.clear()
    security.suppressor.clear()
    forget_known_accounts()


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
