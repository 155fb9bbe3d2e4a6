"""Long polls: requests that are held open until there is news for them, or until their time is over.

Handlers of every kind of client hold their polls here. What is news, and what is answered, is the handler's own business.
"""

import asyncio
from collections.abc import Callable, Collection

from dialogs.live.hub import Hub
from dialogs.live.requests import Receive, disconnected


class Poll:
    """One held poll of a page that may hold only one: a newer poll of the page replaces it (`caps.Newest`)."""

    __slots__ = ("_replaced",)

    def __init__(self) -> None:
        self._replaced = asyncio.Event()

    def replace(self) -> None:
        """A newer poll of the same page has come."""
        self._replaced.set()

    @property
    def is_replaced(self) -> bool:
        return self._replaced.is_set()

    async def replaced(self) -> None:
        """Return when a newer poll of the page has come."""
        await self._replaced.wait()


class Polls:
    """The polls that one live process holds now; `held` is their number."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self.held = 0

    async def hold(
        self,
        news: Callable[[], bool],
        channels: Collection[str],
        seconds: float,
        receive: Receive,
        poll: Poll | None = None,
    ) -> None:
        """Hold a poll: return when `news()` is true, after `seconds`, or when nobody waits for the answer any more.

        `news` is asked at the beginning and after each hint for one of `channels`. Nobody waits any more when the client has
        disconnected or `poll` has been replaced. A server that shuts down cancels the requests it still serves: then the poll
        is answered as if its time were over, so that its page asks another process at once.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        gone = asyncio.ensure_future(disconnected(receive))
        over = {gone} if poll is None else {gone, asyncio.ensure_future(poll.replaced())}
        self.held += 1
        try:
            while not news() and not any(end.done() for end in over) and (left := until - loop.time()) > 0:
                waiting = asyncio.ensure_future(self._hub.wait(channels, left))
                try:
                    await asyncio.wait({waiting, *over}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    waiting.cancel()
        except asyncio.CancelledError:
            pass
        finally:
            self.held -= 1
            for end in over:
                end.cancel()
