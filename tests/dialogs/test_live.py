"""The live app without a network: memory, hub, tickets, and requests as ASGI messages (P2, A4, X5)."""

import asyncio
import json
import time
from collections import Counter

import pytest
from django.db import OperationalError

from dialogs.actions import presence as actions
from dialogs.actions.presence import Arrival
from dialogs.live import service_states, tickets
from dialogs.live.app import LiveApp
from dialogs.live.hub import Hub
from dialogs.live.presence import Visits
from dialogs.models import Visit, Visitor
from operators.actions.status import sign_out
from tests import people


def away(*arguments, **named):
    """What a call of the database does while it is away."""
    raise OperationalError("connection refused")


class Clock:
    """Seconds that pass when told to."""

    def __init__(self):
        self.seconds = 1000.0

    def __call__(self):
        return self.seconds


class TestVisits:
    @pytest.fixture
    def clock(self):
        return Clock()

    @pytest.fixture
    def visits(self, clock):
        return Visits(clock)

    @staticmethod
    def page(key="p1", visitor=1):
        return Arrival(visitor_id=visitor, account_id=7, key=key)

    @staticmethod
    def run(visits, clock, seconds, sign=None):
        ended = []
        for _ in range(round(seconds * 5)):
            clock.seconds += 0.2
            if sign:
                visits.sign(sign)
            ended += visits.take_departures()
        return ended

    def test_only_the_first_sign_is_written(self, visits):
        visits.sign(self.page())
        visits.sign(self.page())
        assert visits.take_arrivals() == [self.page()]
        assert visits.take_arrivals() == []

    def test_a_goodbye_ends_the_visit_two_seconds_later(self, visits, clock):
        visits.sign(self.page())
        said = clock.seconds
        visits.goodbye((1, "p1"))
        assert self.run(visits, clock, 1.8) == []
        ((key, at, _),) = self.run(visits, clock, 1)
        assert (key, at) == ((1, "p1"), said + 2)

    def test_a_page_from_the_page_cache_takes_its_goodbye_back(self, visits, clock):
        visits.sign(self.page())
        visits.goodbye((1, "p1"))
        self.run(visits, clock, 1)
        visits.sign(self.page())
        assert self.run(visits, clock, 5) == []

    def test_a_sign_that_was_on_its_way_takes_no_goodbye_back(self, visits, clock):
        visits.sign(self.page())
        visits.goodbye((1, "p1"))
        clock.seconds += 0.1
        visits.sign(self.page())
        assert len(self.run(visits, clock, 3)) == 1

    def test_without_a_sign_the_lease_ends_it(self, visits, clock):
        visits.sign(self.page())
        last = clock.seconds
        ((key, at, _),) = self.run(visits, clock, 32)
        assert (key, at) == ((1, "p1"), last + 30)
        assert not visits.alive
        assert not visits.of_visitor

    def test_signs_keep_it_alive_and_the_accounts_own_lease_counts(self, visits, clock):
        visits.sign(self.page())
        assert self.run(visits, clock, 100, sign=self.page()) == []
        visits.leases = {7: 5.0}
        assert len(self.run(visits, clock, 7)) == 1

    def test_a_process_that_stood_still_loses_nobody(self, visits, clock):
        visits.sign(self.page())
        self.run(visits, clock, 1)
        clock.seconds += 600
        assert visits.take_departures() == []
        assert self.run(visits, clock, 29) == []
        assert len(self.run(visits, clock, 3)) == 1

    def test_a_goodbye_for_a_visit_held_elsewhere_is_left_to_its_lease(self, visits, clock):
        visits.goodbye((1, "elsewhere"))
        assert self.run(visits, clock, 5) == []

    def test_an_outage_that_meets_a_departure_takes_it_back_unless_it_was_a_goodbye(self, visits, clock):
        visits.sign(self.page("silent"))
        visits.sign(self.page("gone"))
        visits.goodbye((1, "gone"))
        ended = self.run(visits, clock, 32)
        assert len(ended) == 2
        assert [key for key, _, _ in visits.keep(ended)] == [(1, "gone")]
        assert set(visits.alive) == {(1, "silent")}
        assert (visits.of_visitor[1], visits.of_account[7]) == (1, 1)
        assert self.run(visits, clock, 29) == []
        assert len(self.run(visits, clock, 2)) == 1

    def test_who_was_taken_back_is_told_again_with_the_next_sign(self, visits, clock):
        """Their end may have been written though the answer got lost."""
        visits.sign(self.page())
        visits.take_arrivals()
        visits.keep(self.run(visits, clock, 32))
        assert visits.take_arrivals() == []
        visits.sign(self.page())
        visits.sign(self.page())
        (told,) = visits.take_arrivals()
        assert (told.key, told.page_url) == ("p1", None)
        assert visits.take_arrivals() == []

    def test_after_lost_rows_everyone_has_a_full_lease_from_the_end_of_the_outage(self, visits, clock):
        visits.sign(self.page())
        self.run(visits, clock, 25)
        visits.all_again(ended_ago=4)
        assert self.run(visits, clock, 25) == []
        assert len(self.run(visits, clock, 2)) == 1

    def test_after_lost_rows_everyone_is_told_again_without_an_address(self, visits):
        visits.sign(self.page())
        visits.take_arrivals()
        visits.sign(self.page("p2"))
        visits.all_again()
        assert {(arrival.key, arrival.page_url) for arrival in visits.take_arrivals()} == {("p1", None), ("p2", "")}

    def test_a_silent_visit_is_given_up_once_and_told_again_when_it_is_heard(self, visits, clock):
        visits.sign(self.page())
        visits.take_arrivals()
        self.run(visits, clock, 26.8)
        assert visits.take_silent() == []
        self.run(visits, clock, 1.4)
        ((key, ends_at, _),) = visits.take_silent()
        assert (key, ends_at) == ((1, "p1"), 1030)
        self.run(visits, clock, 1)
        assert visits.take_silent() == []
        visits.sign(self.page())
        assert [(arrival.key, arrival.page_url) for arrival in visits.take_arrivals()] == [("p1", None)]
        self.run(visits, clock, 28.4)
        assert len(visits.take_silent()) == 1

    def test_a_goodbye_of_a_silent_page_is_told_after_its_visit_is_held_again(self, visits, clock):
        visits.sign(self.page())
        visits.take_arrivals()
        self.run(visits, clock, 28.2)
        said = clock.seconds
        visits.goodbye((1, "p1"))
        assert [arrival.key for arrival in visits.take_arrivals()] == ["p1"]
        ((_, at, _),) = self.run(visits, clock, 3)
        assert at == said + 2

    def test_a_very_short_lease_is_given_up_at_half_time(self, visits, clock):
        visits.leases = {7: 4.0}
        visits.sign(self.page())
        self.run(visits, clock, 1.8)
        assert visits.take_silent() == []
        assert self.run(visits, clock, 1.4) == []
        assert len(visits.take_silent()) == 1

    def test_a_process_that_stood_still_gives_nobody_up(self, visits, clock):
        visits.sign(self.page())
        self.run(visits, clock, 1)
        clock.seconds += 28
        visits.take_departures()
        assert visits.take_silent() == []

    def test_only_a_page_that_is_heard_here_is_claimed(self, visits, clock):
        visits.sign(self.page("heard"))
        visits.sign(self.page("left"))
        visits.goodbye((1, "left"))
        clock.seconds += 20
        visits.sign(self.page("new"))
        visits.take_arrivals()
        visits.claim([(1, "heard"), (1, "left"), (1, "stranger")])
        assert [(arrival.key, arrival.page_url) for arrival in visits.take_arrivals()] == [("heard", None)]
        clock.seconds += 8
        visits.claim([(1, "heard")])
        assert visits.take_arrivals() == []

    def test_arrivals_that_could_not_be_written_come_back(self, visits):
        visits.sign(self.page())
        taken = visits.take_arrivals()
        visits.put_back(taken)
        assert visits.take_arrivals() == taken


