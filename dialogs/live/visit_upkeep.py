"""Background work for visits: what is in memory becomes rows in batches, and the lease of this process is renewed (P2, P9)."""

import asyncio
import logging
from datetime import datetime

from django.db import DatabaseError

from dialogs.actions import presence
from dialogs.live.presence import Ended
from dialogs.live.state import LiveState

logger = logging.getLogger(__name__)
WRITE_EVERY = 0.2  # seconds; beginnings and ends of visits
RENEW_EVERY = 5.0  # seconds; the lease of this process
CLAIM_EVERY = 1.0  # seconds; visits that other processes gave up
AGAIN_AFTER = 1.0  # seconds to wait after the database has failed


class VisitUpkeep:
    """Writes the beginnings and ends of the visits that this process holds."""

    def __init__(self, state: LiveState) -> None:
        self.state = state
        self.unwritten: list[Ended] = []  # visits that ended and could not be written yet
        self.lease_known: datetime | None = None  # what this process last wrote into its row
        self.renewed_at = state.clock()
        self._renewing = asyncio.Lock()
        # the database may have missed this process for longer than P9 allows, so that an outage has to be ended first
        self.is_cut_off = True

    async def keep_presence(self) -> None:
        """Write beginnings and ends of visits several times a second. Never returns."""
        looked_at = self.state.clock()
        while True:
            await asyncio.sleep(WRITE_EVERY)
            before, looked_at = looked_at, self.state.clock()
            if looked_at - before > presence.LONGEST_GAP.total_seconds():
                self.is_cut_off = True  # the machine was suspended, or the database hung: no call needs to have failed
            try:
                if self.is_cut_off:
                    await self.renew_lease()
                await self.write_arrivals()
                await self.write_departures()
                await self.write_silences()
            except (DatabaseError, presence.OutageBetween) as error:
                logger.warning("presence waits for the database: %s", error)
                self.is_cut_off = True
                await asyncio.sleep(AGAIN_AFTER)

    async def _find_known_newcomers(self) -> None:
        visits = self.state.visits
        unknown = list(visits.take_unknown())
        try:
            while unknown:
                batch = unknown[: presence.BATCH]
                visits.are_known(await self.state.database.run(presence.known_visitors, batch))
                unknown = unknown[presence.BATCH :]
        finally:
            visits.ask(unknown)

    async def write_arrivals(self) -> None:
        """Write the visits that have begun; those that could not be written are kept for the next time."""
        await self._find_known_newcomers()
        visits, process_id = self.state.visits, self.state.process_id
        arrivals = visits.take_arrivals()
        try:
            while arrivals:
                await self.state.database.run(presence.visits_began, arrivals[: presence.BATCH], process_id=process_id)
                arrivals = arrivals[presence.BATCH :]
        finally:
            visits.put_back(arrivals)

    async def write_departures(self) -> None:
        """Write the visits that have ended; those that could not be written are kept for the next time."""
        visits, process_id, found_at = self.state.visits, self.state.process_id, self.state.clock()
        # a page that said goodbye before an outage and is back after it never left
        late = [(key, at, visit) for key, at, visit in self.unwritten if key not in visits.alive]
        ended, self.unwritten = late + visits.take_departures(), []
        try:
            while ended:
                batch = visits.departures(ended[: presence.BATCH])
                await self.state.database.run(presence.visits_ended, batch, process_id=process_id, found_at=found_at)
                ended = ended[presence.BATCH :]
        finally:
            self.unwritten = visits.keep(ended)

    async def write_silences(self) -> None:
        """Give up the visits that end soon unless they are heard of: another live process may hold their pages now."""
        visits, process_id, found_at = self.state.visits, self.state.process_id, self.state.clock()
        silent = visits.take_silent()
        try:
            while silent:
                batch = visits.departures(silent[: presence.BATCH])
                await self.state.database.run(presence.visits_silent, batch, process_id=process_id, found_at=found_at)
                silent = silent[presence.BATCH :]
        finally:
            visits.keep_silent(silent)

    async def keep_claiming(self) -> None:
        """Claim, each second, the visits that other processes gave up and whose pages this one hears. Never returns."""
        while True:
            await asyncio.sleep(CLAIM_EVERY)
            if not self.state.visits.alive and not self.state.visits.newcomers:
                continue  # it hears no page
            try:
                self.state.visits.claim(await self.state.database.run(presence.unclaimed_visits))
            except DatabaseError as error:
                logger.warning("visits given up by others could not be read: %s", error)

    async def renew_lease(self) -> None:
        """Renew the one lease of this process; after a silence of its own, end the outage first (P9)."""
        async with self._renewing:
            silence = self.state.clock() - self.renewed_at
            if self.is_cut_off or silence > RENEW_EVERY + presence.LONGEST_GAP.total_seconds():
                await self.state.database.run(presence.end_outage)
            self.lease_known, ended_ago = await self.state.database.run(
                presence.renew_process,
                self.state.process_id,
                self.lease_known,
                streams=len(self.state.streams),
                polls=self.state.polls.held,
            )
            self.renewed_at, self.is_cut_off = self.state.clock(), False
            if ended_ago is not None:
                self.state.visits.all_again(ended_ago=ended_ago)
                self.state.hub.invalidate_all()

    async def keep_lease(self) -> None:
        """Renew the lease of this process every few seconds. Never returns."""
        while True:
            try:
                await self.renew_lease()
            except DatabaseError as error:
                logger.warning("the lease could not be renewed: %s", error)
                self.is_cut_off = True
            await asyncio.sleep(RENEW_EVERY)
