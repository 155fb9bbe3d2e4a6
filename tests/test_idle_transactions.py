"""A process that stands still inside a transaction blocks its account for a bounded time, and goes on afterwards."""

import os
import signal
import subprocess
import sys
import time

import pytest
from django.conf import settings
from django.db import OperationalError, connection, transaction

from operators.actions.settings import change_settings
from operators.models import Account
from tests import people
from webim_offline.foundation.database.transactions import atomic

pytestmark = [
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no such limit"),
    pytest.mark.django_db(transaction=True),
]

HOLDS_AN_ACCOUNT = """
import sys, time
import webim_offline.startup
from django.conf import settings
settings.IDLE_TRANSACTION_TIMEOUT = 1.0
from operators.locks import lock_account
from operators.models import Account
from webim_offline.foundation.database.transactions import atomic
runs = []

@atomic
def rename():
    account = lock_account(int(sys.argv[1]))
    runs.append(1)
    print("holds", flush=True)
    time.sleep(0.5)  # is stopped here the first time
    account.name = f"run {len(runs)}"
    account.save(update_fields=["name"])

rename()
print("done", flush=True)
"""


@pytest.fixture
def short(settings):
    """A connection of this process that may stand still for a quarter of a second."""
    settings.IDLE_TRANSACTION_TIMEOUT = 0.25
    connection.close()
    yield
    connection.close()


def test_a_stopped_process_holds_its_account_for_so_long_and_then_does_its_work():
    account = people.make_account()
    url = os.environ["DATABASE_URL"].rpartition("/")[0] + f"/{connection.settings_dict['NAME']}"
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS_AN_ACCOUNT, str(account.pk)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=settings.BASE_DIR,
        env=os.environ | {"DATABASE_URL": url},
    )
    try:
        assert process.stdout.readline() == "holds\n"
        process.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        change_settings(account, {"visit_lease": 60}, actor=None)
        assert time.monotonic() - began < 10
        assert not Account.objects.filter(name__startswith="run").exists(), "nothing of a broken transaction is kept"
        process.send_signal(signal.SIGCONT)
        assert process.communicate(timeout=30)[0] == "holds\ndone\n"
    finally:
        process.kill()
        process.wait()
    account.refresh_from_db()
    assert (account.name, account.visit_lease) == ("run 2", 60)


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("stands_still", ["before the last statement", "before the commit"])
def test_an_action_is_run_again(stands_still):
    runs = []

    @atomic
    def rename():
        runs.append(1)
        account = Account.objects.select_for_update().get()
        if stands_still == "before the last statement" and len(runs) == 1:
            time.sleep(0.6)
        account.name = f"run {len(runs)}"
        account.save(update_fields=["name"])
        if stands_still == "before the commit" and len(runs) == 1:
            time.sleep(0.6)

    people.make_account()
    rename()
    assert len(runs) == 2
    assert Account.objects.get().name == "run 2"


@pytest.mark.usefixtures("short")
def test_elsewhere_it_is_a_lost_database():
    def stand_still():
        with transaction.atomic():
            Account.objects.exists()
            time.sleep(0.6)
            Account.objects.exists()

    with pytest.raises(OperationalError, match="idle-in-transaction"):
        stand_still()
    assert not Account.objects.exists(), "the next statement has a connection again"


def test_every_connection_has_a_minute():
    connection.close()
    with connection.cursor() as cursor:
        cursor.execute("SHOW idle_in_transaction_session_timeout")
        assert cursor.fetchone()[0] == "1min"
