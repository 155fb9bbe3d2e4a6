"""The switches of rings, and what the panel tells the page's script of (Q12)."""

import re

import pytest

from dialogs.actions.assignment_by_hand import take, transfer_to_operator
from operators.models import Assignment, Operator
from tests import people

URL = "/workspace/rings/"


@pytest.fixture
def as_anna(client, anna):
    client.force_login(anna)
    return client


def switches(page):
    return dict(re.findall(r'name="(rings_\w+)" autocomplete="off"( checked)?', page))


def test_switches_are_on_at_first_and_kept_for_the_person_not_the_browser(as_anna, anna, boris):
    names = ["rings_for_queues", "rings_for_assigned", "rings_for_messages", "rings_on_desktop"]
    assert switches(as_anna.get("/workspace/").content.decode()) == dict.fromkeys(names, " checked")
    assert as_anna.post(URL, {"rings_for_queues": "0", "rings_on_desktop": "0"}).status_code == 200
    again = switches(as_anna.get("/workspace/").content.decode())
    assert [name for name in names if not again[name]] == ["rings_for_queues", "rings_on_desktop"]
    assert as_anna.post(URL, {"rings_on_desktop": "1"}).status_code == 200
    anna.refresh_from_db()
    boris.refresh_from_db()
    assert [getattr(anna, name) for name in names] == [False, True, True, True]
    assert all(getattr(boris, name) for name in names)


@pytest.mark.parametrize("data", [{}, {"role": "1"}, {"rings_for_queues": "yes"}, {"rings_for_queues": "0", "is_active": "0"}])
def test_what_is_no_switch_is_refused_and_changes_nothing(as_anna, anna, data):
    before = Operator.objects.filter(pk=anna.pk).values().get()
    response = as_anna.post(URL, data)
    assert response.status_code == 400
    assert response.json()["error"]
    after = Operator.objects.filter(pk=anna.pk).values().get()
    assert {**after, "last_seen_at": None} == {**before, "last_seen_at": None}


def test_switching_is_for_whoever_is_signed_in(client, account):
    assert client.post(URL, {"rings_for_queues": "0"}).url.startswith("/accounts/login/")
    client.force_login(people.make_operator(None, "help"))
    assert client.post(URL, {"rings_for_queues": "0"}).url == "/admin/"


def ringing(page):
    return re.findall(r'id="section-(\w+)" data-rings="1"', page)


def test_queues_ring_where_dialogs_are_taken_by_hand_and_assigned_ones_always(as_anna, account):
    assert ringing(as_anna.get("/workspace/panel/").content.decode()) == ["waiting", "mine", "general", "offline"]
    account.assignment = Assignment.AUTOMATIC
    account.save()
    assert ringing(as_anna.get("/workspace/panel/").content.decode()) == ["waiting", "mine"]


def test_a_supervisor_is_not_rung_for_other_operators_dialogs(client, account, vera, boris):
    take(people.start_dialog(account).pk, boris)
    client.force_login(vera)
    page = client.get("/workspace/panel/").content.decode()
    assert "others" not in ringing(page)
    assert "data-said" not in page


def test_own_cards_tell_when_the_visitor_last_wrote(as_anna, account, anna, vera):
    people.go_online(anna)
    queued, mine, assigned = (people.start_dialog(account) for _ in range(3))
    take(mine.pk, anna)
    transfer_to_operator(assigned.pk, vera, anna.pk)
    page = as_anna.get("/workspace/panel/").content.decode()
    said = {int(number): int(at) for number, at in re.findall(r'id="card-(\d+)"><a [^>]*data-said="(\d+)"', page)}
    assert said == {one.number: int(one.last_message_at.timestamp() * 1000) for one in (mine, assigned)}
    assert queued.number not in said
