"""Clients that hardly send or read anything, as raw sockets: what an attacker has plenty of."""

import selectors
import socket
import ssl
import time
from collections.abc import Iterable
from urllib.parse import urlsplit


class SlowClient:
    """One connection to `url` that has said `words`; `heard` is what came back so far, `ended_after` the seconds until its end."""

    def __init__(self, url: str, words: bytes, *, tls: ssl.SSLContext | None = None, address: str = "", room: int = 0) -> None:
        parts = urlsplit(url)
        self.socket = socket.socket()
        if room:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        if address:
            self.socket.bind((address, 0))
        self.socket.settimeout(10)
        self.socket.connect((socket.gethostbyname(parts.hostname or ""), parts.port or 0))
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname=parts.hostname)
        self.socket.sendall(words)
        self.began = time.monotonic()
        self.heard = b""
        self.ended_after: float | None = None

    def send(self, words: bytes) -> None:
        self.socket.sendall(words)

    def look(self) -> None:
        """Take what has come; never waits."""
        self.socket.settimeout(0)
        try:
            while part := self.socket.recv(65536):
                self.heard += part
            self._end()
        except (BlockingIOError, ssl.SSLWantReadError):
            pass
        except OSError:
            self._end()

    def _end(self) -> None:
        self.ended_after = time.monotonic() - self.began
        self.socket.close()

    @property
    def status(self) -> int:
        """Of the first answer; 0 before it."""
        line = self.heard.partition(b"\r\n")[0].split()
        return int(line[1]) if len(line) > 1 else 0


def post(path: str, length: int, body: bytes = b"", host: str = "localhost") -> bytes:
    """The head of a POST that promises `length` bytes, and the first of them."""
    lines = [f"POST {path} HTTP/1.1", f"Host: {host}", "Content-Type: text/plain", f"Content-Length: {length}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def until_ended(clients: Iterable[SlowClient], within: float) -> None:
    """Return when the server has ended all of the connections. Raises AssertionError after `within` seconds."""
    left = list(clients)
    until = time.monotonic() + within
    with selectors.DefaultSelector() as selector:
        for client in left:
            client.look()
            if client.ended_after is None:
                selector.register(client.socket, selectors.EVENT_READ, client)
        while selector.get_map():
            assert time.monotonic() < until, f"{len(selector.get_map())} connections are still there after {within} s"
            for key, _ in selector.select(1.0):
                place = key.fileobj
                key.data.look()
                if key.data.ended_after is not None:
                    selector.unregister(place)
