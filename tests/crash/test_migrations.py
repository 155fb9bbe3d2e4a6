"""The migrations of a release, on a filled database of the former release while its processes go on working (docs/deploy.md).

`former_process` is such a process: it knows the former columns and no others.
"""

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from tests.crash.former_process import FORMER, UNHANDLED
from tests.crash.unsearched import FIRST
from tests.running import ROOT, Service, eventually, temporary_folder
from tests.services import SECRET_KEY, postgresql

pytestmark = pytest.mark.long
MANY = 100_000
SEARCHED = 6000  # dialogs whose words the index of the search lacks
LONGEST_STEP = (
    20.0  # seconds that one step of the former release may take while the migrations run; docs/deploy.md tells the measured ones
)


class Database:
    """A database of its own, in the environment of whoever works on it."""

    def __init__(self, folder: Path, **environment: str) -> None:
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        self.environment = inherited | {"VAR_DIR": str(folder)} | environment
        self.file = folder / "webim_offline.sqlite3"

    def run(self, *command: str, timeout: float = 900) -> str:
        """A Python program on this database; returns what it printed."""
        done = subprocess.run(
            [sys.executable, *command], cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=timeout, check=False
        )
        assert done.returncode == 0, done.stderr[-4000:]
        return done.stdout

    def migrate_to(self, *migrations: tuple[str, str]) -> None:
        for app, migration in migrations:
            self.run("manage.py", "migrate", "-v0", app, migration)

    def migrate_to_former(self) -> None:
        self.migrate_to(*FORMER)
        for app in ("admin", "auth", "contenttypes", "sessions", "django_celery_beat"):
            self.run("manage.py", "migrate", "-v0", app)

    def former_process(self) -> contextlib.AbstractContextManager[dict]:
        """A process of the former release that works meanwhile; how it went is in the dictionary afterwards."""
        return self.working("tests.crash.former_process", "live")

    @contextlib.contextmanager
    def working(self, module: str, *arguments: str) -> Iterator[dict]:
        """A program that says when it is ready, works until its standard input ends, and then says in JSON how it went."""
        told: dict = {}
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout.readline().strip() == "ready", process.stderr.read()[-4000:]
            yield told
            out, err = process.communicate("\n", timeout=120)
            assert process.returncode == 0, err[-4000:]
            told |= json.loads(out)
        finally:
            process.kill()

    def count(self, table: str) -> int:
        """Committed rows of a table; 0 when there is no such table."""
        connect = psycopg.connect if "DATABASE_URL" in self.environment else sqlite3.connect
        with contextlib.closing(connect(self.environment.get("DATABASE_URL") or self.file)) as connection:
            try:
                return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            except (sqlite3.OperationalError, psycopg.errors.UndefinedTable):
                return 0

    def ask(self, code: str, *arguments: str) -> object:
        """What a piece of Python prints as JSON, run with this release."""
        return json.loads(self.run("-c", f"import django; django.setup(); import json\n{code}", *arguments))


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def database(request) -> Iterator[Database]:
    with temporary_folder() as name, contextlib.ExitStack() as stack:
        environment = {"DJANGO_SETTINGS_MODULE": "webim_offline.settings"}
        if request.param == "PostgreSQL":
            address, own = stack.enter_context(postgresql()), f"webim_offline_{uuid.uuid4().hex[:12]}"
            with psycopg.connect(f"{address}/postgres", autocommit=True) as connection:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(own)))
            stack.callback(_drop, address, own)
            environment |= {
                "DATABASE_URL": f"{address}/{own}",
                "SECRET_KEY": SECRET_KEY,
                "PUBLIC_URL": "http://127.0.0.1:8000",
                "EMAIL_URL": "smtp://127.0.0.1:1",
            }
        else:
            environment["EMAIL_URL"] = "smtp://127.0.0.1:1"
        yield Database(Path(name), **environment)


