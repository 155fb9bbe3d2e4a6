"""The production layout of docs/deploy.md, from its own example files: nginx, two web and two live processes, workers, beat.

The tests share one deployment and follow its life: the last ones restart it and kill a part of it.
"""

import itertools
import os
import random
import signal
import socket
import ssl
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from dialogs.live.streams import REFUSED, REPLACED, TRY_LATER
from tests.deployment import STREAMS_PER_ADDRESS, Deployment, deployed
from tests.hoarding import fresh_tickets, hoard
from tests.notifications.mail import RunningHost
from tests.proxied import ProxiedPage, ProxiedTab
from tests.running import eventually, temporary_folder
from tests.slow_clients import SlowClient, post, until_ended

pytestmark = pytest.mark.long
ACCOUNT, PASSWORD = "north-tea", "correct horse battery"
OPERATORS = ("anna", "boris", "clara")
LEASE, OPERATOR_LEASE = 12, 15  # seconds; the account's leases here
SPREAD = 4.0  # seconds over which pages come back: in the same proportion to the lease as the widget's
CROWD = 60
SETUP = f"""
from operators.actions.accounts import create_account
from operators.actions.parts import save_part
from operators.actions.people import create_operator
from operators.models import Account, Department, Operator
account = Account(
    slug={ACCOUNT!r}, name="North Tea", left_messages_email="left@north.example",
    visit_lease={LEASE}, operator_lease={OPERATOR_LEASE}, left_notice_after=1, offline_after=3,
)
create_account(account, language_codes=["en"], actor=None)
support = Department(account=account, slug="support", name="Support")
save_part(support, actor=None)
for name in {OPERATORS!r}:
    operator = Operator(username=name, name=name.title(), role="operator", account=account)
    create_operator(operator, password={PASSWORD!r}, departments=[support], languages=list(account.languages.all()))
"""
addresses = (f"127.0.1.{number}" for number in itertools.count(1))  # each visitor comes from an address of its own


@pytest.fixture(scope="module")
def mail():
    host = RunningHost()
    host.start()
    yield host
    host.stop()


@pytest.fixture(scope="module")
def place(mail):
    with temporary_folder() as folder, deployed(Path(folder), f"smtp://127.0.0.1:{mail.port}") as deployment:
        deployment.shell(SETUP)
        yield deployment


@pytest.fixture(scope="module")
def question(place):
    """A question left before anybody is online."""
    page = visitor(place)
    page.number = page.write("Is somebody there?")
    assert set(page.heard) == {"offline"}
    page.vanish()
    return page


@pytest.fixture(scope="module")
def staff(place, question):
    """All operators online, each with a workspace."""
    found = [ProxiedTab(place, name, PASSWORD, next(addresses)) for name in OPERATORS]
    yield found
    for tab in found:
        tab.vanish()


@pytest.fixture(scope="module")
def poller(place, staff):
    """A page whose way lets no stream through: it polls from here on until the end."""
    page = ProxiedPage(place, ACCOUNT, next(addresses), polls=True)
    page.number = page.write("I have no streams.")
    yield page
    page.vanish()


def visitor(place: Deployment) -> ProxiedPage:
    return ProxiedPage(place, ACCOUNT, next(addresses), SPREAD)


def absences(place: Deployment, pages: list[ProxiedPage]) -> list[str]:
    """Everything that was ever said about these visitors being away, in their dialogs."""
    return [kind for page in pages for kind in place.records.absences(page.visitor)]


def holders(place: Deployment, pages: list[ProxiedPage]) -> Counter:
    """How many of the pages' visits each live process holds (None: nobody)."""
    keys = [page.mine["visit"] for page in pages]
    return Counter(str(row[0]) for row in place.records.rows("SELECT process_id FROM dialogs_visit WHERE key = ANY(%s)", keys))


def test_the_way_in(place):
    parts = urlsplit(place.url)
    offer = ssl.create_default_context(cafile=place.certificate)
    offer.set_alpn_protocols(["h2", "http/1.1"])
    with socket.create_connection((parts.hostname, parts.port)) as raw, offer.wrap_socket(raw, server_hostname="localhost") as way:
        assert way.selected_alpn_protocol() == "h2"
    plain = httpx.get(f"http://127.0.0.1:{place.ports[80]}/workspace/", headers={"Host": "localhost"}, trust_env=False)
    assert (plain.status_code, plain.headers["Location"]) == (301, "https://localhost/workspace/")
    with httpx.Client(verify=place.tls, trust_env=False) as client:
        page = client.get(f"{place.url}/accounts/login/", headers={"Accept-Language": "ru"})
        assert "Пароль" in page.text
        assert "Secure" in page.headers["Set-Cookie"]
        assert client.get(f"{place.url}/static/dialogs/workspace/main.js").status_code == 200
        assert client.get(f"{place.url}/widget/{ACCOUNT}.js").status_code == 200
        assert client.get(f"{place.url}/healthz").json()["ok"]


