"""A letter writer that is killed in the middle of its work: every letter once, by whoever comes next (M2)."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connection

from dialogs.models import Delivery, Duty
from notifications.models import OutgoingEmail
from notifications.tasks import write_letters
from tests import people
from tests.notifications import former_release
from tests.passing_time import let_pass

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(connection.vendor != "postgresql", reason="needs a database that a second process can share"),
]
ROOT = Path(__file__).resolve().parents[2]
WRITERS = {"today": "notifications.outgoing.duties", "former": "tests.notifications.former_release"}
WRITER = """
import django; django.setup()
import os, signal
import {module} as writer
step = writer.{step}
def then_die(*arguments):
    step(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)
writer.{step} = then_die
writer.write_due_letters()
"""


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("release", "step"), [("today", "record_deliveries"), ("today", "done"), ("today", "put_off"), ("former", "record_deliveries")]
)
@pytest.mark.parametrize("next_one", [write_letters, former_release.write_due_letters], ids=WRITERS)
def test_the_next_one_writes_each_letter_once(release, step, next_one):
    account = people.make_account(left_messages_email="left@north.example")
    dialogs = [people.start_dialog(account) for _ in range(10)]
    with former_release.writes_events():
        dialogs += [people.start_dialog(account) for _ in range(10)]
    let_pass(15)
    at = connection.settings_dict
    password = f":{at['PASSWORD']}" if at["PASSWORD"] else ""
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "webim_offline.settings",
        "DATABASE_URL": f"postgres://{at['USER']}{password}@{at['HOST'] or '127.0.0.1'}:{at['PORT'] or 5432}/{at['NAME']}",
    }
    code = WRITER.format(module=WRITERS[release], step=step)
    killed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, timeout=60, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not OutgoingEmail.objects.exists()
    assert Duty.objects.count() == len(dialogs)
    next_one()
    assert sorted(OutgoingEmail.objects.values_list("dialog", flat=True)) == [dialog.pk for dialog in dialogs]
    assert Delivery.objects.count() == len(dialogs)
    assert not Duty.objects.exists()