def _drop(address: str, name: str) -> None:
    with psycopg.connect(f"{address}/postgres", autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


WRITE_LETTERS = """
import time
from dialogs.models import Duty
from notifications.models import OutgoingEmail
from notifications.tasks import write_letters
until = time.monotonic() + 60
while (write_letters() or Duty.objects.exists()) and time.monotonic() < until:  # the youngest are due at the end of M2's window
    time.sleep(0.1)
print(json.dumps(sorted(OutgoingEmail.objects.values_list("dialog__number", flat=True))))
"""
READ_EVENTS = """
from dialogs import events
from dialogs.models import DialogEvent
unread = [
    [event.kind, event.data]
    for event in DialogEvent.objects.order_by("pk").iterator(chunk_size=2000)
    if events.read(event.kind, event.data) is events.UNKNOWN
]
print(json.dumps({"unread": unread[:5], "count": len(unread)}))
"""


@pytest.mark.parametrize("database", ["PostgreSQL", "SQLite"], indirect=True)
def test_a_release_migrates_while_the_former_one_works_and_loses_nothing(database):
    """Nothing that is due gets lost or is done twice, nobody waits long, and a process of the former release never fails."""
    database.migrate_to_former()
    database.run("-m", "tests.crash.former_process", "fill", str(MANY))
    with database.former_process() as told:
        database.run("manage.py", "migrate", "-v0")
    assert told["failures"] == 0, told
    assert told["started"] > 0
    assert told["slowest"] < LONGEST_STEP, told
    with database.former_process() as after:  # it works on the new schema, too: releases restart one process after another
        time.sleep(3)
    assert after["failures"] == 0, after
    assert after["started"] > 0
    numbers = database.ask(WRITE_LETTERS)
    due = [*range(MANY - UNHANDLED + 1, MANY + 1), *range(MANY + 1, MANY + told["started"] + after["started"] + 1)]
    assert numbers == due
    assert database.ask(READ_EVENTS) == {"unread": [], "count": 0}
    assert database.run("manage.py", "check_start_states", timeout=600)
    print(f"{told['started']} dialogs started meanwhile, the slowest step took {told['slowest']} s")


FIND = """
import sys
from dialogs.models import SearchText
from dialogs.reading import search
def numbers(word):
    sought = search.terms(f"{word} order")  # every dialog has an order; the last word alone would be found by its beginning
    return sorted(search.found(sought, 1).values_list("dialog__number", flat=True).distinct())
sought = json.load(open(sys.argv[1]))
wrong = {word: numbers(word) for word, number in sought.items() if numbers(word) != ([number] if number else [])}
print(json.dumps({"wrong": wrong, "searched": SearchText.objects.values("dialog").distinct().count()}))
"""


@pytest.mark.parametrize(
    ("before", "migration"), [("0001_initial", "0002_search"), ("0013_texts_from_before", "0014_search_folded")]
)
@pytest.mark.parametrize("database", ["PostgreSQL", "SQLite"], indirect=True)
def test_the_index_of_the_search_is_filled_in_batches_and_again_after_a_kill(database, tmp_path, before, migration):
    """Whoever writes meanwhile waits for one batch at most, and what they wrote is found; so is everything from before."""
    database.migrate_to(*FIRST)
    database.run("-m", "tests.crash.unsearched", "fill", str(SEARCHED))
    database.migrate_to(("dialogs", before))
    known = database.count("dialogs_searchtext")
    migrate = ("manage.py", "migrate", "-v0", "dialogs", migration)

    def filled() -> int:
        """Texts that the migration has made; those from before have the first keys."""
        return database.count(f"dialogs_searchtext WHERE id > {known}")

    with database.working("tests.crash.unsearched", "write") as written:
        killed = subprocess.Popen([sys.executable, *migrate], cwd=ROOT, env=database.environment)
        eventually(lambda: filled() >= 1000, within=60, every=0.01)
        killed.kill()
        assert killed.wait() < 0, "it had ended before it was killed"
        assert filled() < SEARCHED
        database.run(*migrate)
    assert written["slowest"] < LONGEST_STEP, written["slowest"]
    assert len(written["messages"]) > 20
    database.run("manage.py", "migrate", "-v0")
    sought = {f"word{number}": number for number in (1, 2, SEARCHED // 2, SEARCHED - 1, SEARCHED)} | written["messages"]
    for number, name in written["names"].items():
        sought |= {name: int(number), f"visitor{number}": None}
    (tmp_path / "sought.json").write_text(json.dumps(sought))
    assert database.ask(FIND, str(tmp_path / "sought.json")) == {"wrong": {}, "searched": SEARCHED}
    print(f"the slowest step took {written['slowest']} s")


def test_the_demo_installation_is_migrated_and_runs(tmp_path):
    """`make run` on the folder of the release before: the service comes up with what was there."""
    with temporary_folder() as name:
        database = Database(Path(name), DJANGO_SETTINGS_MODULE="webim_offline.settings")
        database.migrate_to_former()
        database.run("-m", "tests.crash.former_process", "fill", "300")
        service = Service(Path(name)).start()
        try:
            assert service.is_healthy()
            assert service.manage("check_start_states")
        finally:
            service.stop()