def test_pages_and_workspaces_on_either_live_process_hear_what_any_process_writes(place, staff, poller):
    pages = [visitor(place) for _ in range(6)]
    eventually(lambda: all(page.opened for page in pages))
    eventually(lambda: len(holders(place, pages)) == 2 and "None" not in holders(place, pages))
    for tab, unit in zip(staff, ("live@8201", "live@8202"), strict=False):  # two of them on a process of their own
        tab.drop_stream(place.direct(unit))
    eventually(lambda: all(tab.opened == 2 for tab in staff[:2]))
    time.sleep(1)
    for tab in staff:
        tab.news.clear()
    began = time.monotonic()
    number = pages[0].write("Do you have green tea?")
    eventually(lambda: all(any(news["panel"] for news in tab.news) for tab in staff), within=5, every=0.02)
    for page in pages[1:]:
        page.write("So do I ask.")
    staff[0].take(number)
    for tab, page in zip(itertools.cycle(staff[1:]), pages[1:], strict=False):
        eventually(lambda page=page: page.number)
        tab.take(page.number)
    staff[0].answer(number, "We do.")
    eventually(lambda: "We do." in [message["text"] for message in pages[0].messages], within=5, every=0.02)
    assert time.monotonic() - began < 10
    assert absences(place, pages) == []
    assert {state for page in pages for state in page.heard} == {"online"}
    for tab in staff:
        tab.drop_stream(place.url)
    for page in pages:
        page.say_goodbye()


def test_a_held_poll_is_answered_the_moment_there_is_news(place, staff, poller):
    eventually(lambda: len(poller.held) > 3, within=40)
    staff[2].take(poller.number)
    time.sleep(1)
    poller.held.clear()
    before = time.monotonic()
    staff[2].answer(poller.number, "You need none.")
    eventually(lambda: any(changed for _, changed in poller.held), within=5, every=0.02)
    assert time.monotonic() - before < 2.5


def test_the_service_knows_where_visitors_come_from(place, staff):
    def ask(address: str, path: str, **headers: str) -> httpx.Response:
        transport = httpx.HTTPTransport(verify=place.tls, local_address=address)
        with httpx.Client(transport=transport, trust_env=False) as client:
            return client.get(f"{place.url}{path}", headers=headers)

    assert "webim_live_processes 2" in ask("127.0.0.1", "/metrics").text
    assert ask("127.0.3.1", "/metrics").status_code == 403
    assert ask("127.0.3.1", "/metrics", **{"X-Forwarded-For": "127.0.0.1"}).status_code == 403
    assert ask("127.0.3.1", "/healthz").json() == {"ok": True}
    assert "webim_live_processes 2" in httpx.get(f"{place.direct('web@8101')}/metrics", trust_env=False).text
    assert ask("127.0.3.1", "/metrics", X_Forwarded_For="127.0.0.1").status_code == 403

    def past_nginx(*lines: tuple[str, str]) -> int:
        return httpx.get(f"{place.direct('web@8101')}/metrics", headers=list(lines), trust_env=False).status_code

    ours, theirs = ("X-Forwarded-For", "127.0.3.1"), [("X_Forwarded_For", "127.0.0.1"), ("X-Forwarded_For", "127.0.0.1")]
    for lines in ([ours, *theirs], [*theirs, ours], [("X-Forwarded-For", "127.0.0.1"), ours], [("X-Forwarded-Proto", "http")]):
        assert past_nginx(*lines) == 403, lines
    assert past_nginx(("X-Forwarded-For", "127.0.0.1"), ("X_Forwarded_For", "127.0.3.1")) == 200

    def begin(address: str) -> int:
        page = ProxiedPage(place, ACCOUNT, address)
        page.vanish()
        return page.try_to_ask("messages", token=page.token, **page.message("One of many.")).status_code

    with ThreadPoolExecutor(8) as several:
        crowd = Counter(several.map(begin, ["127.0.3.2"] * 65))
    assert set(crowd) == {201, 429}
    assert 60 <= crowd[201] <= 62  # at the turn of a minute the window slides a little meanwhile
    assert begin("127.0.3.3") == 201


def test_what_is_too_large_is_refused_in_words(place, staff):
    with httpx.Client(verify=place.tls, trust_env=False) as client:
        as_text = {"Content-Type": "text/plain"}
        for size, path, reason in (
            (400_000, "/widget/api/messages", "Request Entity Too Large"),
            (200_000, "/widget/api/messages", "The request is too large."),
            (9_000, "/live/visit/beat", "larger than 8192 bytes"),
        ):
            answer = client.post(f"{place.url}{path}", content=b"{" + b" " * size + b"}", headers=as_text)
            assert (answer.status_code, reason in answer.text) == (413, True), (path, answer.text)