class TestHub:
    def test_a_hint_is_news_only_after_the_known_position(self):
        hub = Hub()
        before = hub.position()
        hub.heard(["a"])
        assert hub.changed(["a", "b"], before) == {"a"}
        assert hub.changed(["a"], hub.position()) == set()

    @pytest.mark.parametrize("odd", ["", None, "x.1", "1", 5, "abcd.-1", "abcd.x"])
    def test_an_unknown_position_means_look_again(self, odd):
        assert Hub().changed(["a"], odd) == {"a"}

    @pytest.mark.parametrize("odd", ["9" * 5000, "1" * 16, "١٢", "-1", "1.5"])
    def test_a_number_that_is_none_means_look_again(self, odd):
        hub = Hub()
        assert hub.changed(["a"], f"{hub.epoch}.{odd}") == {"a"}

    def test_polls_answered_by_two_processes_in_turn_hear_each_hint_once_from_each(self):
        hubs = [Hub(), Hub()]
        position = ""
        for hub in hubs:
            assert hub.changed(["a"], position) == {"a"}
            position = hub.position(position)
        for hub in hubs:
            assert hub.knows(position)
            assert hub.changed(["a"], position) == set()
        for hub in hubs:
            hub.heard(["a"])
        for hub in hubs:
            assert hub.changed(["a"], position) == {"a"}
            position = hub.position(position)
            assert hub.changed(["a"], position) == set()
        assert len(position.split(",")) == 2

    def test_a_position_stays_short_and_holds_nothing_but_numbers(self):
        hub = Hub()
        many = ",".join(["<b>", "x" * 5000, *(f"{number:08x}.7" for number in range(1000))])
        parts = hub.position(many).split(",")
        assert parts[0] == f"{hub.epoch}.0"
        assert 50 < len(parts) <= 64
        assert all(len(part) == 10 for part in parts[1:])

    def test_many_listeners_of_one_channel_come_and_go(self):
        class Ear:
            heard = 0

            def news(self):
                self.heard += 1

        hub, ears = Hub(), [Ear() for _ in range(3)]
        for ear in ears:
            hub.listen(["board", f"own:{id(ear)}"], ear)
        hub.heard(["board"])
        hub.leave(["board", f"own:{id(ears[0])}"], ears[0])
        hub.heard(["board", f"own:{id(ears[0])}"])
        hub.invalidate_all()
        assert [ear.heard for ear in ears] == [1, 3, 3]
        for ear in ears:
            hub.leave(["board", f"own:{id(ear)}"], ear)
        assert hub._listening == {}

    def test_forgotten_channels_mean_look_again(self, monkeypatch):
        monkeypatch.setattr("dialogs.live.hub.MOST_REMEMBERED", 2)
        hub = Hub()
        old = hub.position()
        for channel in "abc":
            hub.heard([channel])
        assert hub.changed(["z"], old) == {"z"}

    def test_who_read_everything_a_while_ago_is_told_what_came_since(self):
        moment = 1000.0
        hub = Hub(lambda: moment)
        hub.invalidate_all()  # it begins to hear
        moment = 1010.0
        hub.heard(["a"])
        moment = 1020.0
        hub.heard(["b"])
        moment = 1030.0
        assert hub.changed("ab", hub.position_of(25)) == {"a", "b"}
        assert hub.changed("ab", hub.position_of(15)) == {"b"}
        assert hub.changed("ab", hub.position_of(10.5)) == {"b"}
        assert hub.changed("ab", hub.position_of(0)) == set()
        assert hub.changed("ab", hub.position_of(31)) == {"a", "b"}  # before it began to hear
        hub.invalidate_all()  # hints may have been lost
        moment = 1031.0
        assert hub.changed("ab", hub.position_of(5)) == {"a", "b"}
        assert hub.changed("ab", hub.position_of(0.5)) == set()

    @pytest.mark.parametrize("odd", [None, "", "1", True, [], -1, -0.001, 1e9, float("nan"), float("inf"), 10**400])
    def test_an_odd_age_of_a_page_means_look_again(self, odd):
        hub = Hub()
        hub.invalidate_all()
        assert hub.changed(["a"], hub.position_of(odd)) == {"a"}

    def test_moments_of_hints_take_bounded_memory(self, monkeypatch):
        monkeypatch.setattr("dialogs.live.hub.MOST_TIMES", 3)
        moment = 0.0
        hub = Hub(lambda: moment)
        for second in range(10):
            moment = float(second)
            hub.heard([f"channel-{second}"])
        assert hub.changed(["channel-9"], hub.position_of(0.5)) == {"channel-9"}
        assert hub.changed(["channel-1"], hub.position_of(2)) == set()
        assert hub.position_of(2.5) is None

    def test_waiting_ends_with_a_hint_or_with_time_and_leaves_nothing(self):
        async def story():
            hub = Hub()
            waiting = asyncio.create_task(hub.wait(["a", "b"], 5))
            await asyncio.sleep(0)
            hub.heard(["b"])
            await asyncio.wait_for(waiting, 1)
            await hub.wait(["a"], 0.01)
            return hub._waiting

        assert asyncio.run(story()) == {}


