"""Several live processes side by side: a page may be heard of by any of them, and by several in turn (P1, P2, P9)."""

import asyncio
import time

import pytest
from django.conf import settings

from dialogs.actions import presence
from dialogs.actions.presence import Departure
from dialogs.live.app import LiveApp
from dialogs.models import LiveProcess, Visit, Visitor
from tests import people
from tests.dialogs import test_live
from tests.dialogs.test_live import post
from webim_offline.foundation.database.clock import database_now

pytestmark = pytest.mark.django_db(transaction=True)
ticket_of = test_live.TestApp.ticket


@pytest.fixture
def visitor(account):
    account.visit_lease = 4
    account.save()
    return people.make_visitor(account)


def side_by_side(story):
    """Run a story with two started live apps."""

    async def run():
        apps = [LiveApp(), LiveApp()]
        for app in apps:
            app.upkeep.start()
        try:
            return await story(*apps)
        finally:
            for app in apps:
                await app.upkeep.stop()

    return asyncio.run(run())


async def is_present(visitor):
    return await asyncio.to_thread(lambda: Visitor.objects.get(pk=visitor.pk).is_present)


async def holder():
    return await asyncio.to_thread(lambda: Visit.objects.get().process_id)


async def beat(app, ticket):
    status, _, _ = await post(app, "/live/visit/beat", {"ticket": ticket})
    assert status == 204


def test_a_page_that_went_to_another_process_and_back_stays(visitor):
    ticket = ticket_of(visitor)

    async def story(first, second):
        await beat(first, ticket)
        await asyncio.sleep(0.6)
        await beat(second, ticket)
        await asyncio.sleep(0.6)
        moved = await holder()
        seen = []
        for _ in range(16):  # two leases of the second one, which hears no more of it
            await beat(first, ticket)
            await asyncio.sleep(0.5)
            seen.append(await is_present(visitor))
        return moved == second.state.process_id, seen, await holder() == first.state.process_id

    moved, seen, back = side_by_side(story)
    assert moved
    assert all(seen)
    assert back


def test_a_page_that_is_silent_everywhere_ends_with_its_lease(visitor):
    ticket = ticket_of(visitor)

    async def story(first, second):
        await beat(first, ticket)
        await beat(second, ticket)
        await asyncio.sleep(3)
        early = await is_present(visitor)
        await asyncio.sleep(4)
        return early, await is_present(visitor)

    assert side_by_side(story) == (True, False)
    visit = Visit.objects.get()
    assert 3.5 <= (visit.ended_at - visit.began_at).total_seconds() < 5  # it was heard of a moment before it was written


def test_polls_that_two_processes_answer_in_turn_are_held(visitor):
    ticket = ticket_of(visitor)

    async def story(first, second):
        since, news, seen = "", 0, []
        await beat(first, ticket)
        await asyncio.sleep(0.6)
        until = time.monotonic() + 10
        while time.monotonic() < until:
            for app in (first, second):
                _, answer, _ = await post(app, "/live/visit/poll", {"ticket": ticket, "since": since, "service": "offline"})
                since = answer["since"]
                news += answer["changed"]
                seen.append(await is_present(visitor))
        return news, len(seen), all(seen)

    news, polls, stayed = side_by_side(story)
    assert news <= 5  # each process's first word, and what may have been lost while the second began to listen or was slow
    assert polls <= 10
    assert stayed


@pytest.mark.skipif(not settings.REDIS_URL, reason="embedded there is one live process")
def test_a_goodbye_reaches_the_process_that_holds_the_page(visitor):
    ticket = ticket_of(visitor)

    async def story(first, second):
        await asyncio.sleep(0.5)
        await beat(first, ticket)
        await asyncio.sleep(0.6)
        await post(second, "/live/visit/bye", {"ticket": ticket})
        await asyncio.sleep(1.5)
        early = await is_present(visitor)
        await asyncio.sleep(1.3)
        return early, await is_present(visitor)

    assert side_by_side(story) == (True, False)


class TestRows:
    @staticmethod
    def unclaimed(visitor):
        return (visitor.pk, "page-1") in presence.unclaimed_visits()

    def test_a_held_visit_is_not_to_be_claimed_until_its_process_is_overdue(self, visitor, process):
        people.arrive(visitor, process)
        assert not self.unclaimed(visitor)
        now = database_now()
        LiveProcess.objects.update(expires_at=now + presence.CLAIM_WITHIN / 2)
        assert self.unclaimed(visitor)
        people.arrive(visitor, people.make_process())
        assert not self.unclaimed(visitor)

    def test_a_silent_visit_is_given_up_by_its_holder_alone_and_ends_at_its_moment(self, visitor, process):
        people.arrive(visitor, process)
        silence = [Departure(visitor.pk, "page-1", ago=-2)]
        presence.visits_silent(silence, process_id=people.make_process().pk)
        assert not self.unclaimed(visitor)
        presence.visits_silent(silence, process_id=process.pk)
        assert self.unclaimed(visitor)
        visit = Visit.objects.get()
        assert visit.process_id is None
        assert 1 < (visit.expires_at - database_now()).total_seconds() <= 2
        people.depart(visitor, process)
        visitor.refresh_from_db()
        assert visitor.is_present, "somebody else may still hear its page"
        Visit.objects.update(expires_at=database_now())
        people.depart(visitor, process)
        visitor.refresh_from_db()
        assert not visitor.is_present

    def test_silences_that_waited_out_an_outage_are_not_written(self, visitor, process):
        people.arrive(visitor, process)
        long_ago = time.monotonic() - 6
        with pytest.raises(presence.OutageBetween):
            presence.visits_silent([Departure(visitor.pk, "page-1", -2)], process_id=process.pk, found_at=long_ago)
        assert not self.unclaimed(visitor)
