"""A mail worker that is killed between the server's acceptance and its own note of it (M3)."""

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from django.db import connection

from dialogs.models import Delivery, DeliveryStatus
from notifications.models import EmailStatus, OutgoingEmail
from notifications.outgoing import delivery
from tests import people
from tests.notifications.mail import RunningHost, after_window
from tests.passing_time import let_pass

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(connection.vendor != "postgresql", reason="needs a database that a second process can share"),
]
ROOT = Path(__file__).resolve().parents[2]
WORKER = "import django; django.setup(); from notifications.tasks import send_letters; send_letters()"
LETTERS = 30


@pytest.fixture
def running():
    running = RunningHost()
    running.start()
    yield running
    running.stop()


def worker(running: RunningHost) -> subprocess.Popen:
    at = connection.settings_dict
    password = f":{at['PASSWORD']}" if at["PASSWORD"] else ""
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "webim_offline.settings",
        "DATABASE_URL": f"postgres://{at['USER']}{password}@{at['HOST'] or '127.0.0.1'}:{at['PORT'] or 5432}/{at['NAME']}",
        "EMAIL_URL": f"smtp://127.0.0.1:{running.port}",
    }
    return subprocess.Popen([sys.executable, "-c", WORKER], cwd=ROOT, env=environment)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("at_letter", [1, 17, LETTERS])
def test_a_killed_worker_costs_at_most_one_duplicate_with_the_same_id(running, at_letter):
    account = people.make_account(left_messages_email="left@north.example")
    for _ in range(LETTERS):
        people.start_dialog(account)
    after_window()
    first: list[subprocess.Popen] = []

    def kill_in_the_middle(_recipient: str) -> str:
        if len(running.host.accepted) + 1 == at_letter and first[0].poll() is None:
            first[0].send_signal(signal.SIGKILL)
            first[0].wait()
        return "250 OK"

    running.host.on_data = kill_in_the_middle
    first.append(worker(running))
    assert first[0].wait(60) == -signal.SIGKILL
    assert worker(running).wait(60) == 0
    assert len(running.host.accepted) == at_letter, "the claim of the dead worker still holds"

    let_pass(delivery.LEASE.total_seconds() + 1)
    assert worker(running).wait(60) == 0
    arrived = Counter(mail["Message-ID"] for _, mail in running.host.accepted)
    assert sorted(arrived.values()) == [1] * (LETTERS - 1) + [2]
    assert set(arrived) == set(OutgoingEmail.objects.values_list("message_id", flat=True))
    assert set(OutgoingEmail.objects.values_list("status", flat=True)) == {EmailStatus.SENT}
    assert Delivery.objects.filter(status=DeliveryStatus.ACCEPTED).count() == LETTERS
