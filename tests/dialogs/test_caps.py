"""How many streams and polls one page, person or network holds and opens (X3), and what the log says of it."""

import asyncio
import logging
from ipaddress import ip_network

import pytest

from dialogs.live import caps, requests, streams, tickets
from dialogs.live.caps import CapReached, Caps, Window
from operators.actions.status import sign_out
from tests import people
from tests.dialogs import test_live
from tests.dialogs.test_live import post
from tests.dialogs.test_streams import Socket, workspace_ticket
from webim_offline.foundation.logs.security import MOST_LINES

pytestmark = pytest.mark.django_db(transaction=True)
visit_ticket = test_live.TestApp.ticket
live = test_live.TestApp.live


@pytest.fixture
def visitor(account):
    return people.make_visitor(account)


@pytest.fixture
def lines(caplog):
    """What the security log was told."""
    caplog.set_level(logging.INFO, logger="security")
    return lambda: [record.getMessage() for record in caplog.records if record.name == "security"]


def hello(ticket):
    return {"ticket": ticket, "since": "", "service": "offline"}


async def opened(app, ticket, **options):
    """A visitor's stream, and the first thing that it is told."""
    socket = Socket(app, "/live/visit/stream", **options)
    socket.say(hello(ticket))
    return socket, await socket.hear()


def is_open(first):
    return isinstance(first, dict)


def test_a_page_has_one_stream_the_newer_one(visitor, monkeypatch):
    monkeypatch.setattr(caps, "MOST_OPENED_BY_PAGE", 1000)
    monkeypatch.setattr("dialogs.live.visit_handlers.MOST_REQUESTS", 1000)
    ticket = visit_ticket(visitor)

    async def story(app):
        sockets = [(await opened(app, ticket))[0] for _ in range(232)]
        ends = [await socket.hear() for socket in sockets[:-1]]
        await asyncio.gather(*(socket.task for socket in sockets[:-1]))
        held = len(app.state.streams), dict(app.state.caps.held), len(app.visit_handlers.newest_streams._of_page)
        app.upkeep.heard([f"visitor:{visitor.pk}"])
        last = await sockets[-1].hear()
        await sockets[-1].hang_up()
        return set(ends), held, last["changed"], dict(app.state.caps.held), app.visit_handlers.newest_streams._of_page

    ends, held, still_told, left, places = live(story)
    assert ends == {(streams.REPLACED, "a newer stream of this page took its place")}
    assert held == (1, {("visitor", visitor.pk): 1, ("network", "127.0.0.1"): 1}, 1)
    assert still_told
    assert (left, places) == ({}, {})


def test_two_tabs_of_one_person_leave_each_other_alone(visitor):
    ticket_of = [visit_ticket(visitor, key=f"tab-{number}") for number in range(2)]

    async def story(app):
        sockets = [(await opened(app, ticket))[0] for ticket in ticket_of]
        quiet = [await socket.quiet(0.3) for socket in sockets]
        return quiet, len(app.state.streams)

    assert live(story) == ([True, True], 2)


def test_a_page_holds_one_poll_the_newer_one(visitor):
    ticket = visit_ticket(visitor)

    async def story(app):
        _, first, _ = await post(app, "/live/visit/poll", hello(ticket))
        body = {"ticket": ticket, "since": first["since"], "service": first["service"]}
        older = asyncio.create_task(post(app, "/live/visit/poll", body))
        await asyncio.sleep(0.2)
        newer = asyncio.create_task(post(app, "/live/visit/poll", body))
        status, answer, _ = await asyncio.wait_for(older, 3)
        await asyncio.sleep(0.1)
        held = app.state.polls.held, dict(app.state.caps.held)
        app.upkeep.heard([f"visitor:{visitor.pk}"])
        return (
            status,
            answer,
            held,
            (await asyncio.wait_for(newer, 3))[0],
            app.visit_handlers.newest_polls._of_page,
            dict(app.state.caps.held),
        )

    status, answer, held, of_newer, places, left = live(story)
    assert (status, of_newer) == (409, 200)
    assert "newer poll" in answer["error"]
    assert held == (1, {("visitor", visitor.pk): 1, ("network", "127.0.0.1"): 1})
    assert (places, left) == ({}, {})


