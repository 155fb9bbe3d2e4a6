"""Streams as ASGI messages: news, signs of life, and what is refused (P2, A2, A4, X5)."""

import asyncio
import json
import time
from types import SimpleNamespace

import pytest

from dialogs.live import service_states, streams, tickets
from dialogs.models import Visitor
from operators.actions.people import change_people
from operators.actions.status import set_status, sign_out
from operators.models import Account, Operator
from tests import people
from tests.dialogs import test_live
from webim_offline.foundation.database.clock import database_now

pytestmark = pytest.mark.django_db(transaction=True)
visit_ticket = test_live.TestApp.ticket
live = test_live.TestApp.live


class Socket:
    """A WebSocket client of the app, without a network."""

    def __init__(self, app, path, host="127.0.0.1", origin="http://127.0.0.1", peer="127.0.0.1", **headers):
        self.incoming, self.sent = asyncio.Queue(), asyncio.Queue()
        self.is_stuck = asyncio.Event()
        self.is_stuck.set()
        self.incoming.put_nowait({"type": "websocket.connect"})
        names = {"host": host, "origin": origin} | {name.replace("_", "-"): value for name, value in headers.items()}
        lines = [(name.encode(), value.encode()) for name, value in names.items() if value is not None]
        scope = {"type": "websocket", "path": path, "scheme": "ws", "client": (peer, 4711), "headers": lines}

        async def send(message):
            await self.is_stuck.wait()
            self.sent.put_nowait(message)

        self.task = asyncio.create_task(app(scope, self.incoming.get, send))

    def say(self, frame):
        if isinstance(frame, bytes):
            self.incoming.put_nowait({"type": "websocket.receive", "bytes": frame})
            return
        text = frame if isinstance(frame, str) else json.dumps(frame)
        self.incoming.put_nowait({"type": "websocket.receive", "text": text})

    async def hear(self, within=3.0):
        """The next message that is not a ping; a frame as its content, a close as (code, reason)."""
        while True:
            message = await asyncio.wait_for(self.sent.get(), within)
            if message["type"] == "websocket.accept" or message.get("text") == "ping":
                continue
            if message["type"] == "websocket.close":
                return message.get("code"), message.get("reason")
            return json.loads(message["text"])

    async def quiet(self, seconds):
        """Is nothing said for so long?"""
        try:
            await self.hear(seconds)
        except TimeoutError:
            return True
        return False

    async def hang_up(self):
        self.incoming.put_nowait({"type": "websocket.disconnect", "code": 1006})
        await asyncio.wait_for(self.task, 3)


@pytest.fixture
def visitor(account):
    return people.make_visitor(account)


@pytest.fixture
def quick_pings(monkeypatch):
    """A ping every second instead of every ten."""
    monkeypatch.setattr(streams, "PING_EVERY", 1)


def workspace_ticket(operator, dialog=None):
    return tickets.issue(tickets.WORKSPACE, tickets.workspace_claims(operator, dialog.pk if dialog else None))


def test_a_visitors_stream_tells_of_answers_and_of_the_service(account, anna, visitor):
    ticket = visit_ticket(visitor)

    async def story(app):
        socket = Socket(app, "/live/visit/stream")
        socket.say({"ticket": ticket, "since": "", "service": "offline"})
        first = await socket.hear()
        app.upkeep.heard([f"visitor:{visitor.pk}"])
        second = await socket.hear()
        app.upkeep.heard(["visitor:0"])
        nothing = await socket.quiet(0.3)
        await asyncio.to_thread(people.go_online, anna)
        third = await socket.hear()
        await socket.hang_up()
        return first, second, nothing, third, len(app.state.streams), app.state.hub._listening

    first, second, nothing, third, left, listening = live(story)
    assert (first["service"], first["changed"]) == ("offline", True)
    assert second["changed"]
    assert nothing
    assert (third["service"], third["changed"]) == ("online", False)
    assert left == 0
    assert listening == {}


def test_a_stream_is_told_to_come_later_while_the_database_is_away(visitor, monkeypatch):
    ticket = visit_ticket(visitor)
    monkeypatch.setattr(service_states.ServiceStates, "read", test_live.away)
    monkeypatch.setattr(service_states, "FIRST_READ", 0.3)

    async def story(app):
        socket = Socket(app, "/live/visit/stream")
        socket.say({"ticket": ticket, "since": "", "service": "offline"})
        return await socket.hear()

    assert live(story) == (streams.TRY_LATER, "the database does not answer")


