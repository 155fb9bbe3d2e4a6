"""Q2 and Q5 to Q8 while what assigns dies in the middle of it: its processes are killed, its connections cut, again and again.

The production layout of docs/deploy.md. Whoever is struck is suspended first and looked at: every blow falls inside a transaction.
The tests share one deployment and follow its life.
"""

import json
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import psycopg
import pytest

from tests.crash.given_dialogs import ACCOUNT, DEPARTMENTS, LANGUAGES, NOBODYS, PASSWORD, STAFF, WAITING, login
from tests.crash.test_kills import Person
from tests.deployment import Deployment, deployed
from tests.proxied import ProxiedPage, ProxiedTab
from tests.running import eventually, temporary_folder
from tests.services import free_port

pytestmark = pytest.mark.long
BUSY = 5  # so many operators take, answer and close; the others have their workspace open
VISITORS = 8
WITHIN = 20.0  # seconds in which room is filled, or something can be struck, on a busy machine
KILLED, CUT = "killed", "cut"  # the process; its connection
ASSIGNING = 0x7731  # the kind of advisory lock that whoever assigns in an account holds (docs/decisions/0013)
ASSIGNS = "l.pid IS NOT NULL"
GIVES = f"""{ASSIGNS} AND (a.query LIKE 'UPDATE "dialogs_dialog"%%' OR a.query LIKE 'INSERT INTO "dialogs_dialogevent"%%')"""
WRITES = "a.backend_xid IS NOT NULL"
HAS_GIVEN = "given"  # right after the commit, with all that is to follow still undone
BLOWS = (
    ("worker@clock", KILLED, GIVES),
    ("web@8101", KILLED, ASSIGNS),
    ("worker@clock", CUT, GIVES),
    ("web@8102", CUT, ASSIGNS),
    ("worker@clock", KILLED, GIVES),
    ("web@8102", KILLED, ASSIGNS),
    ("worker@clock", KILLED, HAS_GIVEN),
    ("web@8101", CUT, ASSIGNS),
    ("worker@clock", KILLED, WRITES),
    ("web@8101", KILLED, ASSIGNS),
    ("worker@clock", KILLED, GIVES),
    ("worker@clock", KILLED, HAS_GIVEN),
)
# between the statements of one message a server that waits for the next calls itself active
STATE = "CASE WHEN a.state = 'active' AND a.wait_event = 'ClientRead' THEN 'idle in transaction' ELSE a.state END"
TRANSACTIONS = f"""
    SELECT a.pid, {STATE}, left(a.query, 60), l.pid IS NOT NULL FROM pg_stat_activity a
    LEFT JOIN pg_locks l ON l.pid = a.pid AND l.granted AND l.locktype = 'advisory' AND l.classid = {ASSIGNING}
    WHERE a.datname = current_database() AND a.application_name = %s
"""
# one statement sees one moment: what is stored at any of them must agree
OVER_A_LIMIT = """
    SELECT o.username, d.is_offline, count(*) FROM dialogs_dialog d
    JOIN operators_operator o ON o.id = d.operator_id JOIN operators_account a ON a.id = d.account_id
    WHERE d.state IN ('queue', 'chatting')
    GROUP BY o.id, d.is_offline, a.id
    HAVING count(*) > CASE WHEN d.is_offline THEN coalesce(o.max_offline_dialogs, nullif(a.max_offline_dialogs, 0))
        ELSE coalesce(o.max_online_dialogs, nullif(a.max_online_dialogs, 0)) END
"""
WITHOUT_ITS_EVENT = """
    SELECT d.number, d.operator_id, last.kind, last.operator FROM dialogs_dialog d
    LEFT JOIN LATERAL (
        SELECT e.kind, (e.data->>'operator')::bigint AS operator FROM dialogs_dialogevent e
        WHERE e.dialog_id = d.id AND e.kind IN ('assigned', 'unassigned', 'picked_up') ORDER BY e.revision DESC LIMIT 1
    ) AS last ON true
    WHERE d.state = 'queue' AND d.operator_id IS DISTINCT FROM CASE WHEN last.kind = 'assigned' THEN last.operator END
"""
WAITING_FOR_SOMEBODY = """
    SELECT d.number FROM dialogs_dialog d WHERE d.state = 'queue' AND d.operator_id IS NULL AND EXISTS (
        SELECT FROM operators_operator o JOIN operators_operator_languages l ON l.operator_id = o.id
        WHERE l.language_id = d.language_id AND o.role = 'operator' AND (d.department_id IS NULL OR EXISTS (
            SELECT FROM operators_operator_departments p WHERE p.operator_id = o.id AND p.department_id = d.department_id
        ))
    )
"""
addresses = (f"127.0.5.{number}" for number in count(1))


