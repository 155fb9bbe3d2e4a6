"""While the database is away every client is told to come again, clearly and in its own language (P9)."""

import json

import pytest
from django.db import OperationalError, connection
from django.test import Client

from tests import people


@pytest.fixture
def patient(db):
    """A client that sees what a server would answer."""
    return Client(raise_request_exception=False)


@pytest.fixture
def away():
    """From here on every statement fails as it does while the database is away."""

    def fail(*arguments):
        raise OperationalError("connection refused")

    with connection.execute_wrapper(fail):
        yield


@pytest.fixture
def signed_in(patient, anna):
    patient.force_login(anna)
    return patient


@pytest.mark.usefixtures("signed_in", "away")
def test_a_page(patient):
    answer = patient.get("/workspace/", headers={"Accept-Language": "ru"})
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert '<html lang="ru">' in answer.text


@pytest.mark.usefixtures("signed_in", "away")
def test_a_fragment(patient):
    answer = patient.get("/workspace/panel/", headers={"X-Requested-With": "fetch"})
    assert answer.status_code == 503
    assert answer.json() == {"error": "This cannot be done right now. Try again in a moment."}


@pytest.mark.parametrize("verb", ["session", "ticket", "conversation", "messages", "contacts", "end"])
@pytest.mark.usefixtures("account", "away")
def test_the_widget(patient, verb):
    body = json.dumps({"account": "north-tea", "visit": "visit-000001", "token": "t" * 32})
    answer = patient.post(f"/widget/api/{verb}", body, content_type="text/plain")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.json() == {"detail": "This cannot be done right now. Try again in a moment.", "retry_after": 5}


def test_a_mistake_of_ours_stays_a_500(signed_in, monkeypatch):
    def broken(*arguments):
        raise ZeroDivisionError

    monkeypatch.setattr("dialogs.views.panels.panels", broken)
    assert signed_in.get("/workspace/").status_code == 500


def test_what_a_page_read_before_a_restored_backup_is_told_anew(patient, account):
    visitor = people.make_visitor(account, token="t" * 32)
    dialog = people.start_dialog(account, visitor=visitor)
    known = {"number": dialog.number, "after": dialog.revision + 5}
    body = json.dumps({"account": "north-tea", "visit": "visit-000001", "token": "t" * 32, **known})
    conversation = patient.post("/widget/api/conversation", body, content_type="text/plain").json()["conversation"]
    assert conversation["anew"]
    assert len(conversation["messages"]) == 1
