"""Many who guess at passwords at once: a page thread never waits for a hash, and memory stays where it was."""

import itertools
import threading
import time
from collections import Counter

import httpx
import pytest

from tests.running import Service
from tests.visitors import Page

pytestmark = pytest.mark.long

CLIENTS = 24
SECONDS = 10
MOST_GROWTH = 150 * 1024 * 1024  # bytes; measured 50 MiB, on the commit before 970
LONGEST_WAIT = 5.0  # seconds for the widget on a loaded machine; up to 13 on the commit before


def test_visitors_do_not_wait_for_those_who_guess(tmp_path):
    # each attempt from a network of its own, as a proxy tells it: the limits of networks and names let all of them through
    service = Service(tmp_path / "var", TRUSTED_PROXIES="127.0.0.1")
    over = threading.Event()
    codes: Counter[int] = Counter()
    numbers = itertools.count()

    def guess():
        with httpx.Client(base_url=service.url, timeout=60) as client:
            client.get("/accounts/login/")
            while not over.is_set():
                number = next(numbers)
                form = {"username": f"person{number}", "password": "wrong", "csrfmiddlewaretoken": client.cookies["csrftoken"]}
                network = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
                codes[client.post("/accounts/login/", data=form, headers={"X-Forwarded-For": network}).status_code] += 1

    try:
        service.start()
        web = service.children()["web"]
        before = web.memory_info().rss
        clients = [threading.Thread(target=guess) for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        most, waits, until = before, [], time.monotonic() + SECONDS
        while time.monotonic() < until:
            began = time.monotonic()
            Page(service).vanish()
            waits.append(time.monotonic() - began)
            most = max(most, web.memory_info().rss)
        over.set()
        for client in clients:
            client.join()
    finally:
        over.set()
        service.stop()
    print(f"{dict(codes)}, {len(waits)} widgets, longest {max(waits):.2f} s, {(most - before) / 2**20:.0f} MiB more")
    assert codes[200] > 0, "some were looked at"
    assert codes[429] > 0, "and the others sent away at once"
    assert set(codes) == {200, 429}
    assert most - before < MOST_GROWTH
    assert max(waits) < LONGEST_WAIT
