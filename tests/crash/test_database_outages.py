"""P9 on PostgreSQL and Redis, with real processes: the database hangs, is shut down for two minutes, or is restored."""

import contextlib
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from dialogs.actions.presence import PROCESS_LEASE
from tests import services
from tests.records import Records
from tests.running import Service, eventually, temporary_folder
from tests.visitors import Page
from tests.workspaces import Tab

pytestmark = pytest.mark.long
LEASE, OPERATOR_LEASE = 12, 15  # seconds
NOTICE, OFFLINE = 20, 60  # seconds after `left at` (P4, P5)
PASSWORD = "correct horse battery"
PREPARE = f"""
from django.contrib.auth.hashers import make_password
from operators.models import Operator
from tests import people
account = people.make_account(
    "demo", visit_lease={LEASE}, operator_lease={OPERATOR_LEASE}, left_notice_after={NOTICE}, offline_after={OFFLINE}
)
for login in ("anna", "boris", "carol"):
    people.make_operator(account, login, departments=("sales" if login == "boris" else "support",))
Operator.objects.update(password=make_password({PASSWORD!r}))
"""


class Installation:
    """The service on a PostgreSQL of its own."""

    def __init__(self, server: services.Server, url: str, service: Service) -> None:
        self.server, self.url, self.service = server, url, service
        self.records = Records(url)


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    with (
        services.own_postgresql() as (address, server),
        services.redis_server() as broker,
        services.database(address, "webim") as url,
        temporary_folder() as folder,
    ):
        redis = f"{broker}/{os.environ.get('OUTAGE_REDIS', '13')}"
        environment = {"DATABASE_URL": url, "REDIS_URL": redis, "SECRET_KEY": services.SECRET_KEY}
        service = Service(Path(folder), **environment).start()
        service.manage("shell", "-v0", "-c", PREPARE)
        yield Installation(server, url, service)
        service.stop()


@contextlib.contextmanager
def hanging(server: services.Server) -> Iterator[None]:
    """Connections stand, nothing is answered."""
    with server.suspended():
        yield


@contextlib.contextmanager
def shut_down(server: services.Server) -> Iterator[None]:
    """Everyone is cut off, and nobody is let in."""
    server.stop()
    try:
        yield
    finally:
        server.start()


class Newcomers:
    """Visitors who come and write their first message, one every `every` seconds (X3 allows 60 a minute), until `end`."""

    def __init__(self, service: Service, department: str, every: float) -> None:
        self.service, self.department, self.every = service, department, every
        self.pages: list[Page] = []
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        while not self.over.is_set():
            with contextlib.suppress(AssertionError, httpx.HTTPError):
                page = Page(self.service, department=self.department)
                page.write("I am new here")
                self.pages.append(page)
            self.over.wait(self.every)

    def end(self) -> list[Page]:
        self.over.set()
        self.thread.join(30)
        return self.pages


def persist(page: Page, message: dict, answers: list, until: threading.Event) -> None:
    """Send one message as the widget does: again and again under the same key, until it is taken."""
    while not until.is_set():
        try:
            answer = page.try_to_ask("messages", timeout=5, token=page.token, **message)
        except httpx.HTTPError:
            answers.append(0)
        else:
            answers.append(answer.status_code)
            if answer.is_success:
                return
        time.sleep(1)