class Visitor(Person):
    """Begins a dialog and ends it, again and again."""

    def __init__(self, place: Deployment, over: threading.Event) -> None:
        self.page = ProxiedPage(place, ACCOUNT, next(addresses))
        self.begun = 0
        super().__init__(over)

    def act(self) -> None:
        self.page.mine |= {"department": random.choice(["", *DEPARTMENTS]), "language": random.choice(LANGUAGES)}
        number = self.page.write("Is anybody there?")
        self.begun += 1
        self.over.wait(random.uniform(4, 9))  # a visitor begins ten dialogs a minute at most (X3)
        self.page.ask("end", token=self.page.token, number=number)


class Operator(Person):
    """Takes what was assigned or waits, answers and closes it; never goes over a limit."""

    def __init__(self, place: Deployment, tab: ProxiedTab, over: threading.Event) -> None:
        self.records, self.tab = place.records, tab
        self.taken = 0
        super().__init__(over)

    def act(self) -> None:
        own = "SELECT d.number FROM dialogs_dialog d JOIN operators_operator o ON o.id = d.operator_id"
        own += " WHERE d.state = %s AND o.username = %s"
        if mine := self.records.rows(own, "chatting", self.tab.login):
            number = random.choice(mine)[0]
            self.tab.answer(number, "Good morning")
            answer = self.tab.act(f"/workspace/{number}/close/")
        elif assigned := self.records.rows(own, "queue", self.tab.login):
            answer = self.tab.act(f"/workspace/{random.choice(assigned)[0]}/take/")
        else:
            waiting = self.records.rows(WAITING_FOR_SOMEBODY)
            answer = self.tab.act(f"/workspace/{random.choice(waiting)[0]}/take/")
        self.taken += answer.is_success


class Watch(threading.Thread):
    """Looks again and again whether what is stored agrees with itself."""

    def __init__(self, place: Deployment) -> None:
        super().__init__(daemon=True)
        self.records, self.over = place.records, threading.Event()
        self.looks = 0
        self.wrong: list[tuple] = []
        self.start()

    def run(self) -> None:
        while not self.over.wait(0.2):
            self.wrong += self.records.rows(OVER_A_LIMIT) + self.records.rows(WITHOUT_ITS_EVENT)
            self.looks += 1


@dataclass(frozen=True)
class Blow:
    """What was struck, how, and in the middle of what: the last statement before it, in a transaction that was open."""

    unit: str
    how: str
    statement: str
    assigned: bool  # held an account's lock of assigning


@contextmanager
def suspended(place: Deployment, unit: str) -> Iterator[None]:
    """All processes of a unit stand still, unless they are killed meanwhile."""
    group = place.processes[unit].pid
    os.killpg(group, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGCONT)


def strike(place: Deployment, unit: str, how: str, when: str) -> Blow:
    """Kill the unit, or cut its connection, when `when` is true of an open transaction of it; start again what was killed."""
    until = time.monotonic() + 2 * WITHIN
    with psycopg.connect(place.records.where, autocommit=True, prepare_threshold=1) as eyes:

        def look() -> list[tuple]:
            return eyes.execute(f"{TRANSACTIONS} AND {GIVES if when == HAS_GIVEN else when}", [unit]).fetchall()

        while time.monotonic() < until:
            if not look():
                time.sleep(0.001)
                continue
            if when == HAS_GIVEN:
                while look():
                    pass
                place.kill(unit)
                place.start(unit)
                return Blow(unit, how, "COMMIT", False)
            time.sleep(random.choice([0, random.uniform(0, 0.03)]))
            with suspended(place, unit):
                eventually(lambda: all(state != "active" for _, state, *_ in look()), within=WITHIN, every=0.002)
                for backend, state, statement, assigns in look():
                    if state != "idle in transaction":
                        continue
                    if how == KILLED:
                        place.kill(unit)
                        place.start(unit)
                    else:
                        eyes.execute("SELECT pg_terminate_backend(%s)", [backend])
                    return Blow(unit, how, statement, assigns)
    raise AssertionError(f"{unit} could not be struck in {2 * WITHIN} s:\n{place.said()[-3000:]}")


