"""What stands between an ASGI server and the threads that make pages: bodies, names, and answers nobody reads."""

import asyncio
import json
import threading
import time

import pytest

from tests.test_client_address import scope_of
from webim_offline.foundation.http import pages, request_bodies
from webim_offline.foundation.http.pages import Pages
from webim_offline.foundation.http.request_bodies import Holdings

KIB = 1024


class Connection:
    """One request as ASGI messages. Pieces of the body are (seconds before it, bytes); after the last one nothing comes."""

    def __init__(self, *pieces, peer="127.0.0.1", ends=True, path="/widget/api/session", headers=(), reads=True, **more):
        self.scope = scope_of(*headers, peer=peer, path=path, **({"method": "POST"} | more))
        self.pieces, self.ends = list(pieces), ends
        self.sent = []
        self.reads = asyncio.Event()
        if reads:
            self.reads.set()

    async def receive(self):
        if not self.pieces:
            if self.ends:
                self.ends = False
                return {"type": "http.request", "body": b"", "more_body": False}
            await asyncio.Event().wait()
        seconds, body = self.pieces.pop(0)
        await asyncio.sleep(seconds)
        return {"type": "http.request", "body": body, "more_body": True}

    async def send(self, message):
        if message["type"] == "http.response.body":
            await self.reads.wait()
        self.sent.append(message)

    async def through(self, app):
        await app(self.scope, self.receive, self.send)
        return self.status

    @property
    def status(self):
        return self.sent[0]["status"] if self.sent else None

    @property
    def headers(self):
        return dict(self.sent[0]["headers"])

    @property
    def body(self):
        return b"".join(message["body"] for message in self.sent[1:])


def echo(environ, start_response):
    """Answers what it got."""
    body = environ["wsgi.input"].read()
    told = {name: value for name, value in environ.items() if isinstance(value, str)}
    start_response("200 OK", [("Content-Type", "application/json"), ("X-Odd", " a ")])
    return [json.dumps(told).encode(), b"\n", body]


def told(connection):
    return json.loads(connection.body.partition(b"\n")[0])


@pytest.fixture
def quick(monkeypatch):
    """Patience of tenths of seconds."""
    monkeypatch.setattr(request_bodies, "SILENCE", 0.4)
    monkeypatch.setattr(request_bodies, "FIRST", 0.6)
    monkeypatch.setattr(request_bodies, "SLOWEST", 100)


def test_a_request_and_its_answer_pass_unchanged():
    async def story():
        lines = [("Content-Type", "text/plain"), ("Cookie", "a=1"), ("X-Two", "1"), ("Cookie", "b=2")]
        lines += [("X-Two", "2"), ("Odd_Name", "x")]
        asked = Connection((0, b"one "), (0, b"two"), headers=lines, path="/tea/ё", query_string=b"q=%D1%91&raw=\xff")
        await asked.through(Pages(echo, threads=1))
        return asked

    asked = asyncio.run(story())
    assert asked.status == 200
    assert asked.headers[b"x-odd"] == b"a"
    assert asked.body.endswith(b"\none two")
    environ = told(asked)
    assert environ["CONTENT_LENGTH"] == "7"
    assert (environ["CONTENT_TYPE"], environ["HTTP_COOKIE"], environ["HTTP_X_TWO"]) == ("text/plain", "a=1; b=2", "1,2")
    assert environ["PATH_INFO"].encode("latin-1").decode() == "/tea/ё"
    assert environ["QUERY_STRING"] == "q=%D1%91&raw=%FF"
    assert not [name for name in environ if "ODD_NAME" in name]


def test_twenty_bodies_that_stall_take_no_thread_and_are_sent_away(quick):
    async def story():
        app = Pages(echo, threads=2)
        stalled = [Connection((0, b"{ab"), ends=False) for _ in range(20)]
        hanging = [asyncio.create_task(connection.through(app)) for connection in stalled]
        await asyncio.sleep(0.1)
        began = time.monotonic()
        assert await Connection((0, b"{}")).through(app) == 200
        quick_enough = time.monotonic() - began < 0.3
        return quick_enough, await asyncio.gather(*hanging), stalled[0], app.holdings

    quick_enough, statuses, stalled, holdings = asyncio.run(story())
    assert quick_enough
    assert statuses == [408] * 20
    assert stalled.headers[b"connection"] == b"close"
    assert stalled.headers[b"access-control-allow-origin"] == b"*"
    assert stalled.headers[b"x-content-type-options"] == b"nosniff"
    assert "in time" in json.loads(stalled.body)["detail"]
    assert (holdings.all_bytes, holdings.all_reading, dict(holdings.bytes), dict(holdings.reading)) == (0, 0, {}, {})