def test_an_open_stream_alone_proves_nothing_but_its_pongs_do(account, visitor, quick_pings):
    account.visit_lease = 3
    account.save()
    mute, lively = visitor, people.make_visitor(account)
    ticket_of = {person: visit_ticket(person) for person in (mute, lively)}

    async def story(app):
        sockets = {}
        for person in (mute, lively):
            sockets[person] = Socket(app, "/live/visit/stream")
            sockets[person].say({"ticket": ticket_of[person], "since": "", "service": "offline"})
        for _ in range(14):
            sockets[lively].say("pong")
            await asyncio.sleep(0.4)
        return await asyncio.to_thread(lambda: [Visitor.objects.get(pk=person.pk).is_present for person in (mute, lively)])

    assert live(story) == [False, True]


def test_a_short_lease_is_pinged_often_enough(account, visitor):
    account.visit_lease = 3
    account.save()
    ticket = visit_ticket(visitor)

    async def story(app):
        socket = Socket(app, "/live/visit/stream")
        socket.say({"ticket": ticket, "since": "", "service": "offline"})
        until = asyncio.get_running_loop().time() + 6
        while asyncio.get_running_loop().time() < until:
            if (await asyncio.wait_for(socket.sent.get(), 3)).get("text") == "ping":
                socket.say("pong")
        return await asyncio.to_thread(lambda: Visitor.objects.get(pk=visitor.pk).is_present)

    assert live(story)


def test_every_stream_is_pinged(account, visitor, quick_pings):
    ticket = visit_ticket(visitor)

    async def story(app):
        socket = Socket(app, "/live/visit/stream")
        socket.say({"ticket": ticket, "since": "", "service": "offline"})
        heard = []
        async with asyncio.timeout(4):
            while heard.count("ping") < 2:
                heard.append((await socket.sent.get()).get("text"))
        return True

    assert live(story)


def test_a_stream_that_only_closes_is_no_goodbye(visitor):
    ticket = visit_ticket(visitor)

    async def story(app):
        socket = Socket(app, "/live/visit/stream")
        socket.say({"ticket": ticket, "since": "", "service": "offline"})
        await socket.hear()
        await asyncio.sleep(0.5)
        await socket.hang_up()
        await asyncio.sleep(3)
        return await asyncio.to_thread(lambda: Visitor.objects.get(pk=visitor.pk).is_present)

    assert live(story)


def test_a_page_on_a_stream_holds_a_ticket_to_come_back_with_after_a_restart(visitor, monkeypatch):
    later = [0.0]
    monkeypatch.setattr(tickets, "time", SimpleNamespace(time=lambda: time.time() + later[0]))
    first = visit_ticket(visitor)

    async def before_the_restart(app):
        socket = Socket(app, "/live/visit/stream")
        socket.say({"ticket": first, "since": "", "service": "offline"})
        await socket.hear()
        socket.say("pong")
        too_soon = await socket.quiet(0.2)
        later[0] = 25
        silent = await socket.quiet(0.2)
        socket.say("pong")
        given = await socket.hear()
        socket.say("pong")
        once = await socket.quiet(0.2)
        return too_soon, silent, once, given["ticket"]

    *quiet, renewed = live(before_the_restart)
    assert quiet == [True, True, True], "a fresh one is given after a sign of life, when the old one is old, and once"
    old, new = tickets.read(tickets.VISIT, first), tickets.read(tickets.VISIT, renewed)
    assert new.pop("t") - old.pop("t") == pytest.approx(25, abs=10)
    assert new == old, "the same visit, place and purpose"
    with pytest.raises(tickets.BadTicket):
        tickets.read(tickets.WORKSPACE, renewed)
    later[0] = 70

    async def after_the_restart(app):
        heard = []
        for ticket in (first, renewed):
            socket = Socket(app, "/live/visit/stream")
            socket.say({"ticket": ticket, "since": "", "service": "offline"})
            heard.append(await socket.hear())
        return heard

    refused, news = live(after_the_restart)
    assert refused == (streams.TICKET, "ticket: expired")
    assert news["changed"]


def test_a_workspace_stream_follows_the_open_dialog_and_is_a_sign_of_life(account, anna):
    dialog = people.start_dialog(account)
    plain, opened = workspace_ticket(anna), workspace_ticket(anna, dialog)

    async def story(app):
        socket = Socket(app, "/live/workspace/stream")
        socket.say({"ticket": plain, "since": ""})
        first = await socket.hear()
        app.upkeep.heard([f"dialog:{dialog.pk}"])
        deaf = await socket.quiet(0.3)
        socket.say({"ticket": opened})
        app.upkeep.heard([f"dialog:{dialog.pk}"])
        heard = [await socket.hear()]
        while not heard[-1]["dialog"]:
            heard.append(await socket.hear())
        app.upkeep.heard([f"workspace:{account.pk}"])
        last = await socket.hear()
        await asyncio.sleep(0.5)
        return first, deaf, last

    first, deaf, last = live(story)
    assert first["panel"]
    assert deaf
    assert (last["panel"], last["dialog"]) == (True, False)
    anna.refresh_from_db()
    assert anna.last_seen_at is not None


