"""Somebody who only looks at pages leaves no row: when one is made, and when it goes again (X2, X3, P6)."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from dialogs.actions import visitors
from dialogs.actions.devices import set_token
from dialogs.actions.presence import Arrival, visits_began
from dialogs.live import tickets
from dialogs.live.presence import HELD_FOR, Visits
from dialogs.models import Dialog, LiveProcess, Visit, Visitor
from dialogs.tasks import forget_visitors
from tests import people
from tests.dialogs import test_live
from tests.dialogs.test_live import post
from webim_offline.foundation.database.clock import database_now

PAGE = "page-000001"


@pytest.fixture
def newcomer(account):
    return visitors.recognise(account, visitors.new_token(account))


def arrival(visitor, key=PAGE):
    return Arrival(visitor.pk, visitor.account_id, key, "https://shop.example/", "Shop", visitor.token_digest)


class TestToken:
    def test_it_holds_the_id_and_digest_that_the_row_will_have(self, account):
        token = visitors.new_token(account)
        first, again = visitors.recognise(account, token), visitors.recognise(account, token)
        assert first._state.adding
        assert (first.pk, first.token_digest) == (again.pk, again.token_digest)
        assert len(token) <= visitors.LONGEST_TOKEN

    def test_newer_visitors_have_larger_ids(self, account, monkeypatch):
        older = visitors.recognise(account, visitors.new_token(account))
        now = visitors.time.time()
        monkeypatch.setattr(visitors.time, "time", lambda: now + 2)
        assert visitors.recognise(account, visitors.new_token(account)).pk > older.pk

    def test_ids_fit_into_the_column_for_a_hundred_years(self, account, monkeypatch):
        now = visitors.time.time()
        monkeypatch.setattr(visitors.time, "time", lambda: now + 100 * 365 * 86400)
        assert visitors.recognise(account, visitors.new_token(account)).pk < 2**63

    @pytest.mark.parametrize("token", ["", ".", "a.b", "я" * 60, "\x00.\x00", "." * 90, "a" * 35 + "." + "ÿ" * 24])
    def test_nonsense_is_nobodys(self, account, token):
        assert visitors.recognise(account, token) is None

    def test_a_token_from_before_is_known_by_its_row(self, account):
        visitor = people.make_visitor(account, "a-random-word-of-old-times-0123456789")
        assert visitors.recognise(account, "a-random-word-of-old-times-0123456789") == visitor

    def test_another_key_of_the_installation_recognises_nobody_without_a_row(self, account, newcomer, settings):
        token = visitors.new_token(account)
        settings.SECRET_KEY = "another one"
        assert visitors.recognise(account, token) is None


def write(visitor, **submission):
    return people.write(visitor, **{"language": "en", "visit_key": PAGE} | submission)


def everybody_left():
    at = database_now() - timedelta(seconds=5)
    Visit.objects.update(ended_at=at)
    Visitor.objects.update(is_present=False, left_at=at)
    Dialog.objects.update(away_since=at)


class TestFirstMessage:
    def test_it_makes_the_row_and_takes_ten_statements(self, account, newcomer):
        people.make_operator(account, online=True)
        write(people.make_visitor(account))  # the account's numbering begins
        with CaptureQueriesContext(connection) as captured:
            written = write(newcomer, contacts=visitors.Contacts(email="marina@mail.example", own={"Order": "A-17"}))
        statements = [q["sql"] for q in captured if not q["sql"].startswith(("SAVEPOINT", "RELEASE", "BEGIN", "COMMIT"))]
        assert len(statements) <= 10, "\n".join(statements)
        stored = Visitor.objects.get(pk=newcomer.pk)
        assert (stored.token_digest, stored.email, stored.own_fields) == (
            newcomer.token_digest,
            "marina@mail.example",
            {"Order": "A-17"},
        )
        assert stored.is_present
        assert not written.dialog.is_offline
        visit = Visit.objects.get(visitor=stored)
        assert (visit.process_id, visit.ended_at) == (None, None)
        assert visit.expires_at > written.dialog.created_at

    def test_without_a_visit_the_visitor_is_not_on_the_site(self, account, newcomer):
        assert write(newcomer, visit_key="").dialog.is_offline
        assert not Visitor.objects.get(pk=newcomer.pk).is_present

    def test_a_row_made_meanwhile_keeps_what_it_says_and_takes_what_was_told(self, account, newcomer):
        visitors.make_rows([newcomer])
        Visitor.objects.update(name="Marina", own_fields={"Size": "L"})
        write(newcomer, contacts=visitors.Contacts(phone="+7 495 000-00-00", own={"Order": "A-17"}))
        stored = Visitor.objects.get()
        assert (stored.name, stored.phone, stored.own_fields) == ("Marina", "+7 495 000-00-00", {"Size": "L", "Order": "A-17"})
        assert stored.is_present

    def test_a_visitor_who_left_meanwhile_is_back(self, account, newcomer):
        dialog = write(newcomer).dialog
        everybody_left()
        write(newcomer, visit_key="page-000002")
        dialog.refresh_from_db()
        assert dialog.away_since is None
        assert Visitor.objects.get().is_present
        assert Dialog.objects.count() == 1

    def test_an_id_that_is_somebody_elses_opens_nothing(self, account, newcomer):
        Visitor.objects.create(pk=newcomer.pk, account=account, token_digest="somebody-else", name="Olga")
        with pytest.raises(Visitor.DoesNotExist):
            write(newcomer)
        visits_began([arrival(newcomer)], process_id=None)
        assert list(Visitor.objects.values_list("name", "is_present")) == [("Olga", False)]
        assert not Dialog.objects.exists()
        assert not Visit.objects.exists()


class TestInMemory:
    """What one live process keeps of somebody whose ticket says that they had no row."""

    @pytest.fixture
    def clock(self):
        class Clock:
            now = 1000.0

            def __call__(self):
                return self.now

        return Clock()

    @pytest.fixture
    def visits(self, clock):
        return Visits(clock)

    @pytest.fixture
    def one(self):
        return Arrival(7, 1, PAGE, "https://shop.example/", "Shop", "digest")

    def test_signs_of_life_alone_tell_the_database_nothing(self, visits, clock, one):
        for _ in range(10):
            visits.sign(one)
            assert visits.take_arrivals() == []
            clock.now += 5
        assert visits.of_visitor[7] == 1

    def test_a_stream_held_long_enough_does(self, visits, clock, one):
        visits.sign(one)
        visits.hold((7, PAGE))
        clock.now += HELD_FOR - 0.1
        assert visits.take_arrivals() == []
        clock.now += 0.2
        assert visits.take_arrivals() == [one]
        assert visits.take_arrivals() == []
        visits.release((7, PAGE))

    def test_polls_one_after_another_do_too(self, visits, clock, one):
        visits.sign(one)
        for _ in range(3):
            visits.hold((7, PAGE))
            assert visits.take_arrivals() == []
            clock.now += 4
            visits.release((7, PAGE))
            assert visits.take_arrivals() == []
        visits.hold((7, PAGE))
        assert visits.take_arrivals() == [one]

    def test_one_that_has_a_row_by_now_is_told_at_once(self, visits, one):
        visits.sign(one)
        assert visits.take_unknown() == {7}
        assert visits.take_unknown() == set()
        visits.are_known([7])
        assert visits.take_arrivals() == [one]

    def test_all_pages_of_one_that_has_a_row_are_told(self, visits, one):
        other = replace(one, key="page-000002")
        visits.sign(one)
        visits.sign(other)
        visits.are_known([7])
        assert visits.take_arrivals() == [one, other]

    def test_a_hint_about_a_newcomer_asks_again(self, visits, one):
        visits.sign(one)
        visits.take_unknown()
        visits.ask([7, 8])
        assert visits.take_unknown() == {7}
        visits.are_known([7])
        visits.ask([7])
        assert visits.take_unknown() == set()

    def test_one_whose_visit_a_message_began_is_claimed_with_all_its_pages(self, visits, one):
        other = replace(one, key="page-000002")
        visits.sign(one)
        visits.sign(other)
        visits.claim([(7, PAGE)])
        assert visits.take_arrivals() == [one, other]

    def test_an_outage_makes_no_rows(self, visits, one):
        visits.sign(one)
        visits.all_again()
        assert visits.take_arrivals() == []

    def test_a_page_whose_lease_ran_out_while_its_stream_stayed_open_ripens_again(self, visits, clock, one):
        visits.sign(one)
        visits.hold((7, PAGE))
        clock.now += 4  # a suspended computer
        for _ in range(7):
            clock.now += 5
            visits.take_departures()
        assert visits.alive == {}
        visits.sign(one)
        clock.now += HELD_FOR - 1
        assert visits.take_arrivals() == []
        clock.now += 2
        assert visits.take_arrivals() == [one]
        visits.release((7, PAGE))
        assert visits.held == {}

    def test_one_that_an_outage_brought_back_to_life_can_still_be_told(self, visits, clock, one):
        visits.sign(one)
        ended = [((7, PAGE), clock.now, visits._forget((7, PAGE)))]
        assert visits.keep(ended) == []
        visits.sign(one)
        assert [arrival.token_digest for arrival in visits.take_arrivals()] == ["digest"]

    def test_a_page_that_is_gone_leaves_nothing(self, visits, clock, one):
        visits.sign(one)
        visits.hold((7, PAGE))
        visits.goodbye((7, PAGE))
        clock.now += 3
        assert [key for key, _, _ in visits.take_departures()] == [(7, PAGE)]
        visits.release((7, PAGE))
        clock.now += HELD_FOR
        assert visits.take_arrivals() == []
        assert (visits.newcomers, visits.held, visits.held_since, visits.ripening) == ({}, {}, {}, {})


@pytest.mark.django_db(transaction=True)
class TestLive:
    @staticmethod
    def ticket(visitor, key=PAGE):
        claims = {"a": visitor.account_id, "v": visitor.pk, "k": key, "d": None, "l": visitor.account.languages.first().pk}
        return tickets.issue(tickets.VISIT, claims | {"n": visitor.token_digest})

    live = staticmethod(test_live.TestApp.live)

    def test_beats_make_no_row_and_a_held_poll_does(self, newcomer, monkeypatch):
        monkeypatch.setattr("dialogs.live.presence.HELD_FOR", 1.0)
        ticket = self.ticket(newcomer)

        def rows():
            return asyncio.to_thread(lambda: list(Visitor.objects.values_list("pk", "token_digest", "is_present")))

        async def story(app):
            await post(app, "/live/visit/beat", {"ticket": ticket})
            await asyncio.sleep(1.5)
            beaten = await rows()
            asked = {"ticket": ticket, "service": "offline"}
            _, first, _ = await post(app, "/live/visit/poll", asked)
            poll = asyncio.create_task(post(app, "/live/visit/poll", asked | {"since": first["since"]}))
            for _ in range(100):
                await asyncio.sleep(0.1)
                if await rows():
                    break
            poll.cancel()
            return beaten, await rows()

        assert self.live(story) == ([], [(newcomer.pk, newcomer.token_digest, True)])

    def test_a_page_back_with_its_old_ticket_after_a_message_is_back_at_once(self, newcomer):
        """P6: the browser's page cache keeps the ticket of before the first message."""
        ticket = self.ticket(newcomer)
        write(newcomer)
        everybody_left()

        async def story(app):
            await post(app, "/live/visit/beat", {"ticket": ticket})
            for _ in range(30):
                await asyncio.sleep(0.1)
                if await asyncio.to_thread(lambda: Visitor.objects.get().is_present):
                    return True
            return False

        assert self.live(story)
        assert Dialog.objects.get().away_since is None

    def test_a_message_from_a_page_that_is_only_known_here_is_held_here(self, newcomer):
        """The visit that the message began has one lease of its own; then its page is heard of where its stream is."""
        ticket = self.ticket(newcomer)

        async def story(app):
            await post(app, "/live/visit/beat", {"ticket": ticket, "page": {"url": "https://shop.example/", "title": "Shop"}})
            await asyncio.sleep(0.5)
            await asyncio.to_thread(write, newcomer)
            for _ in range(60):
                await asyncio.sleep(0.1)
                if await asyncio.to_thread(lambda: Visit.objects.filter(process=app.state.process_id).exists()):
                    return await asyncio.to_thread(LiveProcess.objects.count)
            return 0

        assert self.live(story) == 1
        assert Visit.objects.get().page_url

    def test_the_other_page_of_who_wrote_keeps_them_on_the_site(self, newcomer):
        """P1, P3: two tabs before the first message; the one that wrote closes, the other one only beats."""
        first, second = self.ticket(newcomer), self.ticket(newcomer, key="page-000002")

        async def story(app):
            await post(app, "/live/visit/beat", {"ticket": first})
            await post(app, "/live/visit/beat", {"ticket": second})
            await asyncio.sleep(0.5)
            await asyncio.to_thread(write, newcomer)
            await asyncio.sleep(0.3)
            await post(app, "/live/visit/bye", {"ticket": first})
            await asyncio.sleep(3.5)
            return await asyncio.to_thread(lambda: Visitor.objects.get().is_present)

        assert self.live(story)
        assert Dialog.objects.get().away_since is None
        assert set(Visit.objects.filter(ended_at=None).values_list("key", flat=True)) == {"page-000002"}

    def test_a_newcomer_of_an_account_that_is_gone_holds_nobody_up(self, account, newcomer):
        process = people.make_process()
        lost = Arrival(newcomer.pk + 1, account.pk + 1000, PAGE, token_digest="lost")
        visits_began([lost, arrival(newcomer)], process_id=process.pk)
        assert list(Visitor.objects.values_list("pk", "is_present")) == [(newcomer.pk, True)]


