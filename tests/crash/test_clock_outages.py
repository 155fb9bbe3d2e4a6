"""P9 and Z3 with real processes: the clock of every stored moment is set forwards by an hour, then back again."""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from tests import services
from tests.clocks import Clock
from tests.crash.test_database_outages import PASSWORD
from tests.records import Records
from tests.running import Service, eventually, temporary_folder
from tests.visitors import Page
from tests.workspaces import Tab

pytestmark = pytest.mark.long
HOUR = timedelta(hours=1)
LEASE, OPERATOR_LEASE = 12, 15  # seconds
NOTICE, OFFLINE = 20, 1200  # seconds after `left at` (P4, P5)
SETTINGS = {"visit_lease": LEASE, "operator_lease": OPERATOR_LEASE, "left_notice_after": NOTICE, "offline_after": OFFLINE}
PREPARE = f"""
from django.contrib.auth.hashers import make_password
from operators.models import Account, Operator
from tests import people
account = Account.objects.filter(slug="demo").first() or people.make_account("demo")
Account.objects.update(**{SETTINGS!r})
for login, department in (("dora", "support"), ("emil", "sales")):
    people.make_operator(account, login, departments=(department,))
Operator.objects.filter(username__in=("dora", "emil")).update(password=make_password({PASSWORD!r}))
"""


class Installation:
    """The service, what it has stored, and the clock its stored moments come from."""

    def __init__(self, service: Service, records: Records, clock: Clock) -> None:
        self.service, self.records, self.clock = service, records, clock


def embedded(stack: ExitStack, folder: Path, clock: Clock) -> tuple[Service, Records]:
    """SQLite: the machine's clock is set."""
    return Service(folder, **clock.environment), Records(folder / "webim_offline.sqlite3")


def on_servers(stack: ExitStack, folder: Path, clock: Clock) -> tuple[Service, Records]:
    """PostgreSQL: the clock of the database's machine is set, the service's own goes on."""
    address, _ = stack.enter_context(services.own_postgresql(**clock.environment))
    broker = stack.enter_context(services.redis_server())
    url = stack.enter_context(services.database(address, "webim"))
    redis = f"{broker}/{os.environ.get('OUTAGE_REDIS', '13')}"
    return Service(folder, DATABASE_URL=url, REDIS_URL=redis, SECRET_KEY=services.SECRET_KEY), Records(url)


@pytest.fixture(params=[embedded, on_servers], ids=["the machine's", "the database server's"])
def installation(request) -> Iterator[Installation]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(temporary_folder()))
        clock_folder = Path(stack.enter_context(temporary_folder()))
        clock_folder.chmod(0o755)  # PostgreSQL, another user, reads it; the service's folder is nobody else's
        clock = Clock(clock_folder)
        service, records = request.param(stack, folder, clock)
        service.start()
        stack.callback(service.stop)
        service.manage("shell", "-v0", "-c", PREPARE)
        yield Installation(service, records, clock)


def test_a_clock_step_fires_what_is_due_once_and_shows_nobody_as_gone(installation):
    service, records, clock = installation.service, installation.records, installation.clock
    dora, emil = Tab(service, "dora", PASSWORD), Tab(service, "emil", PASSWORD)
    stays, polls, gone, silent, silent_later = (Page(service, polls=n == 1) for n in range(5))
    of_emil = Page(service, department="sales")
    everyone = (stays, polls, gone, silent, silent_later)
    for page in everyone:
        page.write("What time is it?")
    eventually(lambda: all(page.heard[-1] == "online" for page in (*everyone, of_emil)))
    eventually(lambda: all(records.is_here(page.visitor) for page in everyone))
    gone.say_goodbye()
    eventually(lambda: records.absences(gone.visitor) == ["visitor_left"])
    left_at = records.left_at(gone.visitor)

    clock.step(HOUR)
    silent.vanish()
    emil.vanish()
    stepped = time.monotonic()
    whole_absence = [
        ("visitor_left", left_at),
        ("left_notice", left_at + timedelta(seconds=NOTICE)),
        ("went_offline", left_at + timedelta(seconds=OFFLINE)),
    ]
    eventually(lambda: records.moments(gone.visitor) == whole_absence, within=10)
    newcomer = Page(service)
    newcomer.write("Has anybody moved?")
    time.sleep(max(0.0, stepped + LEASE - 2 - time.monotonic()))
    assert [records.absences(page.visitor) for page in (stays, polls, silent, silent_later)] == [[]] * 4
    assert dict(records.starts())[newcomer.visitor] == "online"
    eventually(lambda: records.absences(silent.visitor)[:1] == ["visitor_left"], within=LEASE + 10)
    by_lease = records.left_at(silent.visitor) - clock.now()
    assert timedelta(seconds=-LEASE - 20) < by_lease <= timedelta()
    eventually(lambda: of_emil.heard[-1] == "offline", within=OPERATOR_LEASE + 10)
    for page in (stays, polls, newcomer):
        assert "offline" not in page.heard[page.heard.index("online") :]

    clock.step(-HOUR)
    silent_later.vanish()
    stepped, moment = time.monotonic(), clock.now()
    leaves_now = Page(service)
    leaves_now.write("And now?")
    time.sleep(5)
    leaves_now.say_goodbye()
    assert of_emil.heard[-1] == "offline"  # whose last sign of life is ahead of the clock now
    emil_again = Tab(service, "emil", PASSWORD)
    eventually(lambda: of_emil.heard[-1] == "online", within=10)
    eventually(lambda: records.absences(leaves_now.visitor)[:1] == ["visitor_left"], within=10)
    time.sleep(max(0.0, stepped + LEASE - 2 - time.monotonic()))
    assert [records.absences(page.visitor) for page in (stays, polls, silent_later)] == [[]] * 3
    eventually(lambda: records.absences(silent_later.visitor)[:1] == ["visitor_left"], within=LEASE + 10)
    assert records.left_at(silent_later.visitor) - moment < timedelta(seconds=LEASE + 10)
    # deadlines go on by the new time, and what had been fired is not fired again
    left_now = records.left_at(leaves_now.visitor)
    notice = ("left_notice", left_now + timedelta(seconds=NOTICE))
    eventually(lambda: records.moments(leaves_now.visitor) == [("visitor_left", left_now), notice], within=NOTICE + 10)
    assert records.moments(gone.visitor) == whole_absence
    assert records.notices(gone.visitor) == ["left", "went_offline"]
    gone.come_back()
    eventually(lambda: records.notices(gone.visitor) == ["left", "went_offline", "returned"])
    # operators are heard by the new time: who goes is gone one lease later, who stays stays
    time.sleep(max(0.0, stepped + OPERATOR_LEASE + 5 - time.monotonic()))
    for page in (stays, polls, newcomer, of_emil):
        assert page.heard[-1] == "online"
    emil_again.vanish()
    eventually(lambda: of_emil.heard[-1] == "offline", within=OPERATOR_LEASE + 15)
    for page in (stays, polls, newcomer):
        assert "offline" not in page.heard[page.heard.index("online") :]
    assert eventually(service.is_healthy)
    for page in (*everyone, of_emil, newcomer):
        page.vanish()
    dora.vanish()