@pytest.mark.parametrize(("outage", "lasts"), [(hanging, 2.5 * LEASE), (shut_down, 120)], ids=["hanging", "shut down"])
def test_the_database_away_and_back(installation, outage, lasts):
    service, records = installation.service, installation.records
    anna, boris = Tab(service, "anna", PASSWORD), Tab(service, "boris", PASSWORD)
    gone_before, silent_before = Page(service), Page(service)
    streams, polls, returns = Page(service), Page(service, polls=True), Page(service)
    silent, says_goodbye, writes = Page(service), Page(service), Page(service)
    everyone = (gone_before, silent_before, streams, polls, returns, silent, says_goodbye, writes)
    for page in everyone:
        page.write("Is anybody there?")
    of_boris = Page(service, department="sales")
    eventually(lambda: all(page.heard[-1] == "online" for page in (*everyone, of_boris)))
    eventually(lambda: all(records.is_here(page.visitor) for page in everyone))
    silent_before.vanish()
    time.sleep(3)
    gone_before.say_goodbye()
    eventually(lambda: records.absences(gone_before.visitor) == ["visitor_left"])
    left_before = records.left_at(gone_before.visitor)
    accepted = writes.write("This was accepted just before")

    health: list[int] = []
    refused: list[int] = []
    over = threading.Event()
    late = writes.message("And this while the database was away")
    with outage(installation.server):
        began = time.monotonic()
        writer = threading.Thread(target=persist, args=(writes, late, refused, over), daemon=True)
        writer.start()
        time.sleep(2)
        silent.vanish()
        boris.vanish()
        returns.vanish()
        said_at = time.monotonic()
        says_goodbye.say_goodbye()
        while time.monotonic() - began < lasts - 3:
            health.append(httpx.get(f"{service.url}/healthz", timeout=5).status_code)
            time.sleep(2)
        newcomers, callers = Newcomers(service, "support", 0.4), Newcomers(service, "sales", 2)
        time.sleep(max(0.0, began + lasts - time.monotonic()))
    end, ended = records.now(), time.monotonic()
    due = [code for code, after in (("left", NOTICE), ("went_offline", OFFLINE)) if after < lasts]  # meanwhile
    eventually(lambda: records.notices(gone_before.visitor) == due, within=10, every=0.3)
    returns.come_back()
    eventually(service.is_healthy, within=20)
    assert time.monotonic() - ended < 25
    time.sleep(max(0.0, ended + LEASE - 3 - time.monotonic()))
    fresh = newcomers.end()

    assert set(health) == {503}
    # nobody is shown as gone: neither who was there throughout, nor who came back, nor yet who went without a word
    for page in (streams, polls, returns, silent, writes):
        assert records.is_here(page.visitor)
        assert records.absences(page.visitor) == []
    # operators neither: not to the pages that were open, nor to those that came, nor to the dialogs that started
    for page in (streams, polls, writes, of_boris, *fresh):
        assert "offline" not in page.heard[page.heard.index("online") :]
    assert fresh
    assert {page.heard[0] for page in fresh} == {"online"}
    starts = dict(records.starts())
    assert {starts[page.visitor] for page in fresh} == {"online"}
    # what was accepted is there, once, and so is what was tried meanwhile
    writer.join(20)
    over.set()
    assert refused[-1] in {200, 201}
    assert set(refused[:-1]) <= {0, 503}
    assert records.texts(writes.visitor)[1:] == ["This was accepted just before", late["text"]]
    assert accepted

    # who went without a word during the outage, or just before it, has left one full lease after its end
    for page in (silent, silent_before):
        eventually(lambda page=page: records.absences(page.visitor)[:1] == ["visitor_left"], within=LEASE + 10)
        late_by = records.left_at(page.visitor) - end - timedelta(seconds=LEASE)
        assert timedelta(seconds=-0.5) <= late_by <= timedelta(seconds=4)
    # a goodbye is a fact of its own moment, written when it could be
    goodbye = records.moments(says_goodbye.visitor)[0]
    assert goodbye[0] == "visitor_left"
    assert abs(goodbye[1] - (end - timedelta(seconds=ended - said_at - 2))) < timedelta(seconds=3)
    # who left before the outage: each deadline once, stamped with the moment its rule names
    eventually(lambda: records.notices(gone_before.visitor) == ["left", "went_offline"], within=OFFLINE)
    assert records.moments(gone_before.visitor) == [
        ("visitor_left", left_before),
        ("left_notice", left_before + timedelta(seconds=NOTICE)),
        ("went_offline", left_before + timedelta(seconds=OFFLINE)),
    ]
    # an operator who went during it is offline one full lease after its end, not sooner
    called = callers.end()
    states = [(page, starts_at(records, page)) for page in called]
    assert {state for page, (state, at) in states if at < end + timedelta(seconds=OPERATOR_LEASE - 1)} == {"online"}
    eventually(lambda: of_boris.heard[-1] == "offline", within=OPERATOR_LEASE + 10)
    assert of_boris.heard[-2:] == ["online", "offline"]
    assert streams.heard[-1] == "online"
    for page in (*everyone, of_boris, *fresh, *called):
        page.vanish()
    anna.vanish()