PAGE = {"a": 7, "v": 3, "k": "page-1", "d": None, "l": 1}  # what the ticket of a page says
TAB = {"o": 3, "a": 7, "d": None, "lease": 60, "s": "2026-03-01T12:00:00.000001+00:00"}  # and of a workspace's tab


class TestTickets:
    def test_a_ticket_says_what_was_put_in(self):
        assert tickets.read(tickets.VISIT, tickets.issue(tickets.VISIT, PAGE))["v"] == 3

    @pytest.mark.parametrize(
        "spoil",
        [lambda t: t[:-1] + ("A" if t[-1] != "A" else "B"), lambda t: "x" + t, lambda t: "", lambda t: t * 100, lambda t: None],
    )
    def test_a_spoiled_ticket_is_refused(self, spoil):
        with pytest.raises(tickets.BadTicket):
            tickets.read(tickets.VISIT, spoil(tickets.issue(tickets.VISIT, PAGE)))

    def test_a_ticket_serves_one_purpose(self):
        with pytest.raises(tickets.BadTicket, match="another purpose"):
            tickets.read(tickets.WORKSPACE, tickets.issue(tickets.VISIT, PAGE))

    def test_a_ticket_has_sixty_seconds_to_begin(self, monkeypatch):
        ticket = tickets.issue(tickets.VISIT, PAGE)
        then = time.time() + 61
        monkeypatch.setattr(tickets.time, "time", lambda: then)
        with pytest.raises(tickets.BadTicket, match="expired"):
            tickets.read(tickets.VISIT, ticket)
        assert tickets.read(tickets.VISIT, ticket, max_age=None)["v"] == 3


