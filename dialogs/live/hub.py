"""Who wants to hear of which channel. A channel has a number that grows with every hint; clients send the last they know.

A client's polls may be answered by many live processes in turn: its position names the number of each of them.
"""

import asyncio
import re
import secrets
from collections import OrderedDict
from collections.abc import Collection
from typing import Protocol

MOST_REMEMBERED = 100_000  # channels; a client that asks about older ones is told to look again
MOST_PROCESSES = 64  # of which one position holds a number
NUMBER = re.compile(r"[0-9a-f]{8}\.[0-9]{1,15}")


class Listener(Protocol):
    """Something that stays and wants to be told each time."""

    def news(self) -> None: ...


class Hub:
    """Long polls and streams of one live process hear of hints here."""

    def __init__(self) -> None:
        self.epoch = secrets.token_hex(4)
        self.counter = 0
        self.floor = 0
        self._last: OrderedDict[str, int] = OrderedDict()
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        # a channel's only listener itself, or a dict of them: thousands of channels have one, a few have thousands
        self._listening: dict[str, Listener | dict[Listener, None]] = {}

    def position(self, known: object = None) -> str:
        """What a client sends back to say «I know everything up to here»; `known` is what it sent last.

        Our own number comes first, then those of other processes that the client knew.
        """
        own = f"{self.epoch}.{self.counter}"
        told = str(known).split(",")
        if len(told) == 1 and told[0].startswith(self.epoch):
            return own
        others = (part for part in told[:MOST_PROCESSES] if not part.startswith(self.epoch) and NUMBER.fullmatch(part))
        return ",".join([own, *others])

    def heard(self, channels: Collection[str]) -> None:
        """A hint came: wake whoever waits on one of the channels. A listener is told once, however many of them are its own."""
        self.counter += 1
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

    def doubt_everything(self) -> None:
        """Hints may have been lost: everyone looks again."""
        self.counter += 1
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
        """Tell `listener` no more."""
        for channel in channels:
            found = self._listening.get(channel)
            if isinstance(found, dict):
                found.pop(listener, None)
            if not found or found is listener:
                self._listening.pop(channel, None)

    def changed(self, channels: Collection[str], position: object) -> set[str]:
        """The channels with a hint after `position`; all of them when the position is not one of ours or too old."""
        number = self._number(position)
        if number is None or number < self.floor:
            return set(channels)
        return {channel for channel in channels if self._last.get(channel, 0) > number}

    def _number(self, position: object) -> int | None:
        """How far the client knows what this process heard; None when it does not say."""
        for part in str(position).split(","):
            if part.startswith(self.epoch) and NUMBER.fullmatch(part):
                return int(part[len(self.epoch) + 1 :])
        return None

    def knows(self, position: object) -> bool:
        """Was the client answered by this process before?"""
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
