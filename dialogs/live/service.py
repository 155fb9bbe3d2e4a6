"""Which services are online, as the widgets of this process see them; read once a second, and at once after a hint (A4)."""

import asyncio

from dialogs.live.hub import Hub
from operators.availability import service_states
from operators.models import Account
from webim_offline.database_clock import database_now

EVERY = 1.0  # seconds; also how fast an expired operator lease (A2) reaches the widgets
NOT_SOONER = 0.1
FIRST_READ = 2.0  # seconds to wait for the database to tell of an account nobody asked for yet

Place = tuple[int | None, int]


class NotKnown(Exception):
    """The database has not told of this account, and does not answer: nobody can say which sites may come (X5)."""


class Board:
    """The (department, language) pairs that somebody answers, by account."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.asked: set[int] = set()
        self._online: dict[int, set[Place]] = {}
        self._shown: dict[int, tuple[set[Place], frozenset[str]]] = {}
        self.sites: dict[int, frozenset[str]] = {}  # account id -> origins whose pages may come; empty: all (X5)
        self._hurry = asyncio.Event()
        self._readers: list[asyncio.Future[None]] = []

    @staticmethod
    def channel(account_id: int) -> str:
        """Waiting here means: wake me when any place of the account changes. Local to this process."""
        return f"board:{account_id}"

    def state(self, account_id: int, place: Place) -> str:
        return "online" if place in self._online.get(account_id, ()) else "offline"

    def read(self, account_ids: set[int]) -> dict[int, float]:
        """Read all accounts' states and sites (runs in the database thread); returns their visit leases in seconds."""
        accounts = list(Account.objects.filter(pk__in=account_ids).only("visit_lease", "sites"))
        sites = {account.pk: account.origins for account in accounts}
        online = service_states(account_ids, database_now())
        self.sites, self._online = sites, online
        return {account.pk: float(account.visit_lease) for account in accounts}

    def compare(self) -> None:
        """Wake the polls and streams of accounts whose states or sites differ from the last ones."""
        read = {pk: (places, self.sites.get(pk, frozenset())) for pk, places in self._online.items()}
        changed = [pk for pk, facts in read.items() if facts != self._shown.get(pk)]
        self._shown = read
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
        """A hint said that somebody's availability changed."""
        self._hurry.set()

    async def pause(self) -> None:
        """Wait until it is time to read again."""
        await asyncio.sleep(NOT_SOONER)
        try:
            async with asyncio.timeout(EVERY - NOT_SOONER):
                await self._hurry.wait()
        except TimeoutError:
            pass
        self._hurry.clear()

    def knows(self, account_id: int) -> bool:
        return account_id in self._online

    async def know(self, account_id: int) -> None:
        """Return once the account's state and sites have been read. Raises NotKnown when the database does not tell them."""
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