def test_a_hint_for_the_panel_and_the_open_dialog_is_told_as_one(account, anna):
    dialog = people.start_dialog(account)
    ticket = workspace_ticket(anna, dialog)
    channels = [f"workspace:{account.pk}", f"dialog:{dialog.pk}"]

    async def story(app):
        socket = Socket(app, "/live/workspace/stream")
        socket.say({"ticket": ticket, "since": ""})
        await socket.hear()
        heard = []
        for order in (channels, channels[::-1]):
            app.upkeep.heard(order)
            heard.append(await socket.hear())
        return heard, await socket.quiet(0.2)

    heard, nothing_more = live(story)
    assert [(news["panel"], news["dialog"]) for news in heard] == [(True, True)] * 2
    assert nothing_more


def test_a_page_that_was_just_read_is_told_only_what_came_since(account, anna, monkeypatch):
    """The page and its first panel are one answer: it does not read them again because its stream opens."""
    monkeypatch.setattr("dialogs.live.workspace_handlers.MOST_ON_THE_WAY", 0.0)
    ticket = workspace_ticket(anna)

    async def first_news(app, age):
        socket = Socket(app, "/live/workspace/stream")
        socket.say({"ticket": ticket, "age": age})
        news = await socket.hear()
        assert news["since"]  # from where on it is told, also when there is nothing to tell
        return news["panel"]

    async def story(app):
        app.state.hub.invalidate_all()  # it begins to hear
        app.upkeep.heard([f"workspace:{account.pk}"])
        await asyncio.sleep(0.3)
        app.upkeep.heard([f"workspace:{account.pk + 1}"])
        _, polled, _ = await test_live.post(app, "/live/workspace/poll", {"ticket": ticket, "age": 0.5})
        return [await first_news(app, age) for age in (0.1, 0.5, 1000, "0.1", None)], polled["panel"]

    assert live(story) == ([False, True, True, True, True], True)


@pytest.mark.parametrize(
    "end",
    [
        sign_out,
        lambda anna: change_people(anna, departments=[], languages=[], active=False),
        lambda anna: Operator.objects.filter(pk=anna.pk).update(is_active=False),
    ],
    ids=["signed out", "deactivated", "behind our back"],
)
def test_a_workspace_stream_ends_with_the_right_to_it(account, anna, end, monkeypatch):
    monkeypatch.setattr("dialogs.live.visit_upkeep.RENEW_EVERY", 0.5)
    ticket = workspace_ticket(anna)

    async def story(app):
        socket = Socket(app, "/live/workspace/stream")
        socket.say({"ticket": ticket, "since": ""})
        await socket.hear()
        await asyncio.to_thread(end, anna)
        for _ in range(20):
            socket.say("pong")
            try:
                heard = await socket.hear(0.3)
            except TimeoutError:
                continue
            if isinstance(heard, tuple):
                return heard
        return None

    assert live(story) == (streams.TICKET, "signed out or changed")
    anna.refresh_from_db()
    assert anna.last_seen_at is None or not anna.is_active


@pytest.mark.parametrize(
    "end",
    [
        sign_out,
        lambda anna: change_people(anna, departments=[], languages=[], active=False),
        lambda anna: Operator.objects.filter(pk=anna.pk).update(is_active=False),
        lambda anna: Account.objects.filter(pk=anna.account_id).update(archived_at=database_now()),
    ],
    ids=["signed out", "deactivated", "behind our back", "account archived behind our back"],
)
def test_a_workspace_stream_that_never_gives_a_sign_of_life_ends_with_the_right_to_it(account, anna, end, monkeypatch, request):
    """X5: a hint tells at once; what no hint told of is found by the check of all streams."""
    if "behind" in request.node.name:
        monkeypatch.setattr("dialogs.live.workspace_upkeep.CHECK_EVERY", 1.0)
    ticket = workspace_ticket(anna)

    async def story(app):
        socket = Socket(app, "/live/workspace/stream")
        socket.say({"ticket": ticket, "since": ""})
        await socket.hear()
        await asyncio.sleep(0.7)  # its own beginning, a sign of life, has been looked at
        await asyncio.to_thread(end, anna)
        while not isinstance(heard := await socket.hear(5), tuple):
            pass
        return heard, len(app.state.streams)

    assert live(story) == ((streams.TICKET, "signed out or changed"), 0)