def starts_at(records: Records, page: Page) -> tuple:
    """(start state, when) of the page's dialog."""
    return records.rows("SELECT start_state, created_at FROM dialogs_dialog WHERE visitor_id = %s", page.visitor)[0]


def dumped(url: str, file: Path) -> None:
    subprocess.run([services.postgresql_program("pg_dump"), "-Fc", "-f", file, url], check=True)


def restored(url: str, file: Path) -> None:
    """The database is as it was when it was dumped, all at once."""
    program = services.postgresql_program("pg_restore")
    subprocess.run([program, "--clean", "--if-exists", "--single-transaction", "--no-owner", "-d", url, file], check=True)


@pytest.mark.parametrize("are_stopped", [True, False], ids=["processes stopped", "under running processes"])
def test_a_restored_backup(installation, tmp_path, are_stopped):
    """Who is on the site stays there; whoever was there when the backup was taken and is not any more ends one lease later."""
    service, records = installation.service, installation.records
    eventually(service.is_healthy, within=20)
    anna = Tab(service, "anna", PASSWORD)
    stays, polls, leaves_later, gone_before = Page(service), Page(service, polls=True), Page(service), Page(service)
    everyone = (stays, polls, leaves_later, gone_before)
    for page in everyone:
        page.write("Is anybody there?")
    eventually(lambda: all(records.is_here(page.visitor) and page.heard[-1] == "online" for page in everyone))
    gone_before.say_goodbye()
    eventually(lambda: records.absences(gone_before.visitor) == ["visitor_left"])
    left_before = records.left_at(gone_before.visitor)
    dumped(installation.url, tmp_path / "backup")

    stays.write("Written after the backup")
    leaves_later.say_goodbye()
    eventually(lambda: records.absences(leaves_later.visitor) == ["visitor_left"])
    time.sleep(8)  # longer than a sweep may be silent without its being an outage
    if are_stopped:
        service.stop()
    restored(installation.url, tmp_path / "backup")
    assert records.absences(leaves_later.visitor) == []
    back_at = records.now()
    if are_stopped:
        service.start()
        back_at = records.now()
    eventually(service.is_healthy, within=20)

    eventually(lambda: records.absences(leaves_later.visitor)[:1] == ["visitor_left"], within=45)
    left_at = records.left_at(leaves_later.visitor)
    early = timedelta(seconds=8) if are_stopped else timedelta(seconds=1)  # healthy some seconds after the sweep ran
    # of a process that is no more the whole lease counts, which is longer than the page's own
    assert back_at + timedelta(seconds=LEASE) - early <= left_at <= back_at + PROCESS_LEASE + timedelta(seconds=5)
    for page in (stays, polls):
        assert records.is_here(page.visitor)
        assert records.absences(page.visitor) == []
        assert "offline" not in page.heard[page.heard.index("online") :]
    assert records.texts(stays.visitor) == ["Is anybody there?"]
    newcomer = Page(service)
    newcomer.write("Still somebody there?")
    assert dict(records.starts())[newcomer.visitor] == "online"
    eventually(lambda: records.notices(gone_before.visitor)[:1] == ["left"], within=NOTICE + 10)
    assert records.moments(gone_before.visitor)[:2] == [
        ("visitor_left", left_before),
        ("left_notice", left_before + timedelta(seconds=NOTICE)),
    ]
    for page in (*everyone, newcomer):
        page.vanish()
    anna.vanish()