async def post(app, path, body, *, method="POST", host="127.0.0.1", origin="http://127.0.0.1", peer="127.0.0.1", **headers):
    """One request; (status, answer, headers)."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    names = {"host": host, "origin": origin} | {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [(name.encode(), value.encode()) for name, value in names.items() if value is not None]
    scope = {"type": "http", "method": method, "path": path, "scheme": "http", "client": (peer, 4711), "headers": lines}
    sent = []
    messages = [{"type": "http.request", "body": raw, "more_body": False}]

    async def receive():
        if messages:
            return messages.pop()
        return await asyncio.Event().wait()

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    answer = sent[1]["body"]
    return sent[0]["status"], json.loads(answer) if answer else None, dict(sent[0]["headers"])


@pytest.mark.django_db(transaction=True)
class TestApp:
    @pytest.fixture
    def visitor(self, account):
        return people.make_visitor(account)

    @staticmethod
    def ticket(visitor, key="page-1", department=None):
        language = visitor.account.languages.first()
        claims = {"a": visitor.account_id, "v": visitor.pk, "k": key, "d": department, "l": language.pk}
        return tickets.issue(tickets.VISIT, claims)

    @staticmethod
    def live(story):
        """Run a story with a started live app."""

        async def run():
            app = LiveApp()
            app.upkeep.start()
            try:
                return await story(app)
            finally:
                await app.upkeep.stop()

        return asyncio.run(run())

    def test_a_beat_begins_a_visit_and_a_goodbye_ends_it(self, visitor):
        ticket = self.ticket(visitor)

        async def story(app):
            page = {"url": "https://shop.example/tea", "title": "Tea\x00"}
            status, _, headers = await post(app, "/live/visit/beat", {"ticket": ticket, "page": page})
            assert status == 204
            assert headers[b"access-control-allow-origin"] == b"*"
            await asyncio.sleep(0.7)
            begun = await asyncio.to_thread(lambda: Visitor.objects.get(pk=visitor.pk).is_present)
            await post(app, "/live/visit/bye", {"ticket": ticket})
            await asyncio.sleep(1.5)
            early = await asyncio.to_thread(lambda: Visitor.objects.get(pk=visitor.pk).is_present)
            await asyncio.sleep(1.6)
            return begun, early

        assert self.live(story) == (True, True)
        visitor.refresh_from_db()
        visit = Visit.objects.get()
        assert not visitor.is_present
        assert visitor.left_at == visit.ended_at
        assert (visit.page_url, visit.page_title) == ("https://shop.example/tea", "Tea")

    @pytest.mark.parametrize("path", ["beat", "poll"])
    def test_nobody_is_let_in_before_the_sites_of_the_account_could_be_read(self, visitor, monkeypatch, path):
        """X5: with the database away a page is told to come again; it is not let in unchecked."""
        ticket = self.ticket(visitor)
        monkeypatch.setattr(service_states.ServiceStates, "read", away)
        monkeypatch.setattr(service_states, "FIRST_READ", 0.3)

        async def story(app):
            status, _, headers = await post(app, f"/live/visit/{path}", {"ticket": ticket})
            refused = status, headers[b"retry-after"], headers[b"access-control-allow-origin"], dict(app.state.visits.alive)
            monkeypatch.undo()
            await asyncio.sleep(1.2)
            return refused, (await post(app, "/live/visit/beat", {"ticket": ticket}))[0]

        assert self.live(story) == ((503, b"5", b"*", {}), 204)

    def test_a_page_that_is_back_before_its_goodbye_could_be_written_never_left(self, visitor, monkeypatch):
        ticket = self.ticket(visitor)

        async def story(app):
            await post(app, "/live/visit/beat", {"ticket": ticket})
            await asyncio.sleep(0.7)
            monkeypatch.setattr(actions, "visits_ended", away)
            await post(app, "/live/visit/bye", {"ticket": ticket})
            await asyncio.sleep(3)
            unwritten = len(app.upkeep.visits.unwritten)
            await post(app, "/live/visit/beat", {"ticket": ticket})
            monkeypatch.undo()
            await asyncio.sleep(2)
            return unwritten, app.upkeep.visits.unwritten

        assert self.live(story) == (1, [])
        assert Visitor.objects.get(pk=visitor.pk).is_present
        assert Visit.objects.get().ended_at is None

    def test_any_number_of_visit_ids_takes_no_more_room_than_one_visitor_may_have(self, account, visitor):
        """X3: whoever makes up visit ids is told to come later, and neither others nor the own pages pay for it."""
        other = people.make_visitor(account)
        made_up = [self.ticket(visitor, key=f"made-up-{number}") for number in range(3000)]
        tickets_of = self.ticket(visitor, key="made-up-0"), self.ticket(other)

        async def story(app):
            given = Counter()
            for number, ticket in enumerate(made_up):
                answer = await post(app, f"/live/visit/{('beat', 'poll')[number >= 2000]}", {"ticket": ticket})
                given[answer[0], answer[2].get(b"retry-after")] += 1
            after = [(await post(app, "/live/visit/beat", {"ticket": ticket}))[0] for ticket in tickets_of]
            await asyncio.sleep(0.7)
            return given, after, len(app.state.visits.alive), len(app.state.visits.arrivals)

        given, after, alive, waiting = self.live(story)
        assert given == {(204, None): 100, (429, b"5"): 2900}
        assert (after, alive, waiting) == ([204, 204], 101, 0)
        assert Visit.objects.count() == 101

    def test_a_page_that_asks_too_often_is_told_to_wait(self, account, visitor, monkeypatch):
        monkeypatch.setattr("dialogs.live.visit_handlers.MOST_REQUESTS", 3)
        eager, other = self.ticket(visitor), self.ticket(people.make_visitor(account))

        async def story(app):
            app.visit_handlers.requests.seconds = 1.0
            answers = [await post(app, f"/live/visit/{verb}", {"ticket": eager}) for verb in ("beat", "beat", "bye", "beat", "bye")]
            others = (await post(app, "/live/visit/beat", {"ticket": other}))[0]
            await asyncio.sleep(1.1)
            later = (await post(app, "/live/visit/beat", {"ticket": eager}))[0]
            return (
                [(status, headers.get(b"retry-after")) for status, _, headers in answers],
                others,
                later,
                len(app.visit_handlers.requests.counts),
            )

        given, others, later, counted = self.live(story)
        assert given == [(204, None)] * 3 + [(429, b"5")] * 2
        assert (others, later, counted) == (204, 204, 1)

    def test_a_process_that_is_full_says_so(self, account, visitor, monkeypatch):
        monkeypatch.setattr("dialogs.live.visit_handlers.MOST_HELD", 1)
        tickets_of = [self.ticket(visitor), self.ticket(people.make_visitor(account))]

        async def story(app):
            return [(await post(app, "/live/visit/beat", {"ticket": ticket}))[0] for ticket in (*tickets_of, tickets_of[0])]

        assert self.live(story) == [204, 503, 204]

    def test_what_a_page_says_of_itself_never_keeps_a_visit_from_being_written(self, account, visitor):
        ticket_of = [self.ticket(visitor), self.ticket(people.make_visitor(account))]
        odd = {"url": "https://shop.example/\ud800tea\x00" + "x" * 5000, "title": "\udfff"}

        async def story(app):
            for ticket, page in zip(ticket_of, (odd, {"url": 5, "title": ["Tea"]}), strict=True):
                assert (await post(app, "/live/visit/beat", {"ticket": ticket, "page": page}))[0] == 204
            await asyncio.sleep(0.7)

        self.live(story)
        urls = list(Visit.objects.order_by("pk").values_list("page_url", flat=True))
        assert (urls[0][:26], urls[1]) == ("https://shop.example/teaxx", "")

    def test_a_ticket_for_another_purpose_is_refused_everywhere(self, account, anna, visitor):
        pages, workspaces = self.ticket(visitor), tickets.issue(tickets.WORKSPACE, tickets.workspace_claims(anna))
        asked = [(f"/live/visit/{verb}", workspaces) for verb in ("beat", "poll", "bye")] + [("/live/workspace/poll", pages)]

        async def story(app):
            return [(await post(app, path, {"ticket": ticket}))[:2] for path, ticket in asked], len(app.state.visits.alive)

        assert self.live(story) == ([(401, {"error": "ticket: for another purpose"})] * 4, 0)

    def test_a_part_that_fails_begins_again(self, visitor, monkeypatch, caplog):
        def broken(*arguments, **named):
            raise ZeroDivisionError

        ticket = self.ticket(visitor)
        monkeypatch.setattr(actions, "visits_began", broken)

        async def story(app):
            await post(app, "/live/visit/beat", {"ticket": ticket})
            await asyncio.sleep(0.7)
            monkeypatch.undo()
            await asyncio.sleep(1.5)
            return await asyncio.to_thread(lambda: Visitor.objects.get(pk=visitor.pk).is_present)

        assert self.live(story)
        assert "keep_presence failed" in caplog.text

    def test_a_poll_learns_at_once_that_the_service_went_online(self, account, visitor, anna):
        ticket = self.ticket(visitor)

        async def story(app):
            _, first, _ = await post(app, "/live/visit/poll", {"ticket": ticket, "since": "", "service": "offline"})
            body = {"ticket": ticket, "since": first["since"], "service": first["service"]}
            poll = asyncio.create_task(post(app, "/live/visit/poll", body))
            await asyncio.sleep(0.5)
            assert not poll.done()
            await asyncio.to_thread(people.go_online, anna)
            began = time.monotonic()
            _, second, _ = await asyncio.wait_for(poll, 3)
            return first["service"], second["service"], time.monotonic() - began

        before, after, seconds = self.live(story)
        assert (before, after) == ("offline", "online")
        assert seconds < 2

    def test_a_poll_wakes_for_its_own_visitor_only(self, account, visitor):
        stranger = people.make_visitor(account)
        tickets_of = [self.ticket(visitor), self.ticket(stranger)]

        async def story(app):
            polls = []
            for ticket in tickets_of:
                _, first, _ = await post(app, "/live/visit/poll", {"ticket": ticket, "since": "", "service": "offline"})
                body = {"ticket": ticket, "since": first["since"], "service": "offline"}
                polls.append(asyncio.create_task(post(app, "/live/visit/poll", body)))
            await asyncio.sleep(0.3)
            app.upkeep.heard([f"visitor:{visitor.pk}"])
            _, answer, _ = await asyncio.wait_for(polls[0], 2)
            await asyncio.sleep(0.2)
            woken = polls[1].done()
            polls[1].cancel()
            return answer["changed"], woken

        assert self.live(story) == (True, False)

    def test_a_server_that_ends_leaves_no_request_without_an_answer(self, account, visitor, anna, monkeypatch):
        """It cancels what it still serves (--timeout-graceful-shutdown): a held poll is answered as if its time were over."""
        ticket, workspace = self.ticket(visitor), tickets.issue(tickets.WORKSPACE, tickets.workspace_claims(anna))

        async def story(app):
            held = []
            for path, body in (
                ("/live/visit/poll", {"ticket": ticket, "service": "offline"}),
                ("/live/workspace/poll", {"ticket": workspace}),
            ):
                _, first, _ = await post(app, path, body | {"since": ""})
                held.append(asyncio.create_task(post(app, path, body | {"since": first["since"]})))
            await asyncio.sleep(0.3)
            polls = app.state.polls.held
            monkeypatch.setattr(app.state.service_states, "knows", lambda _: False)
            monkeypatch.setattr(app.state.service_states, "read", away)
            held.append(asyncio.create_task(post(app, "/live/visit/beat", {"ticket": ticket})))
            await asyncio.sleep(0.1)
            for request in held:
                request.cancel()
            answers = await asyncio.gather(*held)
            return polls, [(status, answer) for status, answer, _ in answers], app.state.polls.held, app.state.hub._waiting

        polls, (visit, tab, beat), left, waiting = self.live(story)
        assert (polls, left, waiting) == (2, 0, {})
        assert (visit[0], visit[1]["changed"]) == (200, False)
        assert (tab[0], tab[1]["panel"]) == (200, False)
        assert beat == (503, {"error": "this process ends"})

    def test_hints_of_committed_actions_reach_the_hub(self, account, visitor):
        async def story(app):
            await asyncio.sleep(0.5)
            position = app.state.hub.position()
            await asyncio.to_thread(people.write, visitor)
            for _ in range(40):
                await asyncio.sleep(0.05)
                if app.state.hub.changed([f"workspace:{account.pk}"], position):
                    return True
            return False

        assert self.live(story)

    def test_a_workspace_poll_is_a_sign_of_life_until_the_operator_signs_out(self, account, anna):
        ticket = tickets.issue(tickets.WORKSPACE, tickets.workspace_claims(anna))

        async def story(app):
            status, first, headers = await post(app, "/live/workspace/poll", {"ticket": ticket, "since": ""})
            assert (status, first["panel"]) == (200, True)
            assert b"access-control-allow-origin" not in headers
            async with asyncio.timeout(10):
                while anna.last_seen_at is None:
                    await asyncio.sleep(0.1)
                    await asyncio.to_thread(anna.refresh_from_db)
            await asyncio.to_thread(sign_out, anna)
            status, _, _ = await asyncio.wait_for(post(app, "/live/workspace/poll", {"ticket": ticket, "since": first["since"]}), 3)
            await asyncio.sleep(0.5)
            return status

        status = self.live(story)
        anna.refresh_from_db()
        assert status == 401
        assert anna.last_seen_at is None

    def test_news_of_an_operator_end_a_poll_and_not_the_right_to_it(self, anna):
        ticket = tickets.issue(tickets.WORKSPACE, tickets.workspace_claims(anna))

        async def story(app):
            _, first, _ = await post(app, "/live/workspace/poll", {"ticket": ticket, "since": ""})
            poll = asyncio.create_task(post(app, "/live/workspace/poll", {"ticket": ticket, "since": first["since"]}))
            await asyncio.sleep(0.3)
            app.upkeep.heard([f"operator:{anna.pk}"])
            return (await asyncio.wait_for(poll, 3))[0]

        assert self.live(story) == 200

    @pytest.mark.parametrize(
        ("path", "body", "options", "status"),
        [
            ("/live/nothing", {}, {}, 404),
            ("/live/visit/poll", {}, {"method": "GET"}, 405),
            ("/live/visit/poll", {}, {"host": "evil.example"}, 421),
            ("/live/visit/poll", b"not json", {}, 400),
            ("/live/visit/poll", b"[1]", {}, 400),
            ("/live/visit/poll", b"[" * 8000, {}, 400),
            ("/live/visit/poll", b'{"ticket": "\xff"}', {}, 400),
            ("/live/visit/poll", b"{" + b" " * 9000 + b"}", {}, 413),
            ("/live/visit/poll", {"ticket": "forged.ticket"}, {}, 401),
            ("/live/visit/beat", {"ticket": 5}, {}, 401),
            ("/live/visit/bye", {}, {}, 401),
            ("/live/workspace/poll", {"ticket": "é"}, {}, 401),
        ],
    )
    def test_bad_requests_are_refused_with_a_reason(self, path, body, options, status):
        answer = asyncio.run(post(LiveApp(), path, body, **options))
        assert answer[0] == status
        assert answer[1]["error"]
