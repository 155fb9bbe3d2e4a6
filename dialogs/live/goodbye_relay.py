"""Goodbyes of pages, told to every live process.

A page may say goodbye (P2 a) to another live process than the one that holds its visit. So each process tells all the others
by a hint. Without that the visit would last until its lease is over.
"""

import asyncio

from django.conf import settings

from dialogs.live.presence import Key, Visits
from webim_offline.foundation import realtime
from webim_offline.foundation.numbers import whole_number

PREFIX = "goodbye:"  # of the channels of such hints: "goodbye:<visitor id>:<page key>"


class GoodbyeRelay:
    """Hands goodbyes to the visits of this process and to the other live processes."""

    def __init__(self, visits: Visits) -> None:
        self.visits = visits
        self._untold: dict[Key, None] = {}
        self._wake = asyncio.Event()

    def goodbye(self, key: Key) -> None:
        """A page has said goodbye to this process."""
        self.visits.goodbye(key)
        if settings.REDIS_URL:  # an embedded service has one live process only
            self._untold[key] = None
            self._wake.set()

    async def keep_telling(self) -> None:
        """Tell the other processes, many goodbyes in one hint when they come fast. Never returns."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            untold, self._untold = self._untold, {}
            await asyncio.to_thread(realtime.tell, [f"{PREFIX}{visitor_id}:{key}" for visitor_id, key in untold])

    def take_goodbyes(self, channels: list[str]) -> list[str]:
        """Act on the goodbyes among the channels of a hint; returns the other channels, which are for clients."""
        rest = []
        for channel in channels:
            if channel.startswith(PREFIX):
                visitor_id, _, key = channel.removeprefix(PREFIX).partition(":")
                number = whole_number(visitor_id)
                if number is not None:
                    self.visits.goodbye((number, key))
            else:
                rest.append(channel)
        return rest
