"""Whoever can write to Redis cannot run anything in the service: neither its cache nor its workers unpickle (X3)."""

import pickle

import pytest
from django.core.cache import caches
from django.db import connection
from kombu.exceptions import ContentDisallowed
from kombu.serialization import dumps, loads, prepare_accept_content

from dialogs.reading import queues
from dialogs.reading.rights import person_of
from tests import people
from tests.services import own_redis
from webim_offline.celery import app
from webim_offline.foundation import redis_gate

ran = []


class Trap:
    """Notes that it was unpickled."""

    def __reduce__(self):
        return ran.append, (True,)


@pytest.fixture(scope="module")
def address():
    with own_redis() as address:
        yield f"{address}/0"


@pytest.fixture
def cache(address, settings):
    settings.REDIS_URL = address
    backend = settings.CACHES["default"]["BACKEND"]
    if "locmem" in backend:  # what settings.py chooses where REDIS_URL is set
        backend = "webim_offline.foundation.shared_cache.SharedCache"
    settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": address}}
    caches["default"].clear()
    ran.clear()
    return caches["default"]


@pytest.fixture
def stored(address, cache):
    """Puts bytes where the cache keeps the value of a key."""
    return lambda key, value: redis_gate.gate(address).client.set(cache.make_key(key), value)


def test_what_was_pickled_is_never_loaded_and_counts_as_not_there(cache, stored):
    stored("tea", pickle.dumps(Trap()))
    assert cache.get("tea", "nothing") == "nothing"
    assert cache.get_many(["tea"]) == {}
    with pytest.raises(ValueError):
        cache.incr("tea")
    assert ran == []


@pytest.mark.parametrize("value", [b"", b"\xff\xfe", b"{", b"[" * 100_000, b"9" * 5_000, b"NaN,"])
def test_what_is_no_json_counts_as_not_there(cache, stored, value):
    stored("tea", value)
    assert cache.get("tea", "nothing") == "nothing"


@pytest.mark.parametrize("value", [0, -7, True, False, None, 1.5, "12", "чай", [1, None, [True, 2]], {"tea": ["green"]}])
def test_what_was_put_in_comes_out(cache, value):
    cache.set("tea", value)
    found = cache.get("tea", "nothing")
    assert (found, type(found)) == (value, type(value))


def test_it_counts(cache):
    assert cache.add("cups", 1, timeout=60)
    assert not cache.add("cups", 5)
    assert [cache.incr("cups"), cache.incr("cups", 5), cache.decr("cups")] == [2, 7, 6]
    cache.delete_many(["cups"])
    with pytest.raises(ValueError):
        cache.incr("cups")


def test_what_has_no_time_left_is_gone(cache):
    cache.set("tea", 1, timeout=None)
    assert cache.touch("tea", 60)
    cache.set("tea", 2, timeout=0)
    assert not cache.has_key("tea")
    assert cache.add("tea", 3, timeout=0)
    assert not cache.touch("tea", 60)


def test_the_lengths_of_long_queues_are_counted_once_for_everybody(cache, account, vera, monkeypatch):
    monkeypatch.setattr(queues, "COUNTED_AT_ONCE", 1)
    for _ in range(2):
        people.start_dialog(account)
    person = person_of(vera)
    assert queues.WaitingCounts(vera, person).of(is_offline=True) == 2
    with connection.execute_wrapper(lambda *arguments: pytest.fail("it was to be remembered")):
        assert queues.WaitingCounts(vera, person).of(is_offline=True) == 2


def test_a_queue_that_is_short_is_counted_anew(cache, account, vera):
    for count in range(1, 4):
        people.start_dialog(account)
        assert queues.WaitingCounts(vera, person_of(vera)).of(is_offline=True) == count


@pytest.mark.parametrize("content_type", ["application/x-python-serialize", "pickle", "application/x-yaml"])
def test_a_worker_takes_json_alone(content_type):
    assert set(app.conf.accept_content) == {"json"}
    assert set(app.conf.result_accept_content) == {"json"}
    assert {app.conf.task_serializer, app.conf.result_serializer, app.conf.event_serializer} == {"json"}
    accepted = prepare_accept_content(app.conf.accept_content)
    with pytest.raises(ContentDisallowed):
        loads(pickle.dumps(Trap()), content_type, "binary", accept=accepted)
    assert ran == []
    assert loads(dumps({"tea": 1})[2], "application/json", "utf-8", accept=accepted) == {"tea": 1}