def test_a_sign_in_on_another_port_and_name_is_taken_for_our_own_page(place, staff):
    """nginx passes the host on with its port: the origin of the form is compared with it."""
    way = f"https://127.0.0.1:{place.ports[443]}"
    with httpx.Client(base_url=way, verify=False, trust_env=False) as client:
        client.get("/accounts/login/")
        form = {"username": "anna", "password": PASSWORD, "csrfmiddlewaretoken": client.cookies["csrftoken"]}
        answer = client.post("/accounts/login/", data=form, headers={"Origin": way})
        assert answer.status_code == 302, answer.text


CROWD_OF_SLOW = 20


def seconds_of_pages(ask, count: int = 10) -> float:
    """The longest of so many pages, one after another."""
    longest = 0.0
    for _ in range(count):
        began = time.monotonic()
        assert ask().status_code == 200
        longest = max(longest, time.monotonic() - began)
    return longest


def test_bodies_that_stall_and_readers_that_take_nothing_hold_no_page_behind_nginx(place, staff):
    stalled = [
        SlowClient(place.url, post(path, 100, b"{ab"), tls=place.tls, address="127.0.3.4")
        for path in ("/widget/api/session", "/live/visit/beat")
        for _ in range(CROWD_OF_SLOW)
    ]
    ask = b"GET /static/admin/js/vendor/jquery/jquery.js HTTP/1.1\r\nHost: localhost\r\n\r\n"
    readers = [SlowClient(place.url, ask, tls=place.tls, room=2048) for _ in range(CROWD_OF_SLOW)]
    with httpx.Client(base_url=place.url, verify=place.tls, trust_env=False, timeout=20) as client:
        assert seconds_of_pages(lambda: client.get("/accounts/login/")) < 5
        until_ended(stalled, within=25)
        assert {client.status for client in stalled} <= {0, 408}
        assert seconds_of_pages(lambda: client.get("/accounts/login/"), 2) < 5
    for reader in readers:
        reader.socket.close()


def test_bodies_that_stall_hold_no_page_of_a_process_that_stands_in_the_open(place, staff):
    """Nobody should reach a process past the proxy; one that somebody does reach makes pages all the same."""
    direct = place.direct("web@8101")
    stalled = [SlowClient(direct, post("/widget/api/session", 100, b"{ab")) for _ in range(CROWD_OF_SLOW)]
    heads = [SlowClient(direct, b"GET /accounts/login/ HTTP/1.1\r\nHost: loc") for _ in range(CROWD_OF_SLOW)]
    with httpx.Client(base_url=direct, trust_env=False, timeout=20) as client:
        assert seconds_of_pages(lambda: client.get("/accounts/login/", headers={"X-Forwarded-Proto": "https"})) < 5
        until_ended([*stalled, *heads], within=30)
    assert {client.status for client in stalled} == {408}


def test_whoever_hoards_streams_holds_few_on_each_live_process(place, staff):
    (ticket,) = fresh_tickets(place.url, 1, ACCOUNT, tls=place.tls)
    found = hoard(place.url, [ticket] * 232, tls=place.tls, address="127.0.3.5")
    assert 1 <= found.open <= 2, "one on each live process"
    assert set(found.closed) <= {REPLACED, TRY_LATER, REFUSED}
    tickets = fresh_tickets(place.url, 2 * STREAMS_PER_ADDRESS + 40, ACCOUNT, tls=place.tls)
    found = hoard(place.url, tickets, tls=place.tls, address="127.0.3.6")
    assert STREAMS_PER_ADDRESS <= found.open <= 2 * STREAMS_PER_ADDRESS
    assert set(found.closed) == {TRY_LATER}


def test_a_visitor_moves_between_live_processes_unseen(place, staff):
    one, other = place.direct("live@8201"), place.direct("live@8202")
    mover, swinger, leaver = pages = [ProxiedPage(place, ACCOUNT, next(addresses), 0.5, one) for _ in range(3)]
    eventually(lambda: all(page.opened for page in pages))
    for page in pages:
        page.write("Does it matter where I am?")
    eventually(lambda: len(holders(place, pages)) == 1 and "None" not in holders(place, pages))
    (first,) = holders(place, pages)

    mover.drop_stream(other)
    swinger.drop_stream(other)
    eventually(lambda: (mover.opened, swinger.opened) == (2, 2))
    eventually(lambda: first not in holders(place, [mover, swinger]))
    swinger.drop_stream(one)
    leaver.say_goodbye(other)
    said = time.monotonic()
    eventually(lambda: absences(place, [leaver]), within=6)
    assert time.monotonic() - said > 2
    eventually(lambda: swinger.opened == 3)

    time.sleep(LEASE + 4)
    assert absences(place, [mover, swinger]) == []
    assert set(absences(place, [leaver])) == {"visitor_left", "left_notice", "went_offline"}
    assert first not in holders(place, [mover])
    assert set(holders(place, [swinger])) == {first}
    for page in (mover, swinger):
        page.say_goodbye()


