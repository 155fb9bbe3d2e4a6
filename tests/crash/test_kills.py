"""kill -9 of every kind of process in the middle of a lively service; afterwards everything is counted in the database.

The production layout of docs/deploy.md behind nginx, on a PostgreSQL of its own that is killed like the others.
"""

import itertools
import random
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest

from tests import services
from tests.deployment import Deployment, deployed
from tests.notifications.mail import RunningHost
from tests.proxied import ProxiedPage, ProxiedTab
from tests.running import ROOT, eventually, temporary_folder

pytestmark = pytest.mark.long
ACCOUNT, PASSWORD = "north-tea", "correct horse battery"
OPERATORS = ("anna", "boris")
LEASE, OPERATOR_LEASE, NOTICE, OFFLINE = 6, 8, 2, 4  # seconds; the account's settings here
VISITORS = 14
SPREAD = 1.0
SETUP = f"""
from operators.actions.accounts import create_account
from operators.actions.parts import save_part
from operators.actions.people import create_operator
from operators.models import Account, Department, Operator
account = Account(
    slug={ACCOUNT!r}, name="North Tea", left_messages_email="left@north.example", reopen_window=0,
    visit_lease={LEASE}, operator_lease={OPERATOR_LEASE}, left_notice_after={NOTICE}, offline_after={OFFLINE},
)
create_account(account, language_codes=["en"], actor=None)
support = Department(account=account, slug="support", name="Support")
save_part(support, actor=None)
for name in {OPERATORS!r}:
    operator = Operator(username=name, name=name.title(), role="operator", account=account)
    create_operator(operator, password={PASSWORD!r}, departments=[support], languages=list(account.languages.all()))
"""
KILLED = ("worker@clock", "live@8201", "worker@mail", "web@8101", "beat", "postgresql", "live@8202", "worker@clock")
BETWEEN = 4.0  # seconds of lively service before each kill
RECOVERY = 60.0  # seconds in which everything is well again, on a busy machine
NOTICES = {"left_notice": "left", "went_offline": "went_offline", "returned": "returned"}  # event: its system message
EVENTS = """
    SELECT dialog_id, kind, at FROM dialogs_dialogevent
    WHERE kind IN ('visitor_left', 'visitor_came_back', 'left_notice', 'went_offline', 'returned') ORDER BY dialog_id, revision
"""
addresses = (f"127.0.4.{number}" for number in itertools.count(1))


class Person(ABC):
    """Does something again and again in a thread of its own until `over`; an outage is met by trying once more."""

    def __init__(self, over: threading.Event) -> None:
        self.over = over
        self.failures: list[Exception] = []
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        while not self.over.wait(random.uniform(0.1, 0.9)):
            try:
                self.act()
            except (httpx.HTTPError, AssertionError) as failure:
                self.failures.append(failure)

    @abstractmethod
    def act(self) -> None:
        """One thing this person does, or tries to."""


class Visitor(Person):
    """Comes, writes, goes with a goodbye or without, and comes back."""

    def __init__(self, place: Deployment, over: threading.Event) -> None:
        self.page = ProxiedPage(place, ACCOUNT, next(addresses), SPREAD, polls=random.random() < 0.2)
        self.tried: list[str] = []
        self.accepted: list[str] = []
        super().__init__(over)

    def act(self) -> None:
        what = random.choice(["write", "write", "say goodbye", "vanish"])
        if what == "write" or not self.accepted:
            self.tried.append(f"{len(self.tried) + 1} of {self.page.visitor}")
            self.page.number = self.page.write(self.tried[-1], within=RECOVERY)
            self.accepted.append(self.tried[-1])
            return
        if what == "say goodbye":
            self.page.say_goodbye()
        else:
            self.page.vanish()
        self.over.wait(random.uniform(0.5, 2 * OFFLINE))
        self.page.come_back()


