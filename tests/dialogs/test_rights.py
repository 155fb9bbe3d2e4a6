"""The right to hear of a workspace ends with the session (X5): before a word is told it is asked for, and no forged one counts."""

import asyncio
import time
from datetime import datetime, timedelta
from ipaddress import ip_network

import pytest

from dialogs.live import sessions, streams, tickets
from operators.actions.people import change_people
from operators.actions.signs_of_life import workspaces_seen
from operators.actions.status import sign_out
from operators.models import Operator
from tests import people
from tests.dialogs import test_live
from tests.dialogs.test_live import PAGE, TAB, away, post
from tests.dialogs.test_streams import Socket, workspace_ticket
from webim_offline.foundation.database.clock import database_now

pytestmark = pytest.mark.django_db(transaction=True)
live = test_live.TestApp.live
NEVER = "9999-12-31T23:59:59.999999+00:00"
VOID = (streams.TICKET, "ticket: signed out or changed")
ENDS = {
    "signed out": sign_out,
    "deactivated": lambda anna: change_people(anna, departments=[], languages=[], active=False),
    "deactivated behind our back": lambda anna: Operator.objects.filter(pk=anna.pk).update(is_active=False),
}


async def opened(app, ticket, since=""):
    """A workspace's stream and what it hears first."""
    socket = Socket(app, "/live/workspace/stream")
    socket.say({"ticket": ticket, "since": since})
    return socket, await socket.hear()


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_an_old_ticket_opens_nothing_after_the_session(account, anna, end):
    """Not one frame, not one poll, whatever position it names, and no sign of life."""
    ticket = workspace_ticket(anna)
    end(anna)

    async def story(app):
        positions = "", app.state.hub.position()
        heard = [(await opened(app, ticket, since))[1] for since in positions]
        polls = [(await post(app, "/live/workspace/poll", {"ticket": ticket, "since": since}))[:2] for since in positions]
        await asyncio.sleep(0.7)
        return heard, polls

    heard, polls = live(story)
    assert heard == [VOID] * 2
    assert polls == [(401, {"error": "ticket: signed out or changed"})] * 2
    anna.refresh_from_db()
    assert anna.last_seen_at is None


def test_a_new_ticket_on_an_open_stream_has_to_be_of_the_session(account, anna):
    dialog = people.start_dialog(account)
    first, void = workspace_ticket(anna), workspace_ticket(anna, dialog)
    forged = tickets.issue(tickets.WORKSPACE, tickets.workspace_claims(anna, dialog.pk) | {"s": NEVER})

    def begin_anew():
        Operator.objects.filter(pk=anna.pk).update(tickets_valid_from=database_now() + timedelta(seconds=1))

    async def story(app):
        heard = []
        for ticket in (forged, void):
            socket, _ = await opened(app, first)
            if ticket is void:  # behind everybody's back: no hint has told
                await asyncio.to_thread(begin_anew)
            socket.say({"ticket": ticket})
            heard.append(await socket.hear())
        return heard

    assert live(story) == [VOID] * 2


@pytest.mark.parametrize("end", [ENDS["signed out"], ENDS["deactivated"]], ids=["signed out", "deactivated"])
def test_the_hint_of_the_end_ends_a_stream_before_it_is_told_anything(account, anna, boris, end):
    """The same hint speaks of the panel to everybody in the account."""
    ticket_of = [workspace_ticket(anna), workspace_ticket(boris)]

    async def story(app):
        (hers, _), (his, _) = [await opened(app, ticket) for ticket in ticket_of]
        await asyncio.sleep(0.7)
        began = asyncio.get_running_loop().time()
        await asyncio.to_thread(end, anna)
        heard = await hers.hear()
        return heard, asyncio.get_running_loop().time() - began, await his.hear()

    heard, seconds, told = live(story)
    assert heard == (streams.TICKET, "signed out or changed")
    assert seconds < 2
    assert told["panel"]


def test_hints_that_come_while_a_right_is_looked_at_are_told_after_it_is_confirmed(account, anna, monkeypatch):
    ticket = workspace_ticket(anna)

    async def story(app):
        socket, _ = await opened(app, ticket)
        await asyncio.sleep(0.7)
        monkeypatch.setattr("dialogs.live.workspace_upkeep.valid_sessions", away)
        monkeypatch.setattr("dialogs.live.workspace_upkeep.AGAIN_AFTER", 0.1)
        app.upkeep.heard([f"operator:{anna.pk}", f"workspace:{account.pk}"])
        while_away = await socket.quiet(0.5)
        (stream,) = app.state.streams.all()
        stream.ping()  # it is asked for signs of life all the same
        asked = (await asyncio.wait_for(socket.sent.get(), 1)).get("text")
        monkeypatch.undo()
        return while_away, asked, await socket.hear(5)

    while_away, asked, told = live(story)
    assert (while_away, asked) == (True, "ping")
    assert told["panel"]


