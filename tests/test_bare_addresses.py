"""Addresses that know no cookies (W1): whatever a browser sends, their answers are the same and set nothing."""

import json

import pytest
from django.test import Client
from django.urls import get_resolver
from django.utils import translation

from operators.models import Operator
from tests import people
from webim_offline.foundation.http.bare_addresses import bare_addresses_middleware

VISIT = {"account": "north-tea", "visit": "visit-000001", "language": "en"}


def widget_addresses():
    """Every address of the widget, from the resolver: (address, whether it is posted to)."""
    found = [str(pattern.pattern) for pattern in flat(get_resolver().url_patterns) if str(pattern.pattern).startswith("widget/")]
    assert len(found) >= 8
    return sorted((f"/{path.replace('<str:slug>', 'north-tea')}", "/api/" in path) for path in found)


def flat(patterns, before=""):
    for pattern in patterns:
        if hasattr(pattern, "url_patterns"):
            yield from flat(pattern.url_patterns)
        else:
            yield pattern


@pytest.fixture
def signed_in(account):
    anna = people.make_operator(account, "anna")
    anna.ui_language = "ru"
    anna.save(update_fields=["ui_language"])
    client = Client()
    client.force_login(anna)
    return client


@pytest.fixture
def cookies(signed_in):
    """Every cookie that we ever set, in the ways in which a browser may hold it."""
    session = signed_in.cookies["sessionid"].value
    signed_in.get("/workspace/")
    token = signed_in.cookies["csrftoken"].value
    return {
        "none": "",
        "an operator's session": f"sessionid={session}",
        "a stale session": "sessionid=abcdefghijklmnopqrstuvwxyz012345",
        "a session that is none": 'sessionid="\\000\\000bcdefghijklmn"',
        "a language": "django_language=ru",
        "a language that is none": "django_language=xx",
        "a form's token": f"csrftoken={token}",
        "a form's token that is none": "csrftoken=x",
        "a message": 'messages="W1siX19qc29uX21lc3NhZ2UiLDAsMjUsIkhpIiwiIl1d:1:x"',
        "all": f"sessionid={session}; csrftoken={token}; django_language=ru; messages=x",
    }


def ask(address, is_posted, cookie="", **headers):
    client = Client(raise_request_exception=False, headers={"Accept-Language": "en"} | headers)
    if cookie:
        client.cookies.load(cookie)
    if not is_posted:
        return client.get(address)
    return client.post(address, json.dumps(VISIT | {"token": "unknown"}), content_type="text/plain")


def same(response):
    """What must not differ."""
    kept = {name: value for name, value in response.headers.items() if name not in {"Date"}}
    return response.status_code, response.content, kept


@pytest.mark.parametrize(("address", "is_posted"), widget_addresses())
def test_no_cookie_is_read_or_written_at_the_widgets_addresses(address, is_posted, account, cookies):
    first = ask(address, is_posted)
    for what, cookie in cookies.items():
        for asked in ("", "?lang=ru"):
            answer = ask(address + asked, is_posted, cookie)
            assert not answer.cookies, what
            assert "Set-Cookie" not in answer.headers, what
            assert "Cookie" not in answer.get("Vary", ""), what
            assert same(answer) == same(first), what


@pytest.mark.parametrize("address", ["/workspace/scripts/workspace.js", "/static/nothing.js", "/metrics", "/widget/nothing"])
def test_nor_at_other_public_ones(address, account, cookies):
    first = ask(address, False)
    for what, cookie in cookies.items():
        answer = ask(f"{address}?lang=ru", False, cookie)
        assert not answer.cookies, what
        assert "Cookie" not in answer.get("Vary", ""), what
        if address != "/metrics":  # it measures
            assert same(answer) == same(first), what


def test_probes_set_nothing(cookies, monkeypatch):
    monkeypatch.setattr("webim_offline.health._read", dict)
    for cookie in cookies.values():
        answer = ask("/healthz?lang=ru", False, cookie)
        assert answer.status_code == 503
        assert not answer.cookies


def test_nobody_is_looked_up(account, cookies, django_assert_num_queries):
    with django_assert_num_queries(1):  # is there such an account?
        ask("/widget/north-tea.js", False, cookies["all"])


def test_the_language_of_an_answer_is_not_the_next_ones(account):
    with translation.override("en"):
        client = Client()
        russian = json.dumps(VISIT | {"language": "ru", "token": "unknown"})
        answer = client.post("/widget/api/ticket", russian, content_type="text/plain")
        assert "разговор" in answer.json()["detail"].lower()
        assert translation.get_language() == "en"
        broken = client.post("/widget/api/ticket", "{", content_type="text/plain")
        assert broken.json()["detail"] == "The request is not JSON."


def test_what_is_posted_without_a_language_is_answered_in_the_browsers(account):
    headers = {"Accept-Language": "ru"}
    answer = Client(headers=headers).post("/widget/api/ticket", "{", content_type="text/plain")
    assert answer.json()["detail"] != "The request is not JSON."


def test_a_failure_there_is_answered_as_anywhere(account, monkeypatch):
    def broken(*arguments):
        raise ZeroDivisionError

    monkeypatch.setattr("dialogs.views.widget._is_served", broken)
    assert ask("/widget/north-tea.js", False).status_code == 500
    assert ask("/widget/nothing/at/all", False).status_code == 404


def test_other_addresses_keep_their_cookies(signed_in, rf):
    assert signed_in.get("/workspace/?lang=ru").cookies["django_language"].value == "ru"
    request = rf.get("/accounts/login/")
    request.COOKIES["django_language"] = "ru"
    assert bare_addresses_middleware(lambda asked: asked)(request).COOKIES == {"django_language": "ru"}
    assert Operator.objects.get().ui_language == "ru"