def test_a_page_that_opens_streams_all_the_time_is_told_to_wait(visitor, monkeypatch):
    monkeypatch.setattr(caps, "MOST_OPENED_BY_PAGE", 3)
    ticket = visit_ticket(visitor)

    async def story(app):
        return [(await opened(app, ticket))[1] for _ in range(5)]

    heard = live(story)
    assert [is_open(first) for first in heard] == [True] * 3 + [False] * 2
    assert heard[-1] == (streams.TRY_LATER, "too many streams opened by one page")


def test_streams_and_polls_of_one_visitor_are_counted_together(account, visitor, monkeypatch, lines):
    monkeypatch.setattr(caps, "MOST_OF_VISITOR", 3)
    ticket_of = [visit_ticket(visitor, key=f"page-{number}") for number in range(4)]
    other = visit_ticket(people.make_visitor(account))

    async def story(app):
        sockets = [(await opened(app, ticket))[0] for ticket in ticket_of[:2]]
        _, first, _ = await post(app, "/live/visit/poll", hello(ticket_of[2]))
        body = {"ticket": ticket_of[2], "since": first["since"], "service": first["service"]}
        poll = asyncio.create_task(post(app, "/live/visit/poll", body))
        await asyncio.sleep(0.2)
        refused = (await opened(app, ticket_of[3]))[1]
        status, _, headers = await post(app, "/live/visit/poll", hello(ticket_of[3]))
        others = is_open((await opened(app, other))[1])
        await sockets[0].hang_up()
        again = is_open((await opened(app, ticket_of[3]))[1])
        poll.cancel()
        return refused, (status, headers[b"retry-after"]), others, again

    refused, poll, others, again = live(story)
    assert refused == (streams.TRY_LATER, "too many streams and polls of one visitor")
    assert poll == (429, b"5")
    assert (others, again) == (True, True)
    assert set(lines()) == {"event=limit outcome=limited network=127.0.0.1 reason=too_many_streams_and_polls_of_one_visitor"}


def test_one_operator_holds_a_bounded_number_of_workspaces(account, anna, boris, monkeypatch):
    monkeypatch.setattr(caps, "MOST_OF_OPERATOR", 2)
    own, others = workspace_ticket(anna), workspace_ticket(boris)

    async def story(app):
        heard = []
        for ticket in (own, own, own, others):
            socket = Socket(app, "/live/workspace/stream")
            socket.say({"ticket": ticket, "since": ""})
            heard.append(await socket.hear())
        status = (await post(app, "/live/workspace/poll", {"ticket": own, "since": app.state.hub.position()}))[0]
        return heard, status

    heard, status = live(story)
    assert [is_open(first) for first in heard] == [True, True, False, True]
    assert heard[2] == (streams.TRY_LATER, "too many streams and polls of one operator")
    assert status == 429


def test_one_network_holds_a_bounded_number_and_others_do_not_pay_for_it(account, settings, lines):
    settings.STREAMS_PER_ADDRESS = 5
    ticket_of = [visit_ticket(people.make_visitor(account)) for _ in range(9)]

    async def story(app):
        heard = [(await opened(app, ticket, peer="203.0.113.9"))[1] for ticket in ticket_of[:7]]
        poll = (await post(app, "/live/visit/poll", hello(ticket_of[7]) | {"since": app.state.hub.position()}, peer="203.0.113.9"))[
            0
        ]
        other = await opened(app, ticket_of[8], peer="203.0.113.10")
        return heard, poll, is_open(other[1])

    heard, poll, other = live(story)
    assert [is_open(first) for first in heard] == [True] * 5 + [False] * 2
    assert heard[-1] == (streams.TRY_LATER, "too many streams and polls of one network")
    assert (poll, other) == (429, True)
    assert set(lines()) == {"event=limit outcome=limited network=203.0.113.9 reason=too_many_streams_and_polls_of_one_network"}