def test_a_hint_after_the_question_makes_the_answer_old(account, anna, monkeypatch):
    """The session ends between the question and its answer: the ticket is refused, the open stream stays silent and ends."""
    ticket = workspace_ticket(anna)
    questions = []

    def slow(operator_ids):
        answer = sessions_before(operator_ids)
        questions.append(operator_ids)
        if len(questions) == 1:
            sign_out(Operator.objects.get(pk=anna.pk))
            time.sleep(0.3)  # the hint is faster than the answer
        return answer

    sessions_before = sessions.valid_sessions
    monkeypatch.setattr(sessions, "valid_sessions", slow)

    async def story(app):
        await asyncio.sleep(0.5)
        return (await opened(app, ticket))[1]

    assert live(story) == VOID
    assert questions == [[anna.pk]] * 2


def test_many_workspaces_that_come_at_once_cost_few_queries(account, monkeypatch):
    staff = [people.make_operator(account) for _ in range(40)]
    ticket_of = [workspace_ticket(operator) for operator in staff]
    asked = []
    valid_sessions = sessions.valid_sessions
    monkeypatch.setattr(sessions, "valid_sessions", lambda ids: asked.append(len(ids)) or valid_sessions(ids))

    async def story(app):
        return await asyncio.gather(*(post(app, "/live/workspace/poll", {"ticket": ticket, "since": ""}) for ticket in ticket_of))

    assert {status for status, _, _ in live(story)} == {200}
    assert sum(asked) == 40
    assert len(asked) <= 5


def test_nobody_is_let_in_while_the_database_does_not_say(anna, monkeypatch):
    ticket = workspace_ticket(anna)
    monkeypatch.setattr(sessions, "valid_sessions", away)

    async def story(app):
        poll = await post(app, "/live/workspace/poll", {"ticket": ticket, "since": ""})
        return (await opened(app, ticket))[1], poll[0], poll[2][b"retry-after"]

    assert live(story) == ((streams.TRY_LATER, "the database does not answer"), 503, b"5")


@pytest.mark.parametrize("origin", [None, "https://evil.example", "null", "http://127.0.0.1.evil.example", "https://127.0.0.1"])
def test_only_our_own_pages_may_follow_a_workspace(anna, origin):
    ticket = workspace_ticket(anna)

    async def story(app):
        socket = Socket(app, "/live/workspace/stream", origin=origin)
        closed = (await asyncio.wait_for(socket.sent.get(), 3))["type"]
        status, answer, _ = await post(app, "/live/workspace/poll", {"ticket": ticket, "since": ""}, origin=origin)
        return closed, status, answer["error"]

    assert live(story) == ("websocket.close", 403, "this address is for our own pages")


def test_pages_of_the_public_address_and_of_the_host_that_is_asked_are_ours(anna, settings):
    settings.PUBLIC_URL, settings.ALLOWED_HOSTS = "https://Chat.Example/tea", ["chat.example", "127.0.0.1"]
    ticket = workspace_ticket(anna)
    asked = [
        ({"origin": "https://chat.example"}, 200),
        ({"origin": "http://127.0.0.1:8000", "host": "127.0.0.1:8000"}, 200),
        ({"origin": "http://127.0.0.1:8000", "host": "127.0.0.1:9000"}, 403),
        ({"origin": "https://127.0.0.1", "host": "127.0.0.1:443", "x_forwarded_proto": "https"}, 403),
    ]
    behind_a_proxy = [
        ({"origin": "https://127.0.0.1", "host": "127.0.0.1:443", "x_forwarded_proto": "https"}, 200),
        ({"origin": "http://127.0.0.1", "host": "127.0.0.1", "x_forwarded_proto": "https"}, 403),
    ]

    async def ask(app, options):
        return (await post(app, "/live/workspace/poll", {"ticket": ticket, "since": ""}, **options))[0]

    async def story(app):
        found = [await ask(app, options) for options, _ in asked]
        settings.TRUSTED_PROXIES = [ip_network("127.0.0.1/32")]
        return found + [await ask(app, options) for options, _ in behind_a_proxy]

    assert live(story) == [status for _, status in (*asked, *behind_a_proxy)]


