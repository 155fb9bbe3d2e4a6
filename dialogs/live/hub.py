"""Who listens to which channel, and what a client has already been told.

Every hint that this process hears gets the next number. A client sends back, as its position, the number up to which it knows
everything. A client's polls may be answered by several live processes in turn: its position names the number of each of them.
"""

import asyncio
import re
import secrets
from bisect import bisect_right
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Iterable
from typing import Protocol

from webim_offline.foundation.numbers import whole_number
from webim_offline.foundation.steady_clock import steady_now

MOST_REMEMBERED = 100_000  # channels; a client that asks about older ones is told to look again
LONGEST_AGO = 3600.0  # seconds
MOST_TIMES = 4096  # last hints whose moments are known
MOST_PROCESSES = 64  # whose numbers one position holds
NUMBER = re.compile(r"[0-9a-f]{8}\.[0-9]{1,15}")


def ids_of(channels: Iterable[str], kind: str) -> list[int]:
    """Return the ids of the channels of one kind. A channel is named by its kind and an id: "visitor:5"."""
    names = (channel.partition(":") for channel in channels)
    return [found for its_kind, _, name in names if its_kind == kind and (found := whole_number(name)) is not None]


class Listener(Protocol):
    """Something that stays for a while, such as a stream, and must be told of every hint."""

    def news(self) -> None: ...


class Hub:
    """Passes the hints that a live process hears on to the long polls and streams that wait for them."""

    def __init__(self, clock: Callable[[], float] = steady_now) -> None:
        self._clock = clock
        self._times: deque[float] = deque(maxlen=MOST_TIMES)  # when the last hints came
        self.epoch = secrets.token_hex(4)  # tells the numbers of this process from those of others
        self.counter = 0  # the number of the last hint
        self.floor = 0  # whoever knows no more than this is told that everything may have changed
        self._last: OrderedDict[str, int] = OrderedDict()
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        # a channel's only listener itself, or a dict of them: thousands of channels have one, a few have thousands
        self._listening: dict[str, Listener | dict[Listener, None]] = {}

    def position(self, known: object = None) -> str:
        """Return the position of a client that knows everything up to now. `known` is the position that it sent last.

        It begins with the number of this process; the numbers of other processes are copied from `known`.
        """
        own = f"{self.epoch}.{self.counter}"
        told = str(known).split(",")
        if len(told) == 1 and told[0].startswith(self.epoch):
            return own
        others = (part for part in told[:MOST_PROCESSES] if not part.startswith(self.epoch) and NUMBER.fullmatch(part))
        return ",".join([own, *others])

    def position_of(self, seconds_ago: object, *, on_the_way: float = 0.0) -> str | None:
        """Return the position of a client that read everything itself so many seconds ago.

        `on_the_way` is how many more seconds may have passed since it said so.

        None if that cannot be said: it is no number of seconds, or more hints have come since than are remembered.
        """
        if not isinstance(seconds_ago, int | float) or isinstance(seconds_ago, bool) or not 0 <= seconds_ago < LONGEST_AGO:
            return None
        came_before = bisect_right(self._times, self._clock() - seconds_ago - on_the_way)
        number = self.counter - len(self._times) + came_before
        return f"{self.epoch}.{number}" if came_before else None

    def _count(self) -> None:
        self.counter += 1
        self._times.append(self._clock())

    def heard(self, channels: Collection[str]) -> None:
        """Wake the polls that wait for one of these channels, and tell each of their listeners once: a hint came."""
        self._count()
        for channel in channels:
            self._last[channel] = self.counter
            self._last.move_to_end(channel)
        told: dict[Listener, None] = {}
        for channel in channels:
            for waiter in self._waiting.pop(channel, ()):
                if not waiter.done():
                    waiter.set_result(None)
            told |= dict.fromkeys(self._listeners(channel))
        for listener in told:
            listener.news()
        while len(self._last) > MOST_REMEMBERED:
            _, self.floor = self._last.popitem(last=False)

    def begin(self) -> None:
        """Hints are heard from now on."""
        self._count()

    def invalidate_all(self) -> None:
        """Have every client look again, because hints may have been lost."""
        self._count()
        self.floor = self.counter
        waiting, self._waiting = self._waiting, {}
        for waiters in waiting.values():
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)
        for listener in {listener for channel in self._listening for listener in self._listeners(channel)}:
            listener.news()

    def _listeners(self, channel: str) -> list[Listener]:
        found = self._listening.get(channel)
        if found is None:
            return []
        return list(found) if isinstance(found, dict) else [found]

    def listen(self, channels: Collection[str], listener: Listener) -> None:
        """Tell `listener` of every hint for the channels, until `leave`."""
        for channel in channels:
            found = self._listening.setdefault(channel, listener)
            if isinstance(found, dict):
                found[listener] = None
            elif found is not listener:
                self._listening[channel] = {found: None, listener: None}

    def leave(self, channels: Collection[str], listener: Listener) -> None:
        """Stop telling `listener` of hints for the channels."""
        for channel in channels:
            found = self._listening.get(channel)
            if isinstance(found, dict):
                found.pop(listener, None)
            if not found or found is listener:
                self._listening.pop(channel, None)

    def changed(self, channels: Collection[str], position: object) -> set[str]:
        """Return those of the channels that have had a hint since `position`.

        All of them are returned if the position has no number of this process, or one from before hints may have been lost.
        """
        number = self._number(position)
        if number is None or number < self.floor:
            return set(channels)
        return {channel for channel in channels if self._last.get(channel, 0) > number}

    def _number(self, position: object) -> int | None:
        """Return the number of this process in a position, or None if there is none."""
        for part in str(position).split(","):
            if part.startswith(self.epoch) and NUMBER.fullmatch(part):
                return int(part[len(self.epoch) + 1 :])
        return None

    def knows(self, position: object) -> bool:
        """Whether this process has answered the client before."""
        return self._number(position) is not None

    async def wait(self, channels: Collection[str], seconds: float) -> None:
        """Return when a hint for one of the channels comes, or after `seconds`."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        for channel in channels:
            self._waiting.setdefault(channel, set()).add(waiter)
        try:
            async with asyncio.timeout(seconds):
                await waiter
        except TimeoutError:
            pass
        finally:
            for channel in channels:
                waiters = self._waiting.get(channel)
                if waiters is not None:
                    waiters.discard(waiter)
                    if not waiters:
                        del self._waiting[channel]
