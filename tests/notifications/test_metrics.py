"""/metrics: Prometheus text for those who may see it."""

from datetime import timedelta

import pytest
from django.test import Client

from dialogs.actions.presence import renew_process
from dialogs.models import Dialog, Pulse, Purpose
from notifications.models import OutgoingEmail
from tests import people
from webim_offline import metrics
from webim_offline.foundation.database.clock import database_now

pytestmark = pytest.mark.django_db


def told(client, **headers):
    answer = client.get("/metrics", **headers)
    assert answer.status_code == 200
    lines = answer.content.decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}


def test_what_it_tells(client, account, process):
    visitor = people.make_visitor(account)
    people.arrive(visitor, process)
    people.start_dialog(account, visitor=visitor)
    people.start_dialog(account)
    Dialog.objects.filter(visitor=visitor).update(wake_at=database_now() - timedelta(seconds=90))
    Pulse.objects.create(name=Pulse.BEAT, at=database_now() - timedelta(seconds=7))
    renew_process(process.pk, process.renewed_at, streams=5, polls=2)
    found = told(client)
    assert found["webim_live_processes"] == 1
    assert found['webim_connections_held{kind="stream"}'] == 5
    assert found['webim_connections_held{kind="poll"}'] == 2
    assert found['webim_visits_alive{held="yes"}'] == 1
    assert found['webim_queue_dialogs{queue="general"}'] == 1
    assert found['webim_queue_dialogs{queue="offline"}'] == 1
    assert 90 <= found["webim_deadline_lateness_seconds"] < 120
    assert 7 <= found['webim_pulse_age_seconds{part="beat"}'] < 37


def test_the_outbox(client, account):
    dialog = people.start_dialog(account)
    now = database_now()
    row = {"account": account, "dialog": dialog, "kind": "first", "told_revision": 1, "give_up_at": now}
    for place, (age, next_try) in enumerate([(300, 60), (500, None), (200, 120)]):
        OutgoingEmail.objects.create(
            **row,
            dedupe_key=str(place),
            message_id=str(place),
            created_at=now - timedelta(seconds=age),
            next_try_at=next_try and now - timedelta(seconds=next_try),
        )
    found = told(client)
    assert found["webim_outbox_letters"] == 2
    assert 300 <= found["webim_outbox_age_seconds"] < 330
    assert 120 <= found["webim_outbox_lateness_seconds"] < 150


def test_duties_by_purpose(client, account):
    now = database_now()
    for place, (purpose, due) in enumerate(
        [(Purpose.LEFT_MESSAGE_LETTERS, 10), ("roll_ups", 600), ("roll_ups", -60), ('a "b"\\', 1)]
    ):
        dialog = people.start_dialog(account)
        since = now - timedelta(seconds=100 + place)
        dialog.duties.update(purpose=purpose, due_at=now - timedelta(seconds=due), since=since)
    found = told(client)
    assert found['webim_duties{purpose="left_message_letters"}'] == 1
    assert 100 <= found['webim_duty_age_seconds{purpose="left_message_letters"}'] < 130
    assert 10 <= found['webim_duty_lateness_seconds{purpose="left_message_letters"}'] < 40
    assert found['webim_duties{purpose="roll_ups"}'] == 2, "a purpose that this release does not know"
    assert 102 <= found['webim_duty_age_seconds{purpose="roll_ups"}'] < 132
    assert 600 <= found['webim_duty_lateness_seconds{purpose="roll_ups"}'] < 630
    assert found[r'webim_duties{purpose="a \"b\"\\"}'] == 1


def test_an_empty_service_has_figures_too(client):
    found = told(client)
    assert found['webim_visits_alive{held="yes"}'] == 0
    assert found['webim_duties{purpose="left_message_letters"}'] == 0


def test_strangers_learn_nothing(client):
    answer = Client(REMOTE_ADDR="203.0.113.9").get("/metrics")
    assert answer.status_code == 403
    assert b"webim_" not in answer.content
    assert client.post("/metrics").status_code == 405


def test_few_queries(django_assert_num_queries, account):
    people.start_dialog(account)
    now = database_now()
    with django_assert_num_queries(8):
        list(metrics.figures(now))
