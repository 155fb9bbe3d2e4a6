"""Redis is away, hangs, or comes back (X3, P9): nobody waits for it, limits hold, and it is said once.

The Redis of these tests is their own; it is stopped, suspended and started again.
"""

import json
import logging
import time
from contextlib import contextmanager

import pytest
from django.core.cache import caches
from django.test import Client

from tests.running import eventually
from tests.services import own_redis_server
from webim_offline.foundation import rate_limits, realtime, redis_gate
from webim_offline.foundation.rate_limits import forget, give_back, spend

SOON = 4.0  # seconds; 0.3 are promised, the rest is for a machine that is busy; a client of Redis alone waits for five


@pytest.fixture(scope="module")
def own_redis():
    with own_redis_server() as (address, server):
        yield f"{address}/0", server


@pytest.fixture
def server(own_redis, settings):
    """The Redis of an installation whose limits, cache and hints are there; it runs when the test begins and ends."""
    address, server = own_redis
    settings.REDIS_URL = address
    settings.CACHES = {"default": {"BACKEND": "webim_offline.foundation.shared_cache.SharedCache", "LOCATION": address}}
    settings.RATE_LIMITS = settings.RATE_LIMITS | {"tea": "4/min"}
    rate_limits.in_memory.clear()
    redis_gate.gate(address).client.flushdb()
    yield server
    if server.process.poll() is not None:
        server.start()
    eventually(lambda: not redis_gate.gate(address).is_away)
    caches["default"].clear()


@contextmanager
def stopped(server):
    server.stop()
    try:
        yield
    finally:
        server.start()


@contextmanager
def hanging(server):
    with server.suspended():
        yield


@pytest.fixture(params=[stopped, hanging], ids=["stopped", "hanging"])
def outage(request, server):
    """Enter it, and Redis is away in one of two ways."""
    return lambda: request.param(server)


@contextmanager
def within(seconds):
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


def is_back():
    return not redis_gate.gate(caches["default"]._url).is_away


def said(caplog):
    return [line.getMessage().partition(",")[0] for line in caplog.records if line.name == "webim_offline.foundation.redis_gate"]


def test_limits_hold_in_the_process_and_nobody_waits(outage):
    spend("tea", "anna")
    with outage():
        with within(SOON):
            waits = [spend("tea", "anna") for _ in range(6)]
        assert [wait > 0 for wait in waits] == [False] * 4 + [True] * 2
        with within(SOON):
            give_back("tea", "anna")
            forget("tea", "boris")
        assert spend("tea", "anna") == 0


def test_after_the_first_failure_nothing_waits_at_all(outage):
    with outage():
        spend("tea", "anna")
        with within(SOON):  # it would be 20 s, or 40, if each waited
            for number in range(200):
                spend("tea", f"visitor-{number}")


def test_when_redis_is_back_it_counts_again(outage, settings):
    with outage():
        for _ in range(4):
            spend("tea", "anna")
    eventually(is_back)
    assert spend("tea", "anna") == 0  # of which Redis knows nothing
    keys = redis_gate.gate(settings.REDIS_URL).client.keys("limit:tea:anna:*")
    assert len(keys) == 1


def test_an_outage_is_said_once_and_so_is_its_end(outage, caplog):
    caplog.set_level(logging.INFO)
    for _ in range(2):
        with outage():
            for _ in range(50):
                spend("tea", "anna")
                realtime.tell(["workspace"])
        eventually(is_back)
    assert said(caplog) == ["Redis is away", "Redis is back"] * 2


def test_hints_hold_nobody_up(outage):
    with outage(), within(SOON):
        assert not any(realtime.tell(["workspace"]) for _ in range(50))


def test_what_was_published_meanwhile_goes_with_the_next_hint(outage, settings, db):
    told = []
    with outage():
        realtime._tell_surely({"first"})
    eventually(is_back)
    with redis_gate.gate(settings.REDIS_URL).client.pubsub() as listener:
        listener.subscribe(realtime.topic(settings.REDIS_URL))
        assert listener.get_message(timeout=5)["type"] == "subscribe"
        realtime._tell_surely({"second"})
        message = eventually(lambda: listener.get_message(timeout=1))
        told = json.loads(message["data"])
    assert told == ["first", "second"]


def test_the_cache_goes_on_in_the_process(outage):
    cache = caches["default"]
    with outage(), within(SOON):
        assert cache.get("tea", "none") == "none"
        assert cache.add("cups", 1)
        assert not cache.add("cups", 1)
        assert cache.incr("cups") == 2
        cache.set("tea", ["green", None, True])
        assert cache.get("tea") == ["green", None, True]
        cache.delete_many(["tea"])
        assert cache.get("tea") is None


def test_a_visitor_writes_and_an_operator_signs_in(outage, account, anna):
    """Neither a 500 nor an open door: the limits are still there."""
    anna.set_password("a password nobody guesses")
    anna.save(update_fields=["password"])
    place = {"account": account.slug, "visit": "visit-000001", "department": "support", "language": "en"}
    client = Client(raise_request_exception=False)

    def post(verb, **body):
        return client.post(f"/widget/api/{verb}", json.dumps(place | body), content_type="text/plain")

    def sign_in(password):
        return Client().post("/accounts/login/", {"username": anna.username, "password": password})

    with outage():
        with within(2 * SOON):
            session = post("session")
            written = post(
                "messages",
                token=session.json()["token"],
                key="key-00000001",
                text="Where is my order?",
                from_form=True,
                contacts={"email": "marina@mail.example"},
            )
        assert (session.status_code, written.status_code) == (200, 201)
        assert sign_in("a password nobody guesses").status_code == 302
        assert [sign_in("wrong").status_code for _ in range(11)][-1] == 429


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("redis://127.0.0.1:6379", "webim_offline.hints"),
        ("redis://127.0.0.1:6379/0", "webim_offline.hints"),
        ("rediss://:secret@redis.example/7", "webim_offline.hints.7"),
    ],
)
def test_hints_of_another_database_are_another_installations(address, name):
    """What is published in one database of a Redis is heard in all of them."""
    assert realtime.topic(address) == name