def test_a_status_that_is_chosen_ends_no_stream(account, anna):
    ticket = workspace_ticket(anna)

    async def story(app):
        socket = Socket(app, "/live/workspace/stream")
        socket.say({"ticket": ticket, "since": ""})
        await socket.hear()
        await asyncio.to_thread(set_status, anna, "online")
        await asyncio.sleep(1.5)
        return len(app.state.streams), app.upkeep.workspaces.unchecked

    assert live(story) == (1, set())


def test_a_workspace_stream_takes_no_ticket_of_somebody_else(account, other_account, anna, boris):
    """X5: not of a colleague, and not of another account's person who may be given the same number by mistake."""
    stranger = people.make_operator(other_account, "stranger")
    own = workspace_ticket(anna)
    others = [
        workspace_ticket(boris),
        workspace_ticket(stranger),
        tickets.issue(tickets.WORKSPACE, tickets.workspace_claims(stranger) | {"o": anna.pk}),
    ]

    async def story(app):
        heard = []
        for ticket in others:
            socket = Socket(app, "/live/workspace/stream")
            socket.say({"ticket": own, "since": ""})
            await socket.hear()
            socket.say({"ticket": ticket})
            heard.append(await socket.hear())
        return heard, len(app.state.streams)

    assert live(story) == ([(streams.TICKET, "ticket: for somebody else")] * 3, 0)


def test_a_ticket_that_is_used_twice_is_one_visit_and_revives_none_that_ended(account, visitor, monkeypatch):
    later = [0.0]
    monkeypatch.setattr(tickets, "time", SimpleNamespace(time=lambda: time.time() + later[0]))
    ticket = visit_ticket(visitor)

    async def story(app):
        sockets = []
        for _ in range(2):
            sockets.append(Socket(app, "/live/visit/stream"))
            sockets[-1].say({"ticket": ticket, "since": "", "service": "offline"})
            await sockets[-1].hear()
        held = len(app.state.visits.alive)
        for socket in sockets:
            await socket.hang_up()
        await test_live.post(app, "/live/visit/bye", {"ticket": ticket})
        await asyncio.sleep(3)
        later[0] = 61
        socket = Socket(app, "/live/visit/stream")
        socket.say({"ticket": ticket, "since": "", "service": "offline"})
        refused = await socket.hear()
        beat = (await test_live.post(app, "/live/visit/beat", {"ticket": ticket}))[:2]
        return held, refused, beat, len(app.state.visits.alive)

    assert live(story) == (1, (streams.TICKET, "ticket: expired"), (401, {"error": "ticket: expired"}), 0)
    visitor.refresh_from_db()
    assert not visitor.is_present


@pytest.mark.parametrize(
    ("path", "frames", "code"),
    [
        ("/live/visit/stream", ["not json"], streams.NOT_UNDERSTOOD),
        ("/live/visit/stream", ["[]"], streams.NOT_UNDERSTOOD),
        ("/live/visit/stream", ["[" * 8000], streams.NOT_UNDERSTOOD),
        ("/live/visit/stream", [b"{}"], streams.NOT_UNDERSTOOD),
        ("/live/visit/stream", ["x" * 9000], streams.TOO_LARGE),
        ("/live/visit/stream", [{"ticket": "forged"}], streams.TICKET),
        ("/live/visit/stream", ["TICKET", "hello?"], streams.NOT_UNDERSTOOD),
        ("/live/visit/stream", ["TICKET", *["pong"] * 61], streams.REFUSED),
        ("/live/workspace/stream", ["TICKET"], streams.TICKET),
    ],
)
def test_what_a_stream_refuses_it_names(visitor, path, frames, code):
    ticket = {"ticket": visit_ticket(visitor), "since": "", "service": "offline"}

    async def story(app):
        socket = Socket(app, path)
        for frame in frames:
            socket.say(ticket if frame == "TICKET" else frame)
        while not isinstance(heard := await socket.hear(), tuple):
            pass
        await asyncio.wait_for(socket.task, 3)
        return heard, len(app.state.streams)

    (given, reason), left = live(story)
    assert given == code
    assert reason
    assert left == 0


def test_a_server_that_ends_ends_its_streams_without_an_error(visitor):
    """It tells the clients itself, and cancels what it still serves after a while."""
    ticket = visit_ticket(visitor)

    async def story(app):
        opening, opened = Socket(app, "/live/visit/stream"), Socket(app, "/live/visit/stream")
        opened.say({"ticket": ticket, "since": "", "service": "offline"})
        await opened.hear()
        for socket in (opening, opened):
            socket.task.cancel()
        return await asyncio.gather(opening.task, opened.task), len(app.state.streams)

    assert live(story) == ([None, None], 0)