def test_sockets_that_say_nothing_count_for_their_network(settings):
    settings.STREAMS_PER_ADDRESS = 3

    async def story(app):
        silent = [Socket(app, "/live/visit/stream") for _ in range(5)]
        await asyncio.sleep(0.1)
        closed = [socket.task.done() for socket in silent]
        for socket in silent:
            socket.task.cancel()
        await asyncio.gather(*(socket.task for socket in silent))
        return closed, dict(app.state.caps.held)

    assert live(story) == ([False] * 3 + [True] * 2, {})


def test_a_network_is_what_a_trusted_proxy_tells_and_nobody_else(account, settings):
    settings.STREAMS_PER_ADDRESS = 1
    ticket_of = [visit_ticket(people.make_visitor(account)) for _ in range(4)]

    async def story(app):
        told = [{"x_forwarded_for": f"203.0.113.{number}"} for number in (1, 2)]
        untrusted = [is_open((await opened(app, ticket, **line))[1]) for ticket, line in zip(ticket_of, told, strict=False)]
        settings.TRUSTED_PROXIES = [ip_network("127.0.0.1/32")]
        trusted = [is_open((await opened(app, ticket, **line))[1]) for ticket, line in zip(ticket_of[2:], told, strict=True)]
        return untrusted, trusted

    assert live(story) == ([True, False], [True, True])


def test_openings_of_one_network_are_counted_too(account, settings):
    settings.STREAMS_PER_ADDRESS = 3  # held at once; twice as many may be opened in ten seconds

    async def story(app):
        return [(await post(app, "/live/visit/poll", {"ticket": "forged"}))[0] for _ in range(8)]

    assert live(story) == [401] * 6 + [429] * 2


def test_counters_stay_small():
    window = Window(1000.0)
    for number in range(caps.MOST_COUNTED * 2):
        window.count(number)
    assert len(window.counts) <= caps.MOST_COUNTED + 1
    held = Caps()
    with pytest.raises(CapReached), held.holding(*[("visitor", 1)] * 101):
        pass
    assert held.held == {}


def test_what_is_refused_is_logged_within_bounds_and_that_a_ticket_expired_is_not(account, anna, visitor, lines, monkeypatch):
    forged, wrong = "x" + visit_ticket(visitor), visit_ticket(visitor)
    void = workspace_ticket(anna)
    sign_out(anna)
    expired = tickets.issue(tickets.VISIT, test_live.PAGE)
    later = tickets.time.time() + 100

    async def story(app):
        for _ in range(50):
            await post(app, "/live/visit/beat", {"ticket": forged}, peer="203.0.113.1")
        await post(app, "/live/workspace/poll", {"ticket": wrong}, peer="203.0.113.2")
        await post(app, "/live/workspace/poll", {"ticket": void}, peer="203.0.113.3")
        await post(app, "/live/workspace/poll", {"ticket": void}, peer="203.0.113.4", origin="https://evil.example")
        await post(app, "/live/visit/beat", {}, peer="203.0.113.5", host="evil.example")
        monkeypatch.setattr(tickets.time, "time", lambda: later)
        assert (await post(app, "/live/visit/beat", {"ticket": expired}, peer="203.0.113.6"))[0] == 401

    live(story)
    assert lines() == ["event=ticket outcome=refused network=203.0.113.1 reason=forged"] * MOST_LINES + [
        "event=ticket outcome=refused network=203.0.113.2 reason=for_another_purpose",
        f"event=ticket outcome=refused operator={anna.pk} account={account.pk} network=203.0.113.3 reason=signed_out_or_changed",
        "event=denial outcome=refused network=203.0.113.4 reason=this_address_is_for_our_own_pages",
        "event=denial outcome=refused network=203.0.113.5 reason=unknown_host",
    ]


def test_a_body_that_stalls_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(requests, "BODY_WITHIN", 0.3)

    async def story(app):
        sent, pieces = [], [{"type": "http.request", "body": b"{", "more_body": True}]
        scope = {"type": "http", "method": "POST", "path": "/live/visit/beat", "headers": [(b"host", b"127.0.0.1")]}

        async def receive():
            return pieces.pop() if pieces else await asyncio.Event().wait()

        async def send(message):
            sent.append(message)

        await asyncio.wait_for(app(scope, receive, send), 3)
        return sent[0]["status"], dict(sent[0]["headers"])[b"connection"]

    assert live(story) == (408, b"close")