class Operator(Person):
    """Comes online and goes, takes dialogs, answers and closes; where that is refused, others do it."""

    def __init__(self, place: Deployment, login: str, visitors: list[Visitor], over: threading.Event) -> None:
        self.tab = ProxiedTab(place, login, PASSWORD, next(addresses))
        self.visitors = visitors
        self.answered: list[str] = []
        self.begun: list[int] = []
        super().__init__(over)

    def act(self) -> None:
        page = random.choice(self.visitors).page
        match random.choice(["status", "take", "answer", "answer", "close"]):
            case "status":
                status = random.choice(["online", "online", "lunch", "offline"])
                self.tab.until_accepted(RECOVERY, lambda: self.tab.act("/workspace/status/", status=status))
            case "take" if page.number:
                self.tab.act(f"/workspace/{page.number}/take/")
            case "close" if self.begun:
                self.tab.act(f"/workspace/{self.begun.pop()}/close/")
            case "answer" if page.number:
                number, text = page.number, f"{len(self.answered) + 1} of {self.tab.login}"
                self.tab.answer(number, text)
                self.answered.append(text)
                self.begun.append(number)


@pytest.fixture(scope="module")
def mail():
    host = RunningHost()
    host.start()
    yield host
    host.stop()


@pytest.fixture(scope="module")
def place(mail):
    with (
        services.own_postgresql(can_be_killed=True) as (address, server),
        temporary_folder() as folder,
        deployed(Path(folder), f"smtp://127.0.0.1:{mail.port}", address) as deployment,
    ):
        deployment.postgresql = server
        deployment.shell(SETUP)
        yield deployment


def kill(place: Deployment, unit: str) -> None:
    """At once, and started again a second later, as systemd does."""
    if unit == "postgresql":
        place.postgresql.kill()
        time.sleep(1)
        place.postgresql.start()
    else:
        place.kill(unit)
        time.sleep(1)
        place.start(unit)


def is_well(place: Deployment) -> bool:
    """What ended by itself, because the database was away as it started, is started again too."""
    for unit in [unit for unit, process in place.processes.items() if process.poll() is not None]:
        place.start(unit)
    return place.is_healthy()


@pytest.fixture(scope="module")
def people(place):
    """Everyone after the kills: gone, with all absences run out, and everything that is to be written written."""
    over = threading.Event()
    visitors = [Visitor(place, over) for _ in range(VISITORS)]
    operators = [Operator(place, login, visitors, over) for login in OPERATORS]
    for unit in KILLED:
        time.sleep(BETWEEN)
        kill(place, unit)
        is_well(place)
    time.sleep(BETWEEN)
    over.set()
    for person in (*visitors, *operators):
        person.thread.join(RECOVERY + 10)
        assert not person.thread.is_alive()
    eventually(lambda: is_well(place), within=RECOVERY)
    for number, visitor in enumerate(visitors):
        if visitor.page.here.is_set() and number % 2:
            visitor.page.say_goodbye()
        visitor.page.vanish()
    for operator in operators:
        operator.tab.vanish()
    rows = place.records.rows
    eventually(lambda: not rows("SELECT 1 FROM dialogs_visitor WHERE is_present"), within=RECOVERY)
    eventually(
        lambda: not rows("SELECT 1 FROM dialogs_dialog WHERE wake_at <= clock_timestamp() + interval '1 minute'"), within=RECOVERY
    )
    eventually(lambda: not rows("SELECT 1 FROM dialogs_dialogevent WHERE handled_at IS NULL"), within=RECOVERY)
    eventually(lambda: not rows("SELECT 1 FROM dialogs_duty"), within=RECOVERY)
    return visitors, operators


def test_what_was_accepted_is_there_once(place, people):
    visitors, operators = people
    stored = place.records.rows("SELECT kind, text FROM dialogs_message WHERE kind <> 'system'")
    for kind, tried, accepted in (
        ("visitor", [text for one in visitors for text in one.tried], [text for one in visitors for text in one.accepted]),
        ("operator", None, [text for one in operators for text in one.answered]),
    ):
        texts = Counter(text for its, text in stored if its == kind)
        assert set(texts.values()) <= {1}
        assert set(accepted) - set(texts) == set()
        if tried is not None:
            assert set(texts) - set(tried) == set()
    assert len(stored) > 50, "the service was lively"
    assert [failure for one in visitors for failure in one.failures if isinstance(failure, AssertionError)] == []


