"""Visitors and operators who come through a proxy: from addresses of their own, and back as the widget and the workspace come."""

import json
import random
import secrets
import ssl
import threading
import time
from typing import Protocol

import httpx
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import connect

from tests.visitors import Page
from tests.workspaces import Tab

TICKET = 4401  # the close code that asks for a fresh ticket (X5)
LOST = (httpx.HTTPError, WebSocketException, OSError)  # TimeoutError is an OSError


class Place(Protocol):
    """Where the service is reached, and whom one trusts there."""

    url: str
    tls: ssl.SSLContext


class Way:
    """A browser's way to the service, from `address` (any of 127.0.0.0/8): kept connections, and one stream that comes back.

    A stream that was heard comes back within `spread` seconds of its end, to `live_url`.
    """

    path: str
    url: str
    ticket: str
    here: threading.Event

    def set_out(self, place: Place, address: str, spread: float, live_url: str = "") -> None:
        """Before anything is asked."""
        self.address, self.spread, self.tls = address, spread, place.tls
        self.live_url = live_url or place.url
        self.cut = threading.Event()
        self.opened = 0  # streams that were heard
        self.refused: list[str] = []  # what came instead of an answer while something was away
        transport = httpx.HTTPTransport(verify=self.tls, local_address=address)
        self.http = httpx.Client(
            base_url=place.url, transport=transport, timeout=20, trust_env=False, follow_redirects=True,
            headers={"Referer": f"{place.url}/"},
        )  # fmt: skip

    def drop_stream(self, live_url: str = "") -> None:
        """The stream breaks; the next one goes to `live_url`."""
        self.live_url = live_url or self.live_url
        self.cut.set()

    def _live(self) -> None:
        failures = 0
        while self.here.is_set():
            self.cut.clear()
            heard, code = self._one_stream()
            failures = 0 if heard else failures + 1
            try:
                if code == TICKET:
                    self._fetch_ticket()
                elif not heard:
                    self.missed()
            except (*LOST, AssertionError):
                pass
            time.sleep(random.uniform(0, self.spread) if heard else min(4.0, 0.25 * 2**failures) * random.uniform(0.5, 1.5))

    def _one_stream(self) -> tuple[bool, int]:
        """One stream from its beginning to its end: was it heard, and how did it close?"""
        heard = False
        url = self.live_url.replace("http", "ws", 1) + self.path
        options = {"ssl": self.tls if url.startswith("wss") else None, "source_address": (self.address, 0), "origin": self.url}
        try:
            with connect(url, proxy=None, open_timeout=5, close_timeout=1, **options) as stream:
                stream.send(json.dumps(self.hello()))
                while self.here.is_set() and not self.cut.is_set():
                    try:
                        frame = stream.recv(timeout=0.2)
                    except TimeoutError:
                        continue
                    if frame == "ping":
                        stream.send("pong")
                    self.opened += not heard
                    heard = True
                    if frame != "ping":
                        self._hear(json.loads(frame))
        except ConnectionClosed as closed:
            return heard, closed.rcvd.code if closed.rcvd else 1006
        except LOST:
            return heard, 1006
        return heard, 1000

    def until_accepted(self, within: float, ask) -> httpx.Response:
        """The first success of `ask`, tried again for so many seconds: the same key makes it happen once (B1)."""
        until = time.monotonic() + within
        while True:
            try:
                answer = ask()
                assert answer.is_success, answer.text
                return answer
            except (httpx.HTTPError, AssertionError) as refusal:
                self.refused.append(repr(refusal)[:200])
                if time.monotonic() > until:
                    raise
                time.sleep(0.5)


