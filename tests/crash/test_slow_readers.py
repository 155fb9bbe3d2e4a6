"""Pages that take nothing of what they are told: closed with a reason, in bounded memory, at nobody else's cost (X3)."""

import base64
import json
import os
import socket
import struct
import threading
import time
from pathlib import Path

import pytest
from websockets.sync.client import connect

from tests.running import Service, temporary_folder
from tests.visitors import Page, claims

pytestmark = pytest.mark.long
READERS = 50
HINTS = 4000  # for each of them: about five times what a connection takes that nobody reads
CLOSED_WITHIN = 60  # seconds; the server's own ping finds a reader silent after 40
PROBED_WITHIN = 130  # seconds; the kernel asks a receiver that had no room at ever longer intervals, of two minutes at most
MOST_GROWTH = 16 * 2**20  # bytes of the live process, for all of them


@pytest.fixture(scope="module")
def service():
    with temporary_folder() as folder:
        service = Service(Path(folder)).start()
        yield service
        service.stop()


class Reader:
    """A WebSocket on a stream whose socket has little room, and which reads only when it is told to."""

    def __init__(self, service: Service) -> None:
        page = Page(service, lives=False)
        self.visitor = claims(page.ticket)["v"]
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.connect(("127.0.0.1", service.port))
        key = base64.b64encode(os.urandom(16)).decode()
        upgrade = f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13"
        self.socket.sendall(f"GET /live/visit/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n{upgrade}\r\n\r\n".encode())
        heard = b""
        while not heard.endswith(b"\r\n\r\n"):
            heard += self.socket.recv(1)
        body = json.dumps({"ticket": page.ticket, "since": "", "service": "offline"}).encode()
        self.socket.sendall(struct.pack("!BBH4x", 0x81, 0x80 | 126, len(body)) + body)  # masked with zeros

    def last_words(self) -> bytes:
        """Everything that was held back for it, to the end of the connection."""
        self.socket.settimeout(PROBED_WITHIN)
        heard = b""
        while part := self.socket.recv(65536):
            heard += part
        self.socket.close()
        return heard[-200:]


def hint(service: Service, channels: list[str]) -> None:
    """As the embedded service tells its live process."""
    port = int((service.folder / "hints.port").read_text())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(json.dumps(channels).encode(), ("127.0.0.1", port))


def established(service: Service) -> int:
    connections = service.children()["web"].net_connections(kind="tcp")
    return sum(one.status == "ESTABLISHED" and one.laddr.port == service.port for one in connections)


def test_readers_that_take_nothing_are_closed_with_a_reason_and_hurt_nobody(service):
    readers = [Reader(service) for _ in range(READERS)]
    lively = Page(service, lives=False)
    before = service.children()["web"].memory_info().rss
    waits: list[float] = []
    over = threading.Event()

    def listen() -> None:
        """A page that answers, and is told of something all the time."""
        with connect(f"ws://127.0.0.1:{service.port}/live/visit/stream", proxy=None) as stream:
            stream.send(json.dumps({"ticket": lively.ticket, "since": "", "service": "offline"}))
            while not over.is_set():
                hint(service, [f"visitor:{lively.visitor}"])
                asked = time.monotonic()
                while (frame := stream.recv(timeout=20)) == "ping":
                    stream.send("pong")
                waits.append(time.monotonic() - asked)
                assert "since" in json.loads(frame) or "ticket" in json.loads(frame)
                over.wait(0.2)

    listening = threading.Thread(target=listen, daemon=True)
    listening.start()
    for _ in range(HINTS):
        hint(service, [f"visitor:{reader.visitor}" for reader in readers])
        time.sleep(0.001)  # a datagram that finds no room is lost
    most, until = 0, time.monotonic() + CLOSED_WITHIN
    while established(service) > 1:
        most = max(most, service.children()["web"].memory_info().rss - before)
        assert time.monotonic() < until, f"{established(service)} connections are still there"
        time.sleep(0.5)
    over.set()
    listening.join(20)
    assert not listening.is_alive()
    assert most < MOST_GROWTH
    assert max(waits) < 5, sorted(waits)[-5:]  # whoever had to wait for a reader would wait ten
    assert len(waits) > 20
    for reader in readers:
        assert b"keepalive ping timeout" in reader.last_words()
    assert "Traceback" not in service.said()
