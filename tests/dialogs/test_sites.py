"""X5: an account that lists its sites is served there alone, by the widget's API and by the live app."""

import asyncio
import json

import pytest
from django.core.exceptions import ValidationError
from django.test import Client

from dialogs.live import streams
from dialogs.models import Visitor
from operators.actions.settings import change_settings
from operators.validators import origin, validate_sites
from tests import people
from tests.dialogs import test_live
from tests.dialogs.test_widget_api import VISIT
from tests.operators.test_admin_settings import errors, recorded, save

SHOP, STRANGER = "https://shop.example", "https://thief.example"
visit_ticket = test_live.TestApp.ticket
live = test_live.TestApp.live


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        ("https://Shop.example/", SHOP),
        ("https://shop.example:443", SHOP),
        ("http://shop.example:8080", "http://shop.example:8080"),
        ("http://[::1]:80", "http://[::1]"),
        ("https://чай.рф", "https://xn--80as4b.xn--p1ai"),
    ],
)
def test_a_site_is_kept_as_browsers_name_it(typed, sent):
    assert origin(typed) == sent


@pytest.mark.parametrize(
    "typed",
    [
        "shop.example",
        "ftp://shop.example",
        "https://*.shop.example",
        "https://",
        "https://shop.example/tea",
        "https://a@shop.example",
        "https://shop.example:99999",
        "https://shop example",
        f"https://{'a' * 70}.example",
        "https://a.example;b",
        ",",
        "null",
        ",".join(f"https://shop{n}.example" for n in range(51)),
    ],
)
def test_what_is_no_site_is_refused(typed):
    with pytest.raises(ValidationError):
        validate_sites(typed)


def test_a_supervisor_lists_the_sites_and_it_is_recorded(client, account, db):
    people.sign_in(client, people.make_operator(account, "vera", role="supervisor"))
    assert "sites" in errors(save(client, account, sites="shop.example"))
    assert save(client, account, name=account.name, sites="https://Shop.example/, https://tea.example").status_code == 302
    account.refresh_from_db()
    assert account.origins == {SHOP, "https://tea.example"}
    assert ("sites", "", "https://shop.example, https://tea.example") in recorded(account)


@pytest.mark.parametrize("verb", ["session", "ticket", "conversation", "messages", "contacts", "end"])
@pytest.mark.parametrize("asking", [STRANGER, "null", None])
def test_the_widgets_api_refuses_other_sites(account, verb, asking):
    visitors = Visitor.objects.count()
    body = {"account": account.slug, "token": "", "visit": VISIT, "department": "", "language": "en", "key": "k" * 20, "text": "Hi"}
    headers = {"Origin": asking} if asking else {}
    change_settings(account, {"sites": SHOP}, actor=None)
    response = Client().post(f"/widget/api/{verb}", json.dumps(body), content_type="text/plain", headers=headers)
    assert response.status_code == 403
    assert response.json() == {"detail": "This chat is not for this site."}
    assert response["Access-Control-Allow-Origin"] == "*"
    assert Visitor.objects.count() == visitors


@pytest.mark.parametrize(("sites", "asking"), [(SHOP, SHOP), (f"https://tea.example, {SHOP}", SHOP), ("", STRANGER), ("", None)])
def test_the_widgets_api_serves_a_listed_site_and_any_where_none_is_listed(account, sites, asking):
    change_settings(account, {"sites": sites}, actor=None)
    body = {"account": account.slug, "token": "", "visit": VISIT, "department": "", "language": "en"}
    headers = {"Origin": asking} if asking else {}
    response = Client().post("/widget/api/session", json.dumps(body), content_type="text/plain", headers=headers)
    assert response.status_code == 200


async def ask(app, verb, ticket, asking):
    """One request to the live app from a page of `asking`; its status."""
    sent, messages = [], [{"type": "http.request", "body": json.dumps({"ticket": ticket, "service": ""}).encode()}]
    headers = [(b"host", b"127.0.0.1")] + ([(b"origin", asking.encode())] if asking else [])

    async def receive():
        return messages.pop() if messages else await asyncio.Event().wait()

    async def send(message):
        sent.append(message)

    await app({"type": "http", "method": "POST", "path": f"/live/visit/{verb}", "headers": headers}, receive, send)
    return sent[0]["status"]


async def open_stream(app, ticket, asking):
    """A visitor's stream from a page of `asking`: a queue of what it is sent, and its task."""
    told, heard = asyncio.Queue(), asyncio.Queue()
    told.put_nowait({"type": "websocket.connect"})
    told.put_nowait({"type": "websocket.receive", "text": json.dumps({"ticket": ticket, "since": "", "service": "offline"})})
    scope = {"type": "websocket", "path": "/live/visit/stream", "headers": [(b"host", b"127.0.0.1"), (b"origin", asking.encode())]}

    async def send(message):
        heard.put_nowait(message)

    task = asyncio.create_task(app(scope, told.get, send))
    assert (await asyncio.wait_for(heard.get(), 3))["type"] == "websocket.accept"
    return heard, task


@pytest.mark.django_db(transaction=True)
class TestLiveApp:
    def test_other_sites_give_no_sign_of_life_and_hear_nothing(self, account):
        change_settings(account, {"sites": SHOP}, actor=None)
        ticket = visit_ticket(people.make_visitor(account))

        async def story(app):
            answers = [await ask(app, verb, ticket, asking) for verb in ("beat", "poll") for asking in (STRANGER, "null", None)]
            heard, task = await open_stream(app, ticket, STRANGER)
            closed = await asyncio.wait_for(heard.get(), 3)
            await task
            assert not app.state.visits.alive
            return answers, closed

        answers, closed = live(story)
        assert answers == [403] * 6
        assert (closed["type"], closed["code"]) == ("websocket.close", streams.REFUSED)

    def test_a_listed_site_is_served_and_a_beacon_without_origin_says_goodbye(self, account):
        change_settings(account, {"sites": SHOP}, actor=None)
        ticket = visit_ticket(people.make_visitor(account))

        async def story(app):
            answers = [await ask(app, verb, ticket, SHOP) for verb in ("beat", "poll")]
            refused = await ask(app, "bye", ticket, STRANGER)
            assert not app.state.visits.leaving
            answers.append(await ask(app, "bye", ticket, None))
            assert app.state.visits.leaving
            return answers, refused

        assert live(story) == ([204, 200, 204], 403)

    def test_an_open_stream_ends_when_its_site_is_taken_off_the_list(self, account):
        ticket = visit_ticket(people.make_visitor(account))

        async def story(app):
            heard, task = await open_stream(app, ticket, STRANGER)
            assert json.loads((await asyncio.wait_for(heard.get(), 3))["text"])["service"] == "offline"
            await asyncio.to_thread(change_settings, account, {"sites": SHOP}, actor=None)
            closed = await asyncio.wait_for(heard.get(), 3)
            await asyncio.wait({task}, timeout=3)
            return closed["type"], closed["code"]

        assert live(story) == ("websocket.close", streams.REFUSED)