# ----- tickets that somebody with the key has made -----


def test_a_session_that_is_not_the_valid_one_is_no_sign_of_life_an_earlier_or_a_later(account, anna):
    for session in (datetime.fromisoformat(NEVER), anna.tickets_valid_from - timedelta(seconds=1)):
        assert workspaces_seen({anna.pk: session}) == {anna.pk: anna.tickets_valid_from}
        anna.refresh_from_db()
        assert anna.last_seen_at is None
    workspaces_seen({anna.pk: anna.tickets_valid_from})
    anna.refresh_from_db()
    assert anna.last_seen_at is not None


def test_a_forged_session_of_the_year_9999_shadows_no_honest_workspace(account, anna):
    honest = workspace_ticket(anna)
    forged = tickets.issue(tickets.WORKSPACE, tickets.workspace_claims(anna) | {"s": NEVER})

    async def story(app):
        refused = [(await opened(app, forged))[1], (await post(app, "/live/workspace/poll", {"ticket": forged, "since": ""}))[0]]
        socket, _ = await opened(app, honest)
        await opened(app, forged)
        await asyncio.sleep(0.8)
        return refused, await socket.quiet(0.1), len(app.state.streams)

    assert live(story) == ([VOID, 401], True, 1)
    anna.refresh_from_db()
    assert anna.last_seen_at is not None


MISSING = object()
ODD = {
    "a": [MISSING, None, "7", 0, -1, 2**63, 1.5, True, [], {}],
    "v": [MISSING, None, "3", 0, -1, 2**70, True],
    "k": [MISSING, None, 5, "", "x" * 101, "a\x00b", "ё"],
    "d": ["1", 0, 2**63, False],
    "l": [MISSING, "1", True],
    "o": [MISSING, None, "3", 0, True, 10**400],
    "lease": [MISSING, None, "60", -1, True, float("nan"), float("inf"), 10**400],
    "s": [MISSING, None, 5, "", "now", "2026-03-01", "2026-03-01T12:00:00", "2026-03-01T12:00:00+03:00", "9" * 5000, ["s"]],
    "t": [MISSING, None, "1", True, float("nan"), float("-inf"), 10**400],
    "p": [MISSING, None, 5, ["visit"], {}],
}


def forged(purpose, claims, name, value):
    claims = {**claims, "p": purpose, "t": tickets.time.time(), name: value}
    return tickets._signed({key: kept for key, kept in claims.items() if kept is not MISSING})


@pytest.mark.parametrize(
    ("purpose", "claims", "name"),
    [
        (purpose, claims, name)
        for purpose, claims in ((tickets.VISIT, PAGE), (tickets.WORKSPACE, TAB))
        for name in (*claims, "t", "p")
    ],
)
def test_claims_that_are_none_of_ours_are_a_bad_ticket_however_well_signed(purpose, claims, name):
    assert tickets.read(purpose, tickets.issue(purpose, claims))
    for value in ODD[name]:
        for max_age in (None, 60):
            with pytest.raises(tickets.BadTicket):
                tickets.read(purpose, forged(purpose, claims, name, value), max_age=max_age)


@pytest.mark.parametrize("body", [b"[1]", b"7", b"null", b'"visit"', b"{", b"\xff\xfe", b"[" * 700])
def test_a_body_that_is_no_object_is_a_bad_ticket_however_well_signed(body):
    packed = tickets.base64.urlsafe_b64encode(body).rstrip(b"=")
    for unpadded in (packed, packed + b"A", b"*"):
        with pytest.raises(tickets.BadTicket):
            tickets.read(tickets.VISIT, (unpadded + b"." + tickets._signature(unpadded)).decode())


def test_no_forged_ticket_makes_the_live_app_stumble(account, anna, caplog):
    visit = {**PAGE, "a": account.pk, "l": account.languages.first().pk}
    tab = tickets.workspace_claims(anna)
    asked = [
        (path, forged(purpose, claims, name, value))
        for path, purpose, claims in (("visit/beat", tickets.VISIT, visit), ("workspace/poll", tickets.WORKSPACE, tab))
        for name in (*claims, "t", "p")
        for value in ODD[name]
    ]

    async def story(app):
        return {(await post(app, f"/live/{path}", {"ticket": ticket}))[0] for path, ticket in asked}, len(app.state.visits.alive)

    assert live(story) == ({401}, 0)
    assert "Traceback" not in caplog.text
