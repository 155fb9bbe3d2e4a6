"""The service states that the widgets of this process show (A4), and the sites that each account lists (X5).

They are read from the database once a second, and at once after a hint that somebody's availability changed.
"""

import asyncio
from contextlib import suppress

from dialogs.live.hub import Hub
from operators.availability import service_states
from operators.models import Account
from operators.routes import Route
from webim_offline.foundation.database.clock import database_now

EVERY = 1.0  # seconds between two readings; also how soon an expired operator lease (A2) reaches the widgets
NOT_SOONER = 0.1  # seconds that lie between two readings at least, however many hints come
FIRST_READ = 2.0  # seconds to wait for the first reading of an account


class NotKnown(Exception):
    """An account has not been read yet, and the database does not answer in time.

    Without the sites that the account lists, for example, nobody knows whether a page may be answered (X5).
    """


class ServiceStates:
    """The routes of each account for which the service is online now, and the sites that the account lists."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.asked: set[int] = set()  # accounts that somebody waits to know
        self.sites: dict[int, frozenset[str]] = {}  # account id -> origins whose pages may come; empty: all (X5)
        self._online: dict[int, set[Route]] = {}
        self._told: dict[int, tuple[set[Route], frozenset[str]]] = {}
        self._hurry = asyncio.Event()
        self._readers: list[asyncio.Future[None]] = []

    @staticmethod
    def channel(account_id: int) -> str:
        """Return the name of the channel that hears of changes to an account's states or sites. It is local to this process."""
        return f"service-states:{account_id}"

    def state(self, account_id: int, route: Route) -> str:
        """Return "online" or "offline"."""
        return "online" if route in self._online.get(account_id, ()) else "offline"

    def read(self, account_ids: set[int]) -> dict[int, float]:
        """Read the states and sites of these accounts, and return their visit leases in seconds by account id.

        This runs in the database thread.
        """
        accounts = list(Account.objects.filter(pk__in=account_ids).only("visit_lease", "sites"))
        sites = {account.pk: account.origins for account in accounts}
        online = service_states(account_ids, database_now())
        self.sites, self._online = sites, online
        return {account.pk: float(account.visit_lease) for account in accounts}

    def compare(self) -> None:
        """Wake the polls and streams of the accounts whose states or sites differ from those they were told last."""
        read = {pk: (routes, self.sites.get(pk, frozenset())) for pk, routes in self._online.items()}
        changed = [pk for pk, facts in read.items() if facts != self._told.get(pk)]
        self._told = read
        self.asked -= self._online.keys()
        self._wake_readers()
        if changed:
            self.hub.heard([self.channel(pk) for pk in changed])

    def _wake_readers(self) -> None:
        readers, self._readers = self._readers, []
        for waiter in readers:
            if not waiter.done():
                waiter.set_result(None)

    def hurry(self) -> None:
        """Have the next reading begin soon, because somebody's availability changed or an account must be read first."""
        self._hurry.set()

    async def pause(self) -> None:
        """Wait until it is time to read again."""
        await asyncio.sleep(NOT_SOONER)
        with suppress(TimeoutError):
            async with asyncio.timeout(EVERY - NOT_SOONER):
                await self._hurry.wait()
        self._hurry.clear()

    def knows(self, account_id: int) -> bool:
        """Whether the states of this account have been read."""
        return account_id in self._online

    async def know(self, account_id: int) -> None:
        """Return once the account's states and sites have been read. Raises NotKnown when the database does not tell them."""
        until = asyncio.get_running_loop().time() + FIRST_READ
        while not self.knows(account_id):
            self.asked.add(account_id)
            self.hurry()
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._readers.append(waiter)
            done, _ = await asyncio.wait({waiter}, timeout=until - asyncio.get_running_loop().time())
            if not done:
                self._readers.remove(waiter)
                raise NotKnown