class TestForgetting:
    @pytest.fixture
    def long_ago(self):
        return database_now() - timedelta(days=31)

    @staticmethod
    def make(account, **fields):
        visitor = people.make_visitor(account)
        Visitor.objects.filter(pk=visitor.pk).update(**fields)
        return visitor

    def left(self):
        return set(Visitor.objects.values_list("pk", flat=True))

    def test_who_never_began_a_dialog_goes_after_thirty_days(self, account, long_ago):
        never_seen = self.make(account, created_at=long_ago)
        gone = self.make(account, created_at=long_ago, left_at=long_ago)
        Visit.objects.create(visitor=gone, account=account, key=PAGE, began_at=long_ago, ended_at=long_ago)
        stay = {
            self.make(account, created_at=long_ago, is_present=True).pk,
            self.make(account, created_at=long_ago, left_at=database_now() - timedelta(days=29)).pk,
            self.make(account, created_at=database_now() - timedelta(days=29)).pk,
        }
        assert forget_visitors() == 2
        assert self.left() == stay
        assert not {never_seen.pk, gone.pk} & self.left()
        assert not Visit.objects.exists()

    def test_who_has_a_dialog_stays_and_is_looked_at_once(self, account, long_ago):
        dialog = people.start_dialog(account)
        Visitor.objects.update(created_at=long_ago, left_at=long_ago, is_present=False)
        assert [visitors.forget_visitors(), visitors.forget_visitors()] == [1, 0]
        assert self.left() == {dialog.visitor_id}

    def test_who_used_the_app_lately_stays(self, account, long_ago):
        visitor = self.make(account, created_at=long_ago)
        set_token(visitor.pk, device="phone", token="token")
        assert visitors.forget_visitors() == 0

    def test_batches_follow_each_other(self, account, long_ago, monkeypatch):
        monkeypatch.setattr(visitors, "FORGOTTEN_AT_ONCE", 3)
        for _ in range(7):
            self.make(account, created_at=long_ago)
        assert forget_visitors() == 7
        assert self.left() == set()

    def test_a_forgotten_visitors_token_is_as_good_as_new(self, account, long_ago):
        token = visitors.new_token(account)
        visitors.make_rows([visitors.recognise(account, token)])
        before = visitors.recognise(account, token)
        Visitor.objects.update(created_at=long_ago)
        assert visitors.forget_visitors() == 1
        again = visitors.recognise(account, token)
        assert again.pk == before.pk
        assert write(again).is_new
