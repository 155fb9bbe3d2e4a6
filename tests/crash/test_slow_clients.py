"""The embedded service beside clients that send three bytes of a body or of a head, or read nothing: pages are served (X3).

tests/crash/test_deployment.py shows the same for the production layout.
"""

import json
import threading
import time
from pathlib import Path

import httpx
import pytest

from tests.running import Service, temporary_folder
from tests.slow_clients import SlowClient, post, until_ended
from webim_offline.foundation.http.request_bodies import FIRST, SILENCE, SLOWEST
from webim_offline.http_protocol import HEAD_WITHIN

pytestmark = pytest.mark.long
CROWD = 40  # of each kind: more than there are threads for pages
LARGE = "/static/admin/js/vendor/jquery/jquery.js"


@pytest.fixture(scope="module")
def service():
    with temporary_folder() as folder:
        service = Service(Path(folder)).start()
        yield service
        service.stop()


def seconds_of_pages(service: Service, count: int = 10) -> list[float]:
    """How long so many pages and API calls take, one after another."""
    found = []
    for number in range(count):
        path = ("/accounts/login/", "/widget/demo.js", "/healthz")[number % 3]
        began = time.monotonic()
        assert httpx.get(f"{service.url}{path}", timeout=30).is_success
        found.append(time.monotonic() - began)
    return found


def test_bodies_that_stall_hold_no_page_and_are_sent_away_while_a_slow_phone_is_served(service):
    session = json.dumps({"account": "demo", "token": "", "visit": "slow-phone-1", "department": "", "language": "en", "page": {}})
    body = session.encode() + b" " * 11_000
    stalled = [SlowClient(service.url, post("/widget/api/session", 100, b"{ab")) for _ in range(CROWD)]
    stalled += [SlowClient(service.url, post("/live/visit/beat", 100, b"{ab")) for _ in range(CROWD)]
    phone = SlowClient(service.url, post("/widget/api/session", len(body)))
    sent_all = threading.Event()

    def upload() -> None:
        """A little faster than the slowest that is served, for longer than a stalled one is waited for."""
        step = int(SLOWEST * 0.5 * 1.2)
        for begin in range(0, len(body), step):
            time.sleep(0.5)
            phone.send(body[begin : begin + step])
        sent_all.set()

    threading.Thread(target=upload, daemon=True).start()
    assert max(seconds_of_pages(service)) < 5
    until_ended(stalled, within=SILENCE + 10)
    assert {client.status for client in stalled} == {408}
    assert max(client.ended_after or 0 for client in stalled) >= min(SILENCE, FIRST) - 1
    assert not sent_all.is_set(), "the phone is still sending"
    assert sent_all.wait(30)
    while not phone.status:
        phone.look()
        time.sleep(0.1)
    assert phone.status == 200
    assert time.monotonic() - phone.began > FIRST
    assert b'"ticket"' in phone.heard


def test_heads_that_do_not_end_are_not_waited_for(service):
    heads = [SlowClient(service.url, b"") for _ in range(CROWD)]
    heads += [SlowClient(service.url, b"GET /acc") for _ in range(CROWD)]
    heads += [SlowClient(service.url, b"GET /live/visit/beat HTTP/1.1\r\nHost: localhost\r\nX-") for _ in range(CROWD)]
    assert max(seconds_of_pages(service)) < 5
    until_ended(heads, within=HEAD_WITHIN + 10)
    assert {client.status for client in heads} == {0, 408}


def test_readers_that_take_nothing_hold_no_page(service):
    ask = f"GET {LARGE} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    readers = [SlowClient(service.url, ask, room=2048) for _ in range(CROWD)]
    time.sleep(1)
    assert max(seconds_of_pages(service)) < 5
    for reader in readers:
        reader.socket.close()
