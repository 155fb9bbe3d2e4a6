"""Visitors without a browser: what the widget does on a page, for tests with real processes."""

import base64
import itertools
import json
import threading
import time

import httpx
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.running import Service

_serial = itertools.count(1)


class Page:
    """One page of a visitor: answers pings and comes back as the widget does, until `vanish` (a cut cable: no goodbye).

    With `polls` it has no stream, without `lives` neither. `heard` holds every service state it was told, in order.
    """

    def __init__(self, service: Service, *, polls: bool = False, lives: bool = True, **place: str) -> None:
        self.url = service.url
        visit = f"page-{time.monotonic_ns()}-{next(_serial)}"
        self.mine = {"account": "demo", "visit": visit, "department": "support", "language": "en"} | place
        session = self.ask("session", token="")
        self.token, self.ticket = session["token"], session["ticket"]
        self.visitor: int = claims(self.ticket)["v"]
        self.heard: list[str] = [session["service"]]
        self.since = ""
        self.here = threading.Event()
        self.polls = polls
        if lives:
            self.come_back()

    def post(self, path: str, timeout: float = 20, **body) -> httpx.Response:
        return httpx.post(f"{self.url}{path}", content=json.dumps(body), headers={"Content-Type": "text/plain"}, timeout=timeout)

    def try_to_ask(self, verb: str, timeout: float = 20, **body) -> httpx.Response:
        page = {"url": "https://shop.example/", "title": "Shop"}
        return self.post(f"/widget/api/{verb}", timeout, **(self.mine | {"languages": ["en"], "page": page} | body))

    def ask(self, verb: str, **body) -> dict:
        answer = self.try_to_ask(verb, **body)
        assert answer.is_success, answer.text
        return answer.json()

    @staticmethod
    def message(text: str, key: str = "") -> dict:
        """A message as the chat window sends it; the same key means the same message (B1)."""
        contacts = {"email": "marina@mail.example"}
        key = key or f"key-{time.monotonic_ns()}-{next(_serial)}"
        return {"text": text, "key": key, "contacts": contacts, "from_form": False, "number": 0, "after": 0}

    def write(self, text: str) -> int:
        return self.ask("messages", token=self.token, **self.message(text))["number"]

    def _live(self) -> None:
        while self.here.is_set():
            try:
                if self.polls:
                    self._poll()
                else:
                    self._stream()
            except (ConnectionClosed, OSError, TimeoutError, httpx.HTTPError):
                if not self.here.wait(0):
                    return
                time.sleep(0.5)
                self._fetch_ticket()

    def _fetch_ticket(self) -> None:
        try:
            self.ticket = self.ask("ticket", token=self.token)["ticket"]
        except (httpx.HTTPError, AssertionError):
            time.sleep(0.5)

    def _stream(self) -> None:
        with connect(self.url.replace("http", "ws") + "/live/visit/stream", open_timeout=5) as stream:
            stream.send(json.dumps({"ticket": self.ticket, "since": self.since, "service": self.heard[-1]}))
            while self.here.is_set():
                try:
                    frame = stream.recv(timeout=0.5)
                except TimeoutError:
                    continue
                if frame == "ping":
                    stream.send("pong")
                else:
                    self._hear(json.loads(frame))

    def _poll(self) -> None:
        answer = self.post("/live/visit/poll", 40, ticket=self.ticket, since=self.since, service=self.heard[-1])
        if answer.is_success:
            self._hear(answer.json())
        else:
            time.sleep(0.5)
            self._fetch_ticket()

    def _hear(self, news: dict) -> None:
        if "ticket" in news:  # to come back with, when the stream is cut
            self.ticket = news["ticket"]
            return
        self.since = news["since"]
        self.heard.append(news["service"])

    def come_back(self) -> None:
        """The page lives (again, after `vanish`)."""
        self.here.set()
        self.thread = threading.Thread(target=self._live, daemon=True)
        self.thread.start()

    def vanish(self) -> None:
        self.here.clear()

    def say_goodbye(self) -> None:
        """What `pagehide` sends (P2 a)."""
        self.vanish()
        assert self.post("/live/visit/bye", ticket=self.ticket).is_success


def claims(ticket: str) -> dict:
    """What a ticket of the live app says, unchecked."""
    packed = ticket.partition(".")[0]
    return json.loads(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)))
