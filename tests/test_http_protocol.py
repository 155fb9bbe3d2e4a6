"""uvicorn with patience that ends: heads of requests that never come to an end, and answers that nobody reads."""

import asyncio
import contextlib

import pytest
import uvicorn
from uvicorn.server import ServerState

from webim_offline import http_protocol
from webim_offline.commands import LIVE_OPTIONS
from webim_offline.http_protocol import PatientProtocol

MIB = 2**20


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(http_protocol, "HEAD_WITHIN", 0.5)
    monkeypatch.setattr(http_protocol, "READS_WITHIN", 0.5)


@contextlib.asynccontextmanager
async def serving(app):
    """A server of `app` on a free port; gives the port."""
    config = uvicorn.Config(app, http=PatientProtocol, ws="websockets-sansio", proxy_headers=False, log_config=None)
    config.load()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: PatientProtocol(config, ServerState(), {}), "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def hello(scope, receive, send):
    """Reads the whole body, then answers with the names it was told."""
    while (await receive()).get("more_body"):
        pass
    body = b" ".join(name for name, _ in scope["headers"])
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})


async def said_to(port, *pieces, pause=0.0):
    """Everything the server says until it ends the connection, and after how many seconds it did."""
    loop = asyncio.get_running_loop()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began = loop.time()
    with contextlib.suppress(ConnectionError):
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)
        heard = await asyncio.wait_for(reader.read(), 10)
        return heard, loop.time() - began
    return b"", loop.time() - began


def test_every_server_of_the_live_app_uses_it():
    assert f"--http={PatientProtocol.__module__}:{PatientProtocol.__name__}" in LIVE_OPTIONS


def test_a_head_that_does_not_end_is_not_waited_for(quick):
    async def story():
        async with serving(hello) as port:
            drip = [b"GET / HTTP/1.1\r\n", *[b"x-a: b\r\n"] * 20]
            again = b"GET / HTTP/1.1\r\nhost: h\r\n\r\n"
            return await asyncio.gather(
                said_to(port), said_to(port, b"GET / HT"), said_to(port, *drip, pause=0.1), said_to(port, again, b"GET ", pause=0.1)
            )

    silent, half, dripping, second = asyncio.run(story())
    assert silent[0] == b""
    assert half[0].startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in half[0]
    assert second[0].count(b"HTTP/1.1 200") == 1
    assert second[0].count(b"HTTP/1.1 408") == 1
    assert max(seconds for _, seconds in (silent, half, second)) < 5
    assert dripping[1] < 5, "each line is no new beginning"


def test_a_head_without_end_is_not_kept():
    async def story():
        async with serving(hello) as port:
            return await said_to(port, b"GET / HTTP/1.1\r\n", *[b"x-a: " + b"b" * 1000 + b"\r\n"] * 100)

    heard, _ = asyncio.run(story())
    assert heard == b"" or heard.startswith(b"HTTP/1.1 431 ")


def test_names_that_come_after_the_body_are_nobodys(quick):
    async def story():
        async with serving(hello) as port:
            head = b"POST / HTTP/1.1\r\nhost: h\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
            return await said_to(port, head + b"2\r\n{}\r\n0\r\nx-forwarded-for: 127.0.0.1\r\n\r\n")

    heard, _ = asyncio.run(story())
    assert heard.endswith(b"\r\n\r\nhost connection transfer-encoding")


def test_a_reader_that_takes_nothing_is_cut_off(quick):
    over = asyncio.Event()

    async def large(scope, receive, send):
        try:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for _ in range(64):
                await send({"type": "http.response.body", "body": b"x" * MIB, "more_body": True})
        finally:
            over.set()

    async def story():
        async with serving(large) as port:
            _unread, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
            writer.write(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n")
            await asyncio.wait_for(over.wait(), 8)
            writer.transport.abort()

    asyncio.run(story())


def test_a_slow_body_and_a_kept_connection_are_left_alone(quick):
    async def story():
        async with serving(hello) as port:
            head = b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 8\r\n\r\n"
            return await said_to(port, head, *[b"x"] * 8, b"GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n", pause=0.2)

    heard, _ = asyncio.run(story())
    assert heard.count(b"HTTP/1.1 200") == 2