def test_each_absence_is_told_once_and_in_order(place, people):
    away: dict[int, datetime] = {}  # dialog: since when
    told: dict[int, list[str]] = {}  # dialog: of this absence
    kinds: Counter[str] = Counter()
    for dialog, kind, at in place.records.rows(EVENTS):
        kinds[kind] += 1
        match kind:
            case "visitor_left":
                assert dialog not in away, "left twice"
                away[dialog], told[dialog] = at, []
            case "left_notice" | "went_offline":
                assert kind not in told[dialog], "said twice in one absence"
                assert at - away[dialog] >= timedelta(seconds=NOTICE if kind == "left_notice" else OFFLINE), "early"
                told[dialog].append(kind)
            case "visitor_came_back":
                away.pop(dialog, None)
            case "returned":
                assert told.pop(dialog), "nothing had been said"
                assert dialog not in away
    assert min(kinds[kind] for kind in ("visitor_left", "visitor_came_back", *NOTICES)) > 5, f"the service was lively: {kinds}"
    messages = place.records.rows(
        "SELECT dialog_id, code, at FROM dialogs_message WHERE kind = 'system' ORDER BY dialog_id, revision"
    )
    events = [(dialog, NOTICES[kind], at) for dialog, kind, at in place.records.rows(EVENTS) if kind in NOTICES]
    assert [row for row in messages if row[1] in NOTICES.values()] == events


def test_each_state_follows_from_what_happened(place, people):
    happened: dict[int, list[tuple[str, datetime]]] = {}
    for dialog, kind, at in place.records.rows(EVENTS):
        happened.setdefault(dialog, []).append((kind, at))
    columns = "id, is_offline, away_since, left_notice_at, went_offline_at, wake_at IS DISTINCT FROM closes_at"
    dialogs = place.records.rows(f"SELECT {columns} FROM dialogs_dialog WHERE state IN ('queue', 'chatting')")
    assert dialogs
    for dialog, is_offline, *facts, is_awaited in dialogs:
        last_return = max((n for n, (kind, _) in enumerate(happened[dialog]) if kind == "visitor_came_back"), default=-1)
        absence = dict(happened[dialog][last_return + 1 :])
        assert facts == [absence.get(kind) for kind in ("visitor_left", "left_notice", "went_offline")]
        assert is_offline
        assert None not in facts, "everybody has been away for long"
        assert not is_awaited, "no deadline of an absence is ahead"
    assert place.records.rows("SELECT 1 FROM dialogs_visit WHERE ended_at IS NULL") == []
    left = place.records.rows(
        "SELECT count(*) FROM dialogs_dialog d JOIN dialogs_visitor v ON v.id = d.visitor_id"
        " WHERE d.state IN ('queue', 'chatting') AND d.away_since IS DISTINCT FROM v.left_at"
    )
    assert left == [(0,)]


def test_start_states_agree_with_the_history(place, people):
    command = [sys.executable, "manage.py", "check_start_states"]
    checked = subprocess.run(command, cwd=ROOT, env=place.environment, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    states = Counter(state for _, state in place.records.starts())
    assert min(states["online"], states["offline"]) > 3, f"both kinds of start: {states}"
    assert sum(states.values()) > VISITORS + 10


def test_each_left_message_is_written_once_and_sent(place, people, mail):
    letters = place.records.rows(
        "SELECT dialog_id, count(*) FROM notifications_outgoingemail WHERE kind = 'first' GROUP BY dialog_id"
    )
    offline = place.records.rows("SELECT id FROM dialogs_dialog WHERE start_state = 'offline'")
    assert sorted(letters) == [(dialog, 1) for (dialog,) in sorted(offline)]
    statuses = "SELECT DISTINCT status FROM notifications_outgoingemail"
    eventually(lambda: place.records.rows(statuses) == [("sent",)], within=120)
    arrived = Counter(letter["Message-ID"] for _, letter in mail.host.accepted)
    ids = {row[0] for row in place.records.rows("SELECT message_id FROM notifications_outgoingemail")}
    assert set(arrived) == ids
    assert sum(arrived.values()) - len(arrived) <= 2, "a kill of a worker, or of the database under it, costs one duplicate at most"
