"""Operators without a browser: one tab of the workspace, for tests with real processes."""

import json
import re
import threading
import time

import httpx
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.running import Service


class Tab:
    """A signed-in workspace with its stream: answers pings and comes back as the page does, until `vanish` (a closed laptop)."""

    def __init__(self, service: Service, login: str, password: str, *, status: str = "online") -> None:
        self.url = service.url
        self.client = self.network(service)
        self.client.get("/accounts/login/")
        form = {"username": login, "password": password, "csrfmiddlewaretoken": self.client.cookies["csrftoken"]}
        page = self.client.post("/accounts/login/", data=form)
        assert "<main" in page.text, page.text
        self.ticket = re.search(r'<main[^>]* data-ticket="([^"]+)"', page.text)[1]
        form = {"status": status, "csrfmiddlewaretoken": self.client.cookies["csrftoken"]}
        assert self.client.post("/workspace/status/", data=form).is_success
        self.here = threading.Event()
        self.here.set()
        threading.Thread(target=self._live, daemon=True).start()

    def network(self, service: Service) -> httpx.Client:
        """A browser's connections and cookies."""
        return httpx.Client(base_url=service.url, follow_redirects=True, timeout=20)

    def _live(self) -> None:
        while self.here.is_set():
            try:
                address = self.url.replace("http", "ws") + "/live/workspace/stream"
                with connect(address, open_timeout=5, origin=self.url) as stream:
                    stream.send(json.dumps({"ticket": self.ticket, "since": ""}))
                    while self.here.is_set():
                        try:
                            if stream.recv(timeout=0.5) == "ping":
                                stream.send("pong")
                        except TimeoutError:
                            continue
            except (ConnectionClosed, OSError, TimeoutError):
                time.sleep(0.5)
                self._fetch_ticket()

    def _fetch_ticket(self) -> None:
        try:
            answer = self.client.get("/workspace/ticket/")
            if answer.is_success:
                self.ticket = answer.json()["ticket"]
        except httpx.HTTPError:
            time.sleep(0.5)

    def vanish(self) -> None:
        self.here.clear()

    def sign_out(self) -> None:
        """Log out (A2): the stream is closed by the server."""
        self.vanish()
        self.client.post("/accounts/logout/", data={"csrfmiddlewaretoken": self.client.cookies["csrftoken"]})
