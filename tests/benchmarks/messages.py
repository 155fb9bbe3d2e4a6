"""Left messages and answers a second, against a bare function that writes the same rows under the same server (granian).

Two requests make a left message, a session and the message; nobody sends the letters meanwhile. Every visitor comes from another
network, as the rate limits ask for. The CPU time is that of the server and of PostgreSQL.
"""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import psutil
from django.conf import settings
from django.test import Client

from dialogs.actions import assignment_by_hand
from operators.models import Account
from tests import people
from tests.benchmarks.servers import ROOT, granian
from tests.costs import Cost, counted
from tests.services import database

CLIENTS = 8
ROUNDS = 5
SECONDS = 4.0
DIALOGS = 60  # of each operator: their logs stay short
BEFORE = "4f7878f6d381035fe7ce19f657a14291b39e3afd"  # the commit before messages were made cheaper
UNLIMITED = "visitor_session=1000000/min,dialog_start_address=1000000/min,operator_write=1000000/min,visitor_write=1000000/min"


@dataclass(frozen=True)
class Round:
    """What was done in one round: times a second, the median time in ms, and the CPU time of one in ms."""

    per_second: float
    median_ms: float
    cpu_ms: float


class Talkers:
    """A load generator that is ready for a server (see `talkers`)."""

    def __init__(self, server: psutil.Process, port: int, job: dict[str, Any]) -> None:
        self.server = server
        command = [sys.executable, "-m", "tests.benchmarks.talkers", str(port)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._say(json.dumps(job | {"clients": CLIENTS}))
        assert self._hear() == "ready"

    def round(self, seconds: float) -> Round:
        before = self._cpu()
        self._say(str(seconds))
        done, refused, median = self._hear().split()
        assert refused == "0", f"{refused} requests were refused"
        return Round(int(done) / seconds, float(median), (self._cpu() - before) * 1000 / int(done))

    def _cpu(self) -> float:
        family = [self.server, *self.server.children(recursive=True)]
        postgres = [one for one in psutil.process_iter(["name"]) if one.info["name"] == "postgres"]
        total = 0.0
        for one in (*family, *postgres):
            with contextlib.suppress(psutil.NoSuchProcess):
                times = one.cpu_times()
                total += times.user + times.system
        return total

    def _say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def _hear(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def __enter__(self) -> "Talkers":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(10)


def _in_turns(one: Talkers, other: Talkers) -> tuple[list[Round], list[Round]]:
    for talkers in (one, other):
        talkers.round(1.0)
    pairs = [(one.round(SECONDS), other.round(SECONDS)) for _ in range(ROUNDS)]
    ours, theirs = zip(*pairs, strict=True)
    return list(ours), list(theirs)


def _median(rounds: list[Round], name: str) -> float:
    return statistics.median(getattr(one, name) for one in rounds)


def _told(ours: list[Round], theirs: list[Round], whose: str) -> str:
    def rates(rounds: list[Round]) -> str:
        numbers = (_median(rounds, name) for name in ("per_second", "median_ms", "cpu_ms"))
        return "{:.0f}/s, {:.1f} ms, {:.2f} ms of CPU each".format(*numbers)

    return f"{rates(ours)}; {whose}: {rates(theirs)}; {CLIENTS} clients, medians of {ROUNDS} rounds of {SECONDS:g} s, in turns"


def _company() -> Account:
    account = people.make_account(left_messages_email="left@north.example")
    people.make_operator(account, online=False)
    return account


@contextlib.contextmanager
def _pages() -> Iterator[tuple[psutil.Process, int]]:
    with granian("asgi", "webim_offline.asgi:web", RATE_LIMITS=UNLIMITED) as served:
        yield served


@contextlib.contextmanager
def _bare(account: Account) -> Iterator[tuple[psutil.Process, int]]:
    language = account.languages.first()
    assert language is not None
    ids = {"BARE_ACCOUNT": str(account.pk), "BARE_LANGUAGE": str(language.pk)}
    with granian("wsgi", "tests.benchmarks.bare_messages:app", BARE_DATABASE=os.environ["DATABASE_URL"], **ids) as served:
        yield served


@lru_cache(maxsize=1)
def left() -> tuple[list[Round], list[Round]]:
    """Left messages, ours and bare."""
    account = _company()
    with _pages() as ours, _bare(account) as bare:
        job = {"kind": "Left", "account": account.slug}
        with Talkers(*ours, job) as one, Talkers(*bare, job) as other:
            return _in_turns(one, other)


def measure_left() -> tuple[float, str, str, float]:
    ours, bare = left()
    return _median(ours, "per_second") / _median(bare, "per_second"), "ratio", _told(ours, bare, "bare"), 0.25


def measure_answers() -> tuple[float, str, str, float]:
    account = _company()
    job: dict[str, Any] = {"kind": "Answers", "people": [_busy_operator(account) for _ in range(2 * CLIENTS)]}
    with _pages() as ours, _bare(account) as bare:
        jobs = [job | {"people": job["people"][:CLIENTS]}, job | {"people": job["people"][CLIENTS:]}]
        with Talkers(*ours, jobs[0]) as one, Talkers(*bare, jobs[1]) as other:
            rounds = _in_turns(one, other)
    return _median(rounds[0], "per_second") / _median(rounds[1], "per_second"), "ratio", _told(*rounds, "bare"), 0.3


def _busy_operator(account: Account) -> dict[str, Any]:
    """Somebody who is signed in and has dialogs: the head of their requests, and the dialogs' numbers."""
    person = people.make_operator(account, online=True)
    numbers = []
    for _ in range(DIALOGS):
        dialog = people.start_dialog(account)
        assignment_by_hand.take(dialog.pk, person, confirmed=True)
        numbers.append(dialog.number)
    browser = Client()
    browser.force_login(person)
    session = browser.cookies[settings.SESSION_COOKIE_NAME].value
    token = "a" * 32
    cookies = f"{settings.SESSION_COOKIE_NAME}={session}; {settings.CSRF_COOKIE_NAME}={token}"
    head = f"cookie: {cookies}\r\nx-csrftoken: {token}\r\nx-operator: {person.pk}\r\n"
    return {"head": head, "numbers": numbers}


def measure_cpu() -> tuple[float, str, str, float]:
    """The CPU time of a left message, now and before."""
    account = _company()
    name = f"webim_offline_before_{os.getpid()}"
    address = os.environ["DATABASE_URL"].rpartition("/")[0]
    with tempfile.TemporaryDirectory() as folder, database(address, name) as url:
        archive = subprocess.run(["git", "archive", BEFORE], cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
        subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)
        # it made scripts small by a package that is not installed any more; no script is asked for here
        (Path(folder) / "rjsmin.py").write_text("def jsmin(script, **_):\n    return script\n")
        theirs = {"DATABASE_URL": url, "VAR_DIR": f"{folder}/var"}
        make = "from tests import people; account = people.make_account(left_messages_email='left@north.example');"
        make += "people.make_operator(account, online=False); print('slug', account.slug)"
        for command in (["migrate", "--verbosity=0", "--no-input"], ["shell", "-c", make]):
            done = subprocess.run(
                [sys.executable, "manage.py", *command],
                cwd=folder,
                env=os.environ | theirs,
                capture_output=True,
                text=True,
                check=True,
            )
        slug = done.stdout.split()[-1]
        old = granian("asgi", "webim_offline.asgi:web", cwd=Path(folder), **theirs)
        with _pages() as ours, old as before:
            jobs = [{"kind": "Left", "account": account.slug}, {"kind": "Left", "account": slug}]
            with Talkers(*ours, jobs[0]) as one, Talkers(*before, jobs[1]) as other:
                rounds = _in_turns(one, other)
    return _median(rounds[0], "cpu_ms") / _median(rounds[1], "cpu_ms"), "ratio", _told(*rounds, "before"), 0.35


@lru_cache(maxsize=1)
def cost() -> Cost:
    """Of the two requests of a left message."""
    account = _company()
    client = Client(headers={"host": settings.PUBLIC_HOST})
    _leave(client, account)  # what a process finds out once
    with counted() as found:
        _leave(client, account)
    return found


def _leave(client: Client, account: Account) -> None:
    number = int.from_bytes(os.urandom(4))
    mine = {"account": account.slug, "visit": f"page-{number:012}", "language": "en", "page": {"url": "https://shop.example/"}}

    def post(verb: str, **body: Any) -> Any:
        answer = client.post(f"/widget/api/{verb}", json.dumps(mine | body), content_type="text/plain")
        assert answer.status_code < 300, answer.content
        return answer.json()

    token = post("session", token="")["token"]
    contacts = {"email": "marina@mail.example"}
    post("messages", token=token, text="Where is my order?", key=f"key-{number:012}", contacts=contacts, from_form=True)


def measure_statements() -> tuple[float, str, str, float]:
    return cost().statements, "count", f"in {cost().messages} messages to the database; BEGIN and COMMIT apart", 16


def measure_redis() -> tuple[float, str, str, float]:
    return cost().redis, "count", "one for all limits that are not counted late, one for the hint", 2