class Watch:
    """Looks twice a second whether all operators are online (A2)."""

    def __init__(self, place: Deployment) -> None:
        self.place = place
        self.online: Counter[int] = Counter()
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> "Watch":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join(10)

    def _look(self) -> None:
        query = """
            SELECT count(*) FROM operators_operator
            WHERE status = 'online' AND clock_timestamp() - last_seen_at <= make_interval(secs => %s)
        """
        while not self.over.wait(0.5):
            self.online[self.place.records.rows(query, OPERATOR_LEASE)[0][0]] += 1


class Talk:
    """Visitors and operators who write all the time, and again what was not accepted."""

    def __init__(self, pages: list[ProxiedPage], of_operator: dict[ProxiedTab, list[ProxiedPage]]) -> None:
        self.written: dict[int, list[str]] = {page.number: [message["text"] for message in page.messages] for page in pages}
        self.failures: list[Exception] = []
        self.over = threading.Event()
        talkers = [(pages[0:20], None), (pages[20:40], None), *((theirs, tab) for tab, theirs in of_operator.items())]
        self.threads = [threading.Thread(target=self._talk, args=talker, daemon=True) for talker in talkers]

    def __enter__(self) -> "Talk":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join(40)

    def _talk(self, pages: list[ProxiedPage], tab: ProxiedTab | None) -> None:
        for number in itertools.count(1):
            if self.over.wait(random.uniform(0.2, 0.8)):
                return
            page = random.choice(pages)
            text = f"{tab.login if tab else 'visitor'} {number} to {page.number}"
            try:
                if tab:
                    tab.answer(page.number, text, within=30)
                else:
                    page.write(text, within=30)
            except (httpx.HTTPError, AssertionError) as failure:
                self.failures.append(failure)
                return
            self.written[page.number].append(text)


def test_a_rolling_restart_and_a_killed_live_process_are_seen_by_nobody(place, staff, poller, question, mail):
    with ThreadPoolExecutor(8) as several:
        pages = list(several.map(lambda _: visitor(place), range(CROWD)))
        list(several.map(lambda page: page.write("Hello"), pages))
    eventually(lambda: all(page.opened and page.number for page in pages), within=30)
    # a message may be stored before the live process has told whose page it is
    eventually(lambda: len(holders(place, pages)) == 2, within=10)
    of_operator = {tab: pages[index::3][:10] for index, tab in enumerate(staff)}
    for tab, theirs in of_operator.items():
        for page in theirs:
            tab.take(page.number)

    with Watch(place) as watch, Talk(pages, of_operator) as talk:
        for unit in ("live@8201", "live@8202"):
            place.restart(unit)
            time.sleep(SPREAD + 3)
        for unit in ("web@8101", "web@8102", "worker@clock", "worker@mail", "beat"):
            place.restart(unit)
        refused = [refusal for client in (*pages, *staff) for refusal in client.refused]
        assert len(refused) <= 3, "web processes that restart one after another are hardly missed"
        os.kill(place.nginx.pid, signal.SIGHUP)  # a new certificate: the old workers end their streams
        eventually(lambda: all(page.opened >= 3 for page in pages), within=30)
        place.kill("live@8201")
        time.sleep(30 + LEASE + 2)  # the lease of the killed process, and one of its visits

    assert talk.failures == []
    assert len(holders(place, pages)) == 1
    assert absences(place, [*pages, poller]) == []
    assert set(watch.online) == {len(OPERATORS)}, watch.online
    assert {state for page in (*pages, poller) for state in page.heard} == {"online"}
    assert len(poller.held) < 80, "polls are held, whichever process answers"
    for page in pages:
        eventually(lambda page=page: len(page.messages) >= len(talk.written[page.number]), within=10)
        assert sorted(message["text"] for message in page.messages) == sorted(talk.written[page.number])
    (letter,) = mail.host.letters_to("left@north.example")
    assert f"#{question.number}" in letter["Subject"]

    for page in pages[:5]:
        page.say_goodbye()
    eventually(lambda: len(absences(place, pages[:5])) == 15, within=15)  # left, noted, offline: once each
    assert absences(place, pages[5:]) == []
    before, failed, after = place.said().partition("Traceback")
    assert not failed, f"{before[-500:]}{failed}{after[:4000]}"
