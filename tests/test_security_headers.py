"""Every address, of pages and of the live app, whoever asks and however it ends, says how its answer may be used."""

import asyncio
import re

import pytest
from django.contrib.staticfiles import finders
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from dialogs.live.app import LiveApp
from tests import people
from tests.dialogs.test_live import post
from webim_offline.foundation.http.security_headers import FOR_OTHER_ORIGINS, NOTHING

EXAMPLES = {"str": "north-tea", "slug": "north-tea", "int": "1", "path": "1", "app_label": "dialogs", "name": "live"}
SCRIPT = "/workspace/scripts/workspace.js"  # holds nothing of anybody, so it may be for everyone
LIVE = ["/live/visit/poll", "/live/visit/beat", "/live/visit/bye", "/live/workspace/poll", "/live/nothing"]


def every_address(resolver=None, before=""):
    """One address of each route of the URL resolver, Django's admin and all."""
    for pattern in (resolver or get_resolver()).url_patterns:
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from every_address(pattern, route)
        else:
            assert isinstance(pattern, URLPattern)
            yield example(route)


def example(route):
    """A route with something in the place of its converters and named groups."""

    def value(found):
        return EXAMPLES.get(found["name"]) or EXAMPLES.get(found["kind"] or "str", "1")

    filled = re.sub(r"\(\?P<(?P<name>\w+)>(?P<kind>)[^()]*(?:\([^()]*\))?[^()]*\)", value, route)
    filled = re.sub(r"<(?:(?P<kind>\w+):)?(?P<name>\w+)>", value, filled)
    return "/" + re.sub(r"[\^$]|\\Z", "", filled)


def check(address, headers):
    """`headers` by lower-case name."""
    assert headers.get("x-content-type-options") == "nosniff", address
    assert headers.get("referrer-policy") == "same-origin", address
    assert headers.get("x-frame-options") == "DENY", address
    assert headers.get("cross-origin-opener-policy") == "same-origin", address
    policy = headers.get("content-security-policy", "")
    assert "default-src " in policy, address
    assert "frame-ancestors 'none'" in policy, address
    if address != SCRIPT:
        expected = "cross-origin" if address.startswith(FOR_OTHER_ORIGINS) else "same-origin"
        assert headers.get("cross-origin-resource-policy") == expected, address


def of(response):
    return {name.lower(): value for name, value in response.headers.items()}


ADDRESSES = sorted(set(every_address()))


def test_the_walk_finds_what_there_is():
    found = set(ADDRESSES)
    assert len(found) > 80
    assert {"/accounts/login/", "/healthz", "/metrics", "/widget/north-tea.js", "/widget/api/session", "/admin/"} <= found
    assert not [address for address in found if re.search(r"[<>()\\^$]", address)], found


@pytest.mark.django_db
@pytest.mark.parametrize("who", ["nobody", "operator", "supervisor", "support"])
def test_every_address_of_the_web_server(who, account, anna, vera):
    person = {"operator": anna, "supervisor": vera, "support": people.make_operator(None, "help"), "nobody": None}[who]
    client = Client(raise_request_exception=False)
    for address in ADDRESSES:
        for method in ("get", "post", "options"):
            if person is not None:
                client.force_login(person)
            check(address, of(getattr(client, method)(address)))


@pytest.mark.django_db
def test_files():
    for name in ("dialogs/workspace.css", "admin/css/base.css", "admin/img/icon-yes.svg"):
        assert finders.find(name), name
        response = Client().get(f"/static/{name}")
        assert response.status_code == 200
        check(f"/static/{name}", of(response))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("address", "host", "status"),
    [
        ("/nothing", "testserver", 404),
        ("/widget/nothing", "testserver", 404),
        ("/static/nothing.js", "testserver", 404),
        ("/accounts/login/", "evil.example", 400),
        ("/widget/api/session", "evil.example", 400),
    ],
)
def test_what_is_not_there_and_a_foreign_host(address, host, status):
    response = Client(raise_request_exception=False).get(address, headers={"Host": host})
    assert response.status_code == status
    check(address, of(response))


@pytest.mark.django_db
def test_a_form_without_its_token():
    response = Client(enforce_csrf_checks=True).post("/accounts/login/", {"username": "a", "password": "b"})
    assert response.status_code == 403
    check("/accounts/login/", of(response))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("address", "breaks"),
    [
        ("/metrics", "webim_offline.metrics.figures"),
        ("/widget/north-tea.js", "dialogs.views.widget._is_served"),
        ("/accounts/login/", "django.contrib.auth.views.LoginView.get"),
    ],
)
def test_an_address_that_breaks(address, breaks, monkeypatch):
    def broken(*arguments, **named):
        raise ZeroDivisionError

    monkeypatch.setattr(breaks, broken)
    response = Client(raise_request_exception=False).get(address)
    assert response.status_code == 500
    check(address, of(response))


@pytest.mark.parametrize("address", LIVE)
@pytest.mark.parametrize("body", [{}, {"ticket": "forged"}, b"not json", b"x" * 9000])
@pytest.mark.parametrize("options", [{}, {"method": "GET"}, {"host": "evil.example"}, {"origin": "https://evil.example"}])
def test_every_address_of_the_live_app(address, body, options):
    status, _, headers = asyncio.run(post(LiveApp(), address, body, **options))
    assert status >= 400
    told = {name.decode(): value.decode() for name, value in headers.items()}
    check(address, told)
    assert told["content-security-policy"] == NOTHING
    assert told["cache-control"] == "no-store"
