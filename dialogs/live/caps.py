"""How many streams and polls one person, page or network may hold in this process, and how often they may be opened (X3).

Beats and goodbyes are bounded by the page (`app.MOST_REQUESTS`): they hold nothing.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar

from django.conf import settings

from dialogs.live.presence import Key
from dialogs.live.requests import Refusal
from webim_offline.steady_clock import steady_now

VISITOR, OPERATOR, NETWORK = "visitor", "operator", "network"
MOST_OF_VISITOR = 100  # streams and polls together
MOST_OF_OPERATOR = 50
OPENED_WITHIN = 10.0  # seconds
MOST_OPENED_BY_PAGE = 20  # streams in that time; a page on a bad network comes back ever more slowly
OPENED_BY_NETWORK = 2  # times what a network may hold: all its pages come back after a restart, and polls ask again
MOST_COUNTED = 100_000  # pages or networks in one window; beyond, counting begins anew

Owner = tuple[str, int | str]
Who = TypeVar("Who")


class CapReached(Refusal):
    """One visitor, operator, page or network holds or opens as many streams and polls as it may: come again later."""

    def __init__(self, reason: str) -> None:
        super().__init__(429, reason)


class Window(Generic[Who]):
    """How often each has done something in the last few seconds."""

    def __init__(self, seconds: float, clock: Callable[[], float] = steady_now) -> None:
        self.seconds, self.clock = seconds, clock
        self.since = clock()
        self.counts: dict[Who, int] = {}

    def count(self, who: Who) -> int:
        """Once more; returns how often in this window."""
        now = self.clock()
        if now - self.since > self.seconds or len(self.counts) > MOST_COUNTED:
            self.since, self.counts = now, {}
        self.counts[who] = times = self.counts.get(who, 0) + 1
        return times


def _most(kind: str) -> int:
    return {VISITOR: MOST_OF_VISITOR, OPERATOR: MOST_OF_OPERATOR}.get(kind) or settings.STREAMS_PER_ADDRESS


class Caps:
    """Who holds how many streams and polls now: each counts for its network from its first byte, for its person from its ticket."""

    def __init__(self) -> None:
        self.held: Counter[Owner] = Counter()
        self.opened_by_network: Window[str] = Window(OPENED_WITHIN)
        self.opened_by_page: Window[Key] = Window(OPENED_WITHIN)

    def take(self, owner: Owner) -> None:
        """One more for `owner`, until `give`. Raises CapReached."""
        if self.held[owner] >= _most(owner[0]):
            raise CapReached(f"too many streams and polls of one {owner[0]}")
        self.held[owner] += 1

    def give(self, owner: Owner) -> None:
        """One fewer."""
        self.held[owner] -= 1
        if self.held[owner] <= 0:
            del self.held[owner]

    @contextmanager
    def holding(self, *owners: Owner) -> Iterator[None]:
        """One more for each of `owners`. Raises CapReached."""
        taken = []
        try:
            for owner in owners:
                self.take(owner)
                taken.append(owner)
            yield
        finally:
            for owner in taken:
                self.give(owner)

    def opens(self, network: str) -> None:
        """A stream or poll is opened from `network`. Raises CapReached."""
        if self.opened_by_network.count(network) > OPENED_BY_NETWORK * settings.STREAMS_PER_ADDRESS:
            raise CapReached("too many streams and polls opened by one network")

    def opens_stream(self, page: Key) -> None:
        """A page opens a stream. Raises CapReached."""
        if self.opened_by_page.count(page) > MOST_OPENED_BY_PAGE:
            raise CapReached("too many streams opened by one page")


class Replaceable(Protocol):
    """A stream or poll that ends when its page begins a newer one."""

    def make_room(self) -> None: ...


class Newest:
    """Of each page the stream, or the poll, that came last: the one before has to make room."""

    def __init__(self) -> None:
        self._of_page: dict[Key, Replaceable] = {}

    def take(self, page: Key, newer: Replaceable) -> None:
        """`newer` is the one now."""
        before = self._of_page.get(page)
        self._of_page[page] = newer
        if before is not None:
            before.make_room()

    def leave(self, page: Key, which: Replaceable) -> None:
        """It is over, unless another one has taken its place before."""
        if self._of_page.get(page) is which:
            del self._of_page[page]


class Poll:
    """One held poll."""

    __slots__ = ("_replaced",)

    def __init__(self) -> None:
        self._replaced = asyncio.Event()

    def make_room(self) -> None:
        self._replaced.set()

    @property
    def is_replaced(self) -> bool:
        return self._replaced.is_set()

    async def replaced(self) -> None:
        """Returns when a newer poll of the page has come."""
        await self._replaced.wait()