@pytest.fixture(scope="module")
def place():
    with temporary_folder() as folder, deployed(Path(folder), f"smtp://127.0.0.1:{free_port()}") as deployment:
        tell(deployment, "make_company")
        yield deployment


def tell(place: Deployment, what: str) -> str:
    return place.shell(f"from tests.crash import given_dialogs; given_dialogs.{what}()")


@pytest.fixture(scope="module")
def staff(place):
    """Everybody online, each with a workspace that gives signs of life."""
    tabs = [ProxiedTab(place, login(number), PASSWORD, next(addresses)) for number in range(STAFF)]
    yield tabs
    for tab in tabs:
        tab.vanish()


@pytest.fixture(scope="module")
def watch(place, staff):
    watch = Watch(place)
    yield watch
    watch.over.set()
    watch.join(10)


@pytest.fixture(scope="module")
def blows(place, staff, watch):
    """All blows while people are at work; afterwards everything runs again, and nothing moves any more."""
    over = threading.Event()
    people = [*(Visitor(place, over) for _ in range(VISITORS)), *(Operator(place, tab, over) for tab in staff[:BUSY])]
    try:
        struck = [strike(place, *blow) for blow in BLOWS]
    finally:
        over.set()
    for person in people:
        person.thread.join(60)
        assert not person.thread.is_alive()
    tell(place, "calm_down")
    eventually(place.is_healthy, within=30)
    last = "SELECT max(id) FROM dialogs_dialogevent"
    eventually(lambda: len({place.records.rows(last)[0] for _ in range(3) if not time.sleep(1.1)}) == 1, within=2 * WITHIN)
    yield struck, people
    for person in people[:VISITORS]:
        person.page.vanish()


def test_every_blow_fell_while_dialogs_were_given(place, blows, watch):
    struck, people = blows
    assert sum(blow.assigned for blow in struck) >= len(BLOWS) - 3
    half_done = [blow for blow in struck if blow.assigned and blow.statement[:6] in {"UPDATE", "INSERT"}]
    assert sum(blow.how == KILLED for blow in half_done) > 2
    assert min(person.begun for person in people[:VISITORS]) > 0
    assert min(person.taken for person in people[VISITORS:]) > 1
    kinds = Counter(kind for (kind,) in place.records.rows("SELECT kind FROM dialogs_dialogevent"))
    assert kinds["assigned"] > WAITING // 3
    assert kinds["unassigned"] > WAITING // 10
    assert watch.looks > 50


def test_each_dialog_is_in_one_section_and_where_its_events_lead(place, blows):
    assert json.loads(tell(place, "tell_wrong")) == []


def test_at_no_moment_was_anybody_over_a_limit_or_anything_assigned_without_its_event(blows, watch):
    assert watch.is_alive()
    assert watch.wrong == []


def test_the_rest_is_given_once_there_is_room(place, staff, blows, watch):
    for tab in staff:  # whoever let dialogs wait is given them again after an own action (Q8)
        assert tab.act("/workspace/status/", status="online").is_success
    time.sleep(2)
    assert place.records.rows(WAITING_FOR_SOMEBODY), "there was no room for all"
    tell(place, "make_room")  # what each second brings is all that gives it now
    eventually(lambda: not place.records.rows(WAITING_FOR_SOMEBODY), within=WITHIN)
    nobodys = "SELECT count(*), count(d.operator_id) FROM dialogs_dialog d JOIN operators_department p ON p.id = d.department_id"
    nobodys += " WHERE p.slug = %s"
    assert place.records.rows(nobodys, NOBODYS) == [(WAITING // (len(DEPARTMENTS) + 2), 0)]
    assert json.loads(tell(place, "tell_wrong")) == []
    assert watch.wrong == []


def test_nothing_stays_locked(place, staff, blows):
    for unit in ("beat", "worker@clock"):
        place.stop(unit)
    locked = "SELECT a.application_name, a.state, a.query FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid"
    locked += " WHERE a.datname = current_database() AND (l.locktype = 'advisory' OR a.state LIKE 'idle in transaction%%')"
    eventually(lambda: not place.records.rows(locked), within=5)
    assert place.records.rows("SELECT 1 FROM pg_prepared_xacts WHERE database = current_database()") == []
