"""Limits of the streams and polls that one person, page or network may hold in this process and open in it (X3).

Signs of life and goodbyes that come as single requests hold nothing. They have a limit for each page
(`visit_handlers.MOST_REQUESTS`).
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar

from django.conf import settings

from dialogs.live.presence import Key
from dialogs.live.requests import Refusal
from webim_offline.foundation.steady_clock import steady_now

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
    """A visitor, an operator, a page or a network has reached a limit. The answer is 429: the client comes again later."""

    def __init__(self, reason: str) -> None:
        super().__init__(429, reason)


class Window(Generic[Who]):
    """Counts how often each client does something in a window of some seconds."""

    def __init__(self, seconds: float, clock: Callable[[], float] = steady_now) -> None:
        self.seconds, self.clock = seconds, clock
        self.since = clock()
        self.counts: dict[Who, int] = {}

    def count(self, who: Who) -> int:
        """Count `who` once more, and return how often it was counted in this window."""
        now = self.clock()
        if now - self.since > self.seconds or len(self.counts) > MOST_COUNTED:
            self.since, self.counts = now, {}
        self.counts[who] = times = self.counts.get(who, 0) + 1
        return times


def _most(kind: str) -> int:
    return {VISITOR: MOST_OF_VISITOR, OPERATOR: MOST_OF_OPERATOR}.get(kind) or settings.STREAMS_PER_ADDRESS


class Caps:
    """The streams and polls that each owner holds now, as numbers.

    A stream or poll counts for its network from its first byte on, and for its person once its ticket has been read.
    """

    def __init__(self) -> None:
        self.held: Counter[Owner] = Counter()
        self.opened_by_network: Window[str] = Window(OPENED_WITHIN)
        self.opened_by_page: Window[Key] = Window(OPENED_WITHIN)

    def acquire(self, owner: Owner) -> None:
        """Count one more for `owner`, until `release` is called. Raises CapReached if that is too many."""
        if self.held[owner] >= _most(owner[0]):
            raise CapReached(f"too many streams and polls of one {owner[0]}")
        self.held[owner] += 1

    def release(self, owner: Owner) -> None:
        """Count one fewer for `owner`."""
        self.held[owner] -= 1
        if self.held[owner] <= 0:
            del self.held[owner]

    @contextmanager
    def holding(self, *owners: Owner) -> Iterator[None]:
        """Count one more for each of `owners` inside this context. Raises CapReached if that is too many for one of them."""
        taken: list[Owner] = []
        try:
            for owner in owners:
                self.acquire(owner)
                taken.append(owner)
            yield
        finally:
            for owner in taken:
                self.release(owner)

    def opens(self, network: str) -> None:
        """Count a stream or poll that `network` opens. Raises CapReached if that is too often."""
        if self.opened_by_network.count(network) > OPENED_BY_NETWORK * settings.STREAMS_PER_ADDRESS:
            raise CapReached("too many streams and polls opened by one network")

    def opens_stream(self, page: Key) -> None:
        """Count a stream that a page opens. Raises CapReached if that is too often."""
        if self.opened_by_page.count(page) > MOST_OPENED_BY_PAGE:
            raise CapReached("too many streams opened by one page")


class Replaceable(Protocol):
    """A stream or poll that ends when its page begins a newer one."""

    def replace(self) -> None:
        """End it, because its page has begun a newer one."""


class Newest:
    """Remembers the last stream, or the last poll, of each page, and ends the one before."""

    def __init__(self) -> None:
        self._of_page: dict[Key, Replaceable] = {}

    def take(self, page: Key, newer: Replaceable) -> None:
        """Remember `newer` as the last one of the page, and end the one before."""
        before = self._of_page.get(page)
        self._of_page[page] = newer
        if before is not None:
            before.replace()

    def leave(self, page: Key, which: Replaceable) -> None:
        """Forget `which`, which has ended; it may not be the last one any more."""
        if self._of_page.get(page) is which:
            del self._of_page[page]
