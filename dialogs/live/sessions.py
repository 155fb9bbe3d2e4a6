"""Whether the session that a workspace's ticket names is valid (X5): asked before a workspace is told anything.

While one question is on its way to the database, the next ones wait together and become one: any number of workspaces that come
at once cost two queries.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from django.db import DatabaseError

from dialogs.live import tickets
from dialogs.live.hub import Hub
from dialogs.live.service import NotKnown
from operators.actions import operator_channel
from operators.sessions import valid_sessions

PATIENCE = 5.0  # seconds to wait for the database
VOID = "signed out or changed"
InDatabase = Callable[..., Awaitable[Any]]


class Sessions:
    """The questions of one live process about sessions. `in_database` runs a function in the database thread."""

    def __init__(self, hub: Hub, in_database: InDatabase) -> None:
        self.hub, self._in_database = hub, in_database
        self._asked: dict[int, list[asyncio.Future[datetime | None]]] = {}
        self._asking: asyncio.Task[None] | None = None

    async def check(self, claims: dict[str, Any]) -> None:
        """Raises BadTicket unless the claims' session is the valid one, NotKnown when the database does not say.

        A hint that comes while the answer is on its way makes it old: then it is asked for once more.
        """
        own = operator_channel(claims["o"])
        while True:
            before = self.hub.position()
            if await self._valid_from(claims["o"]) != tickets.session(claims):
                raise tickets.BadTicket(VOID, claims)
            if not self.hub.changed([own], before):
                return

    async def _valid_from(self, operator_id: int) -> datetime | None:
        answer: asyncio.Future[datetime | None] = asyncio.get_running_loop().create_future()
        self._asked.setdefault(operator_id, []).append(answer)
        if self._asking is None:
            self._asking = asyncio.get_running_loop().create_task(self._ask())
        try:
            async with asyncio.timeout(PATIENCE):
                return await answer
        except TimeoutError:
            raise NotKnown from None

    async def _ask(self) -> None:
        asked: dict[int, list[asyncio.Future[datetime | None]]] = {}
        try:
            while self._asked:
                asked, self._asked = self._asked, {}
                try:
                    found = await self._in_database(valid_sessions, list(asked))
                except (DatabaseError, RuntimeError):  # the second: the database thread has ended
                    _fail(asked)
                else:
                    for operator_id, answers in asked.items():
                        for answer in answers:
                            if not answer.done():
                                answer.set_result(found.get(operator_id))
        finally:
            _fail(asked | self._asked)  # those that a process which ends has not answered
            self._asking = None

    def stop(self) -> None:
        """Nobody asks any more."""
        if self._asking is not None:
            self._asking.cancel()


def _fail(asked: dict[int, list[asyncio.Future[datetime | None]]]) -> None:
    for answers in asked.values():
        for answer in answers:
            if not answer.done():
                answer.set_exception(NotKnown())
