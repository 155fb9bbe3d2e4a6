"""The background work of a live process: everything that happens without a request."""

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable

from django.db import DatabaseError
from redis import RedisError

from dialogs.live.hub import ids_of
from dialogs.live.state import LiveState
from dialogs.live.visit_upkeep import VisitUpkeep
from dialogs.live.workspace_upkeep import WorkspaceUpkeep
from webim_offline.foundation import realtime

logger = logging.getLogger(__name__)
AGAIN_AFTER = 1.0  # seconds before a loop that failed begins again
# seconds after which a running thread gives the interpreter to the others. Python's own 5 ms would hold up every write to a
# socket while the database thread works
SWITCH_INTERVAL = 0.0005


class Upkeep:
    """Starts and ends the loops of one live process."""

    def __init__(self, state: LiveState) -> None:
        self.state = state
        self.visits = VisitUpkeep(state)
        self.workspaces = WorkspaceUpkeep(state)
        self._tasks: list[asyncio.Task[None]] = []
        self._has_listened = False

    def start(self) -> None:
        """Begin the background work."""
        sys.setswitchinterval(SWITCH_INTERVAL)
        loops = (
            self.visits.keep_presence,
            self.visits.keep_lease,
            self.visits.keep_claiming,
            self.workspaces.keep_signs_of_life,
            self.workspaces.keep_rights,
            self.keep_service_states,
            self.keep_listening,
            self.state.goodbye_relay.keep_telling,
            self.state.streams.keep_pinging,
        )
        self._tasks = [asyncio.create_task(self._keep(loop), name=loop.__name__) for loop in loops]

    async def stop(self) -> None:
        """End the background work. Nobody is taken for gone: their pages come back to another process (P9)."""
        self.state.hub.invalidate_all()
        self.state.sessions.stop()
        running = set(self._tasks)
        while running:  # a library may swallow a cancellation that meets its own time-out, so cancel until all have ended
            for task in running:
                task.cancel()
            _, running = await asyncio.wait(running, timeout=0.5)
        await self.state.database.stop()

    @staticmethod
    async def _keep(work: Callable[[], Awaitable[None]]) -> None:
        """Run a loop again whenever it fails: a process that lacks one of them would be half alive, and look well."""
        while True:
            try:
                await work()
            except Exception:
                logger.exception("%s failed, beginning again", work.__name__)
            await asyncio.sleep(AGAIN_AFTER)

    async def keep_service_states(self) -> None:
        """Read the states of the accounts whose pages are here, and tell the pages what changed (A4). Never returns."""
        states, visits = self.state.service_states, self.state.visits
        while True:
            try:
                accounts = visits.of_account.keys() | states.asked
                if accounts:
                    visits.leases = await self.state.database.run(states.read, accounts)
                    states.compare()
            except DatabaseError as error:
                logger.warning("the service states could not be read: %s", error)
            await states.pause()

    async def keep_listening(self) -> None:
        """Hear the hints of other processes; after a loss of the connection everybody looks again. Never returns."""
        while True:
            try:
                await realtime.listen(self.heard, self.listening_began)
            except (OSError, RedisError) as error:
                logger.warning("hints are not heard, trying again: %s", error)
            await asyncio.sleep(AGAIN_AFTER)
            self.state.hub.invalidate_all()

    def listening_began(self) -> None:
        """Hints are heard from now on. If that was so before, some may have been lost meanwhile."""
        if self._has_listened:
            self.state.hub.invalidate_all()
        else:
            self.state.hub.begin()
        self._has_listened = True

    def heard(self, channels: list[str]) -> None:
        """A hint came for these channels."""
        channels = self.state.goodbye_relay.take_goodbyes(channels)
        if not channels:
            return
        self.workspaces.hints_came(channels)
        self.state.visits.ask(ids_of(channels, "visitor"))
        self.state.hub.heard(channels)
        if any(channel.startswith("service:") for channel in channels):
            self.state.service_states.hurry()