class ProxiedPage(Way, Page):
    """One page of a visitor; reads the conversation when it is told to. `messages` holds it as the visitor sees it."""

    path = "/live/visit/stream"

    def __init__(
        self, place: Place, account: str, address: str, spread: float = 1.0, live_url: str = "", *, polls: bool = False
    ) -> None:
        self.set_out(place, address, spread, live_url)
        self.number = self.revision = 0
        self.messages: list[dict] = []
        self.looking = threading.Lock()
        self.held: list[tuple[float, bool]] = []  # seconds each poll took, and whether it brought news
        super().__init__(place, polls=polls, account=account)

    def post(self, path: str, timeout: float = 20, **body) -> httpx.Response:
        headers = {"Content-Type": "text/plain"}
        return self.http.post(path, content=json.dumps(body), headers=headers, timeout=timeout)

    def write(self, text: str, *, within: float = 0) -> int:
        """Send a message; the dialog's number. What meets an outage is sent again with the same key for so many seconds."""
        message = self.message(text)
        answer = self.until_accepted(within, lambda: self.try_to_ask("messages", token=self.token, **message))
        return answer.json()["number"]

    def look(self) -> None:
        """Read what is new in the conversation; what is told once more is not taken twice."""
        with self.looking:
            answer = self.until_accepted(
                30, lambda: self.try_to_ask("conversation", token=self.token, number=self.number, after=self.revision)
            )
            if found := answer.json()["conversation"]:
                last = self.messages[-1]["revision"] if self.messages else 0
                self.messages += [message for message in found["messages"] if message["revision"] > last]
                self.number, self.revision = found["number"], max(self.revision, found["revision"])

    def hello(self) -> dict:
        return {"ticket": self.ticket, "since": self.since, "service": self.heard[-1]}

    def _hear(self, news: dict) -> None:
        super()._hear(news)
        if news.get("changed"):
            self.look()

    def missed(self) -> None:
        """The stream ended before it was heard: a beat tells whether the service is there."""
        if self.post("/live/visit/beat", ticket=self.ticket).status_code == httpx.codes.UNAUTHORIZED:
            self._fetch_ticket()

    def _live(self) -> None:
        if not self.polls:
            super()._live()
            return
        while self.here.is_set():
            began = time.monotonic()
            try:
                answer = self.post("/live/visit/poll", 40, ticket=self.ticket, since=self.since, service=self.heard[-1])
                if answer.is_success:
                    self.held.append((time.monotonic() - began, answer.json()["changed"]))
                    self._hear(answer.json())
                    continue
                self._fetch_ticket()
            except httpx.HTTPError:
                pass
            time.sleep(0.5)

    def say_goodbye(self, live_url: str = "") -> None:
        """What `pagehide` sends (P2 a), to whichever process."""
        self.vanish()
        answer = self.http.post(f"{live_url or self.url}/live/visit/bye", content=json.dumps({"ticket": self.ticket}))
        assert answer.is_success, answer.text


class ProxiedTab(Way, Tab):
    """One workspace of an operator. `news` holds what it was told."""

    path = "/live/workspace/stream"

    def __init__(self, place: Place, login: str, password: str, address: str, spread: float = 1.0) -> None:
        self.set_out(place, address, spread)
        self.login, self.since = login, ""
        self.news: list[dict] = []
        super().__init__(place, login, password)

    def network(self, _: Place) -> httpx.Client:
        return self.http

    def act(self, path: str, **fields: str) -> httpx.Response:
        """Send a form of the page."""
        form = fields | {"csrfmiddlewaretoken": self.http.cookies["csrftoken"]}
        return self.http.post(path, data=form, headers={"X-Requested-With": "fetch"})

    def take(self, number: int) -> None:
        answer = self.act(f"/workspace/{number}/take/")
        assert answer.is_success, answer.text

    def answer(self, number: int, text: str, *, within: float = 0) -> None:
        """Send an answer; what meets an outage is sent again with the same key for so many seconds."""
        key = secrets.token_hex(12)
        self.until_accepted(within, lambda: self.act(f"/workspace/{number}/answer/", text=text, key=key))

    def hello(self) -> dict:
        return {"ticket": self.ticket, "since": self.since}

    def _hear(self, news: dict) -> None:
        self.since = news["since"]
        self.news.append(news)

    def missed(self) -> None:
        self._fetch_ticket()
