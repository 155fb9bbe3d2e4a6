"""A page says goodbye to any live process (P2 a), whichever one holds it: so each tells all of them, by a hint.

Told to a process that does not hold the page, or lost, it would leave the page to its lease.
"""

import asyncio

from django.conf import settings

from dialogs.live.presence import Key, Visits
from webim_offline import realtime
from webim_offline.numbers import whole_number

PREFIX = "goodbye:"


class Neighbours:
    """What this live process and the others tell each other of the pages they hold."""

    def __init__(self, visits: Visits) -> None:
        self.visits = visits
        self._said: dict[Key, None] = {}
        self._wake = asyncio.Event()

    def goodbye(self, key: Key) -> None:
        """A page has said goodbye here."""
        self.visits.goodbye(key)
        if settings.REDIS_URL:  # embedded there is nobody else to tell
            self._said[key] = None
            self._wake.set()

    async def keep_telling(self) -> None:
        """Tell the others, many goodbyes in one hint when they come fast."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            said, self._said = self._said, {}
            await asyncio.to_thread(realtime.tell, [f"{PREFIX}{visitor_id}:{key}" for visitor_id, key in said])

    def heard(self, channels: list[str]) -> list[str]:
        """Take the goodbyes out of a hint; the channels that are left are for clients."""
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
