"""The page of operators: everyone's load, and a status set by a supervisor (Q3, Q5, A1, A2, X1, X3)."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from dialogs.actions.assignment_by_hand import take, transfer_to_operator
from dialogs.models import Dialog
from dialogs.reading import team as team_module
from dialogs.reading.team import members
from operators.actions.status import set_status, sign_out
from operators.models import Operator, Status
from tests import people
from webim_offline.foundation.database.clock import database_now

LIVE = {"X-Requested-With": "fetch"}


@pytest.fixture
def as_vera(client, vera):
    people.go_online(vera)
    client.force_login(vera)
    return client


def member(account, person):
    return next(one for one in members(account, database_now())[0] if one.person == person)


def row(html, person):
    found = re.search(rf'<tr id="member-{person.pk}">.*?</tr>', html, re.DOTALL)
    return " ".join(re.sub(r"<select.*?</select>|<[^>]+>", " ", found[0], flags=re.DOTALL).split()) if found else None


def test_the_load_counts_open_dialogs_by_kind_those_not_taken_and_the_oldest_wait(account, anna, vera):
    people.go_online(anna)
    Operator.objects.filter(pk=anna.pk).update(max_online_dialogs=3)
    taken, assigned, online = (people.start_dialog(account) for _ in range(3))
    take(taken.pk, anna)
    transfer_to_operator(assigned.pk, vera, anna.pk)
    take(online.pk, anna)
    Dialog.objects.filter(pk=online.pk).update(is_offline=False)
    found = member(account, Operator.objects.get(pk=anna.pk))
    assert (found.online.count, found.online.limit, found.offline.count, found.offline.limit) == (1, 3, 2, 0)
    assert (found.assigned, found.oldest) == (1, taken.waiting_since)
    assert found.is_online


@pytest.mark.parametrize(
    ("status", "seen_ago", "words"),
    [
        ("online", 0, "Online"),
        ("online", 3600, "Not online no sign of life since"),
        ("online", None, "Not online signed out"),
        ("lunch", 0, "Break: lunch"),
        ("lunch", 3600, "Break: lunch no sign of life since"),
        ("offline", 3600, "Offline"),
    ],
)
def test_the_effective_status_is_said_in_words(as_vera, anna, status, seen_ago, words):
    seen = None if seen_ago is None else database_now() - timedelta(seconds=seen_ago)
    Operator.objects.filter(pk=anna.pk).update(status=status, last_seen_at=seen)
    said = row(as_vera.get("/workspace/team/").content.decode(), anna)
    assert said.startswith(f"Anna {words} ")
    assert ("no sign of life" in said) == ("no sign of life" in words)


def test_archived_departments_and_inactive_people_are_left_out_and_dialogs_are_linked(as_vera, anna, boris):
    Operator.objects.filter(pk=boris.pk).update(is_active=False)
    anna.departments.update(archived_at=database_now())
    page = as_vera.get("/workspace/team/").content.decode()
    assert row(page, boris) is None
    assert "Support" not in row(page, anna)
    link = f"/workspace/archive/?operator={anna.pk}&amp;state=open"
    assert link in page
    assert as_vera.get(link.replace("&amp;", "&")).status_code == 200


def test_one_person_and_two_hundred_take_the_same_queries(as_vera, vera, account):
    def queries(url):
        people.go_online(vera)
        with CaptureQueriesContext(connection) as captured:
            assert as_vera.get(url).status_code == 200
        return len(captured)

    urls = ["/workspace/team/", "/workspace/team/table/"]
    people.make_operator(account)
    few = {url: queries(url) for url in urls}
    for _ in range(200):
        people.make_operator(account)
    assert {url: queries(url) for url in urls} == few
    assert max(few.values()) <= 10


def test_the_table_is_bounded_and_says_who_is_left_out(as_vera, account, monkeypatch):
    monkeypatch.setattr(team_module, "MOST_PEOPLE", 3)
    for _ in range(4):
        people.make_operator(account)
    page = as_vera.get("/workspace/team/table/").content.decode()
    assert page.count('<tr id="member-') == 3
    assert "And 2 more people" in page


def test_a_supervisor_sets_a_status_which_is_recorded_and_no_sign_of_life(as_vera, vera, anna):
    response = as_vera.post(f"/workspace/team/{anna.pk}/status/", {"status": "lunch"}, headers=LIVE)
    assert response.json() == {"said": "Anna: the status is Break: lunch now"}
    assert as_vera.post(f"/workspace/team/{anna.pk}/status/", {"status": "online"}).url == "/workspace/team/"
    anna.refresh_from_db()
    assert (anna.status, anna.last_seen_at) == (Status.ONLINE, None)
    assert list(anna.changes.values_list("status", "actor__name", "is_online")) == [
        ("online", "Vera", False),
        ("lunch", "Vera", False),
    ]


@pytest.mark.parametrize("status", ["asleep", "", "ONLINE", "o" * 5000])
def test_a_status_that_does_not_exist_is_refused_with_a_sentence(as_vera, anna, status):
    url = f"/workspace/team/{anna.pk}/status/"
    response = as_vera.post(url, {"status": status}, headers=LIVE)
    assert response.status_code == 400
    assert response.json()["error"].startswith("There is no status")
    assert as_vera.post(url, {"status": status}).status_code == 400
    anna.refresh_from_db()
    assert (anna.status, anna.changes.count()) == (Status.OFFLINE, 0)


def test_strangers_inactive_people_and_support_staff_are_not_there(as_vera, account, other_account, boris):
    theirs = people.make_operator(other_account, "theirs")
    helper = people.make_operator(None, "help")
    Operator.objects.filter(pk=boris.pk).update(is_active=False)
    for pk in (theirs.pk, helper.pk, boris.pk, 10**30):
        assert as_vera.post(f"/workspace/team/{pk}/status/", {"status": "online"}).status_code == 404
    assert not Operator.objects.filter(status=Status.ONLINE).exclude(account=account).exists()
    page = as_vera.get("/workspace/team/").content.decode()
    assert "Theirs" not in page
    assert "Help" not in page


def test_operators_may_not_and_strangers_are_sent_to_the_login(client, anna, boris):
    urls = ["/workspace/team/", "/workspace/team/table/"]
    for url in urls:
        assert client.get(url).url.startswith("/accounts/login/")
    client.force_login(anna)
    for url in urls:
        assert client.get(url).status_code == 403
    assert client.post(f"/workspace/team/{boris.pk}/status/", {"status": "online"}).status_code == 403
    assert "Operators" not in client.get("/workspace/").content.decode()
    client.force_login(people.make_operator(None, "help"))
    assert client.get("/workspace/team/").url == "/admin/"
    boris.refresh_from_db()
    assert boris.status == Status.OFFLINE


def test_setting_a_status_needs_the_csrf_token(vera, anna):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(vera)
    assert strict.post(f"/workspace/team/{anna.pk}/status/", {"status": "online"}).status_code == 403


def test_the_workspace_tells_whose_choice_the_status_is(client, anna, vera):
    client.force_login(anna)
    client.post("/workspace/status/", {"status": "online"})
    assert client.get("/workspace/panel/")["X-Status"] == "online"
    assert client.get("/workspace/status/").json() == {"status": "online", "said": ""}
    set_status(anna, "lunch", actor=vera)
    assert client.get("/workspace/panel/")["X-Status"] == "lunch"
    assert client.get("/workspace/status/").json() == {"status": "lunch", "said": "Vera set your status to Break: lunch"}
    set_status(anna, "meeting", actor=people.make_operator(None, "help"))
    assert client.get("/workspace/status/").json()["said"] == "Support staff set your status to Break: meeting"


def welcome(client):
    return re.search(r'"welcome": "([^"]*)"', client.get("/workspace/").content.decode())[1]


def test_opening_the_workspace_again_says_the_restored_status(client, anna):
    client.force_login(anna)
    assert welcome(client) == "Your status is Offline: visitors do not see you online."
    assert welcome(client) == ""
    set_status(anna, "online")
    assert welcome(client) == ""
    Operator.objects.filter(pk=anna.pk).update(last_seen_at=database_now() - timedelta(seconds=61))
    assert welcome(client) == "You are Online: visitors count on you."
    anna.refresh_from_db()
    assert (anna.status, anna.counted_online) == (Status.ONLINE, True)
    set_status(anna, "lunch")
    sign_out(anna)
    client.force_login(anna)
    assert welcome(client) == "Your status is Break: lunch: visitors do not see you online."
