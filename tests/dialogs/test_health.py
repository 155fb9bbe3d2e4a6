"""/healthz: well only when the database, both workers and beat are (interfaces.md, "Addresses")."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from ipaddress import ip_network

import pytest
from django.db import OperationalError
from django.test import Client

from dialogs import tasks
from dialogs.actions import pulse as pulses
from dialogs.models import Pulse
from webim_offline import health
from webim_offline.foundation.database.clock import database_now

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


class AtOnce:
    """Asks in the test's own thread and transaction."""

    def submit(self, question):
        answer = Future()
        try:
            answer.set_result(question())
        except OperationalError as error:
            answer.set_exception(error)
        return answer


def pulse(name: str, ago: float) -> None:
    Pulse.objects.update_or_create(name=name, defaults={"at": database_now() - timedelta(seconds=ago)})


@pytest.fixture(autouse=True)
def all_well(db, monkeypatch):
    monkeypatch.setattr(health, "_reader", AtOnce())
    monkeypatch.setattr(health, "_read", lambda: health.ages())
    for name in health.OLDEST:
        pulse(name, ago=1)


def test_all_well(client):
    answer = client.get("/healthz")
    assert answer.status_code == 200
    assert answer.json()["ok"] is True
    assert answer["Content-Type"] == "application/json"


@pytest.mark.parametrize(("name", "ago"), [(Pulse.BEAT, 5.5), (Pulse.SWEEP, 5.5), (Pulse.MAIL, 61), (Pulse.SWEEP, -30)])
def test_a_part_that_did_not_run_lately(client, name, ago):
    pulse(name, ago)
    answer = client.get("/healthz")
    assert answer.status_code == 503
    body = answer.json()
    assert body["ok"] is False
    assert {part for part, told in body["parts"].items() if not told["ok"]} == {name}


@pytest.mark.parametrize("name", [Pulse.BEAT, Pulse.SWEEP, Pulse.MAIL])
def test_a_part_that_never_ran(client, name):
    Pulse.objects.filter(name=name).delete()
    assert client.get("/healthz").status_code == 503


def test_a_letter_on_its_way_is_no_illness(client):
    pulse(Pulse.MAIL, ago=20)
    assert client.get("/healthz").status_code == 200


def test_one_query(django_assert_num_queries):
    with django_assert_num_queries(1):
        assert set(health.ages()) == set(health.OLDEST)


def test_the_database_is_down(client, monkeypatch):
    def ages():
        raise OperationalError("connection refused\n\tIs the server running?")

    monkeypatch.setattr(health, "ages", ages)
    answer = client.get("/healthz")
    assert answer.status_code == 503
    assert answer.json() == {"ok": False, "database": False, "parts": {}, "error": "connection refused Is the server running?"}


@pytest.mark.django_db(transaction=True)
def test_a_thread_of_its_own_asks(monkeypatch):
    monkeypatch.undo()
    for name in health.OLDEST:
        pulse(name, ago=1)
    assert Client().get("/healthz").status_code == 200


def test_the_database_does_not_answer(client, monkeypatch):
    let_go = threading.Event()
    with ThreadPoolExecutor(1) as reader:
        monkeypatch.setattr(health, "_reader", reader)
        monkeypatch.setattr(health, "_read", lambda: let_go.wait(10) and dict.fromkeys(health.OLDEST, 0.1))
        monkeypatch.setattr(health, "PATIENCE", 0.1)
        try:
            for _ in range(3):  # a second question while the first one hangs is no worse
                answer = client.get("/healthz")
                assert answer.status_code == 503
                assert answer.json()["database"] is False
        finally:
            let_go.set()
        monkeypatch.setattr(health, "PATIENCE", 5)
        assert client.get("/healthz").status_code == 200


def test_strangers_learn_one_word(client):
    stranger = Client(REMOTE_ADDR="203.0.113.9")
    assert stranger.get("/healthz").json() == {"ok": True}
    pulse(Pulse.BEAT, ago=9)
    assert stranger.get("/healthz").json() == {"ok": False}


def test_only_a_trusted_proxy_speaks_for_another_address(client, settings):
    settings.METRICS_ALLOW = [ip_network("192.0.2.7/32")]
    forwarded = {"HTTP_X_FORWARDED_FOR": "192.0.2.7"}
    assert set(client.get("/healthz", **forwarded).json()) == {"ok"}
    settings.TRUSTED_PROXIES = [ip_network("127.0.0.1/32")]
    assert "parts" in client.get("/healthz", **forwarded).json()


def test_reading_only(client):
    assert client.post("/healthz").status_code == 405
    assert client.head("/healthz").status_code == 200


def test_the_sweep_gives_its_pulse(client):
    pulse(Pulse.SWEEP, ago=30)
    tasks.advance_dialogs()
    assert client.get("/healthz").status_code == 200


def test_a_new_start_forgets_the_earlier_ones_pulses(client):
    pulse(Pulse.LEASES, ago=3)
    pulses.forget_beats()
    assert client.get("/healthz").status_code == 503
    assert Pulse.objects.get().name == Pulse.LEASES  # P9 measures an outage by it