def test_a_slow_but_steady_body_lives_and_one_that_drips_does_not(quick):
    async def story():
        app = Pages(echo, threads=1)
        steady = Connection(*[(0.2, b"x" * 40)] * 8)  # 1.6 s, 200 bytes a second
        dripping = Connection(*[(0.2, b"x")] * 50)
        began = time.monotonic()
        found = await asyncio.gather(steady.through(app), dripping.through(app))
        return found, time.monotonic() - began

    found, seconds = asyncio.run(story())
    assert found == [200, 408]
    assert seconds < 8


@pytest.mark.parametrize("announces", [True, False])
def test_a_body_larger_than_any_page_takes_is_refused_before_it_is_kept(announces):
    size = request_bodies.largest() + 1

    async def story():
        lines = [("Content-Length", str(size))] if announces else []
        asked = Connection(*[(0, b"x" * 64 * KIB)] * 5, headers=[*lines, ("Accept-Language", "ru-RU,ru;q=0.9")])
        app = Pages(echo, threads=1)
        await asked.through(app)
        return asked, len(asked.pieces), app.holdings.all_bytes

    asked, unread, held = asyncio.run(story())
    assert (asked.status, held) == (413, 0)
    assert unread == (5 if announces else 0)
    assert json.loads(asked.body)["detail"] == "Запрос слишком велик."


def test_what_unfinished_bodies_hold_is_bounded_for_one_network_and_leaves_room_for_others(monkeypatch, quick):
    monkeypatch.setattr(request_bodies, "MOST_HELD_BY_ONE", 300 * KIB)
    monkeypatch.setattr(request_bodies, "MOST_READING_OF_ONE", 5)
    monkeypatch.setattr(request_bodies, "SILENCE", 2.0)
    monkeypatch.setattr(request_bodies, "FIRST", 2.0)

    async def story():
        app = Pages(echo, threads=1)
        greedy = [Connection((0, b"x" * 200 * KIB), ends=False, peer="203.0.113.9") for _ in range(2)]
        many = [Connection((0, b"x"), ends=False, peer="198.51.100.1") for _ in range(7)]
        tasks = [asyncio.create_task(connection.through(app)) for connection in (*greedy, *many)]
        await asyncio.sleep(0.2)
        other = await Connection((0, b"{}"), peer="192.0.2.1").through(app)
        early = [connection.status for connection in (*greedy, *many)], app.holdings.all_bytes
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return early, other, app.holdings.all_bytes

    (statuses, held), other, left = asyncio.run(story())
    assert statuses == [None, 503, None, None, None, None, None, 503, 503]
    assert held == 200 * KIB + 5
    assert (other, left) == (200, 0)


def test_readers_that_take_nothing_hold_no_thread_and_a_bounded_memory(monkeypatch):
    monkeypatch.setattr(request_bodies, "MOST_HELD_BY_ONE", 1000 * KIB)
    calls = []

    def large(environ, start_response):
        calls.append(environ["PATH_INFO"])
        start_response("200 OK", [])
        return iter([b"x" * 100 * KIB] * 3)

    async def story():
        app = Pages(large, threads=1)
        slow = [Connection(reads=False, method="GET", path="/large") for _ in range(5)]
        tasks = [asyncio.create_task(connection.through(app)) for connection in slow]
        await asyncio.sleep(0.3)
        other = await asyncio.wait_for(Connection(method="GET", path="/other", peer="203.0.113.9").through(app), 2)
        held = app.holdings.all_bytes
        for connection in slow:
            connection.reads.set()
        return await asyncio.gather(*tasks), other, held, app.holdings.all_bytes

    statuses, other, held, left = asyncio.run(story())
    assert (sorted(statuses), other) == ([200, 200, 200, 503, 503], 200)
    assert (held, left) == (900 * KIB, 0)
    assert len(calls) == 6


def test_who_waits_for_a_thread_is_counted(monkeypatch):
    monkeypatch.setattr(pages, "MOST_WAITING", 2)
    let_go = threading.Event()

    def busy(environ, start_response):
        let_go.wait(5)
        start_response("204 No Content", [])
        return []

    async def story():
        app = Pages(busy, threads=1)
        asked = [Connection() for _ in range(4)]
        tasks = [asyncio.create_task(connection.through(app)) for connection in asked]
        await asyncio.sleep(0.2)
        early = [connection.status for connection in asked]
        let_go.set()
        return early, await asyncio.gather(*tasks)

    assert asyncio.run(story()) == ([None, None, 503, 503], [204, 204, 503, 503])


def test_a_client_that_goes_away_while_it_sends_is_answered_nothing():
    async def story():
        asked = Connection((0, b"{"))
        asked.receive = asyncio.Queue().get  # nothing

        async def receive():
            return {"type": "http.disconnect"}

        asked.receive = receive
        await asked.through(Pages(echo, threads=1))
        return asked.sent

    assert asyncio.run(story()) == []


def test_holdings_forget_who_holds_nothing():
    holdings = Holdings()
    for number in range(100):
        holdings.grow(f"network {number}", 10)
        with holdings.reader(f"network {number}"):
            pass
        holdings.shrink(f"network {number}", 10)
    assert not holdings.bytes
    assert not holdings.reading