def test_a_foreign_host_and_an_unknown_path_get_no_stream(visitor):
    async def story(app):
        heard = []
        for path, host in (("/live/visit/stream", "evil.example"), ("/live/nothing", "127.0.0.1")):
            heard.append((await asyncio.wait_for(Socket(app, path, host).sent.get(), 3))["type"])
        return heard

    assert live(story) == ["websocket.close", "websocket.close"]


def test_a_client_that_says_nothing_is_sent_away(monkeypatch):
    monkeypatch.setattr(streams, "HELLO_WITHIN", 0.2)

    async def story(app):
        return await Socket(app, "/live/visit/stream").hear()

    assert live(story)[0] == streams.REFUSED


def test_a_slow_reader_is_ended_holds_one_frame_and_hurts_nobody(account, visitor, monkeypatch):
    monkeypatch.setattr(streams, "SLOW_AFTER", 0.5)
    other = people.make_visitor(account)
    ticket_of = {person: visit_ticket(person) for person in (visitor, other)}

    async def story(app):
        slow, quick = Socket(app, "/live/visit/stream"), Socket(app, "/live/visit/stream")
        slow.say({"ticket": ticket_of[visitor], "since": "", "service": "offline"})
        quick.say({"ticket": ticket_of[other], "since": "", "service": "offline"})
        await slow.hear()
        await quick.hear()
        slow.is_stuck.clear()
        for _ in range(200):
            app.upkeep.heard([f"visitor:{visitor.pk}"])
        app.upkeep.heard([f"visitor:{other.pk}"])
        heard = await quick.hear(1)
        await asyncio.wait_for(slow.task, 3)
        return heard["changed"], slow.sent.qsize(), len(app.state.streams)

    assert live(story) == (True, 0, 1)


def test_a_reader_that_was_slow_for_a_moment_misses_nothing(visitor):
    ticket = visit_ticket(visitor)

    async def story(app):
        socket = Socket(app, "/live/visit/stream")
        socket.say({"ticket": ticket, "since": "", "service": "offline"})
        await socket.hear()
        socket.is_stuck.clear()
        for _ in range(5):
            app.upkeep.heard([f"visitor:{visitor.pk}"])
            await asyncio.sleep(0.01)
        socket.is_stuck.set()
        held_back = [await socket.hear(), await socket.hear()]
        nothing_more = await socket.quiet(0.2)
        app.upkeep.heard([f"visitor:{visitor.pk}"])
        return held_back, nothing_more, await socket.hear(), app.state.hub.position()

    held_back, nothing_more, last, position = live(story)
    assert [news["changed"] for news in held_back] == [True, True], "the frame that waited, and one for all that came meanwhile"
    assert nothing_more
    assert last == {"since": position, "service": "offline", "changed": True}


def test_what_one_stream_trips_over_keeps_no_news_from_the_others(account, visitor):
    people_there = [visitor, people.make_visitor(account)]
    ticket_of = [visit_ticket(person) for person in people_there]

    async def story(app):
        sockets = [Socket(app, "/live/visit/stream") for _ in people_there]
        for socket, ticket in zip(sockets, ticket_of, strict=True):
            socket.say({"ticket": ticket, "since": "", "service": "offline"})
            await socket.hear()
        stumbling = next(stream for stream in app.state.streams.all() if stream.claims["v"] == visitor.pk)
        stumbling.compose = lambda _: 1 / 0
        app.upkeep.heard([f"visitor:{person.pk}" for person in people_there])
        heard = await sockets[1].hear(1)
        await asyncio.wait_for(sockets[0].task, 3)
        return heard["changed"], len(app.state.streams)

    assert live(story) == (True, 1)


def test_one_visitor_cannot_hold_a_hundred_pages(visitor, monkeypatch):
    monkeypatch.setattr("dialogs.live.visit_handlers.MOST_VISITS", 3)
    ticket_of = [visit_ticket(visitor, key=f"page-{i}") for i in range(5)]

    async def story(app):
        ends = []
        for ticket in ticket_of:
            socket = Socket(app, "/live/visit/stream")
            socket.say({"ticket": ticket, "since": "", "service": "offline"})
            ends.append(await socket.hear())
        return [end if isinstance(end, tuple) else "" for end in ends], len(app.state.visits.alive)

    refused = (streams.TRY_LATER, "too many pages of one visitor")
    assert live(story) == (["", "", "", refused, refused], 3)
