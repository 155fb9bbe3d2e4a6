"""Whether the session that a workspace's ticket names is still valid (X5). Asked before a workspace is told anything.

While one question is on its way to the database, the next ones wait and then travel together: any number of workspaces that
come at once cost two queries.
"""

import asyncio
from datetime import datetime
from typing import Any

from django.db import DatabaseError

from dialogs.live import tickets
from dialogs.live.database_thread import DatabaseThread
from dialogs.live.hub import Hub
from dialogs.live.service_states import NotKnown
from operators.authentication.sessions import valid_sessions
from operators.channels import operator_channel

PATIENCE = 5.0  # seconds to wait for the database
VOID = "signed out or changed"


class Sessions:
    """The questions of one live process about sessions."""

    def __init__(self, hub: Hub, database: DatabaseThread) -> None:
        self.hub, self._database = hub, database
        self._asked: dict[int, list[asyncio.Future[datetime | None]]] = {}
        self._asking: asyncio.Task[None] | None = None

    async def check(self, claims: dict[str, Any]) -> None:
        """Raises BadTicket unless the session that the claims name is the valid one, NotKnown when the database does not say.

        A hint for this operator that comes while the answer is on its way makes the answer old; then it is asked for again.
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
                    found = await self._database.run(valid_sessions, list(asked))
                except (DatabaseError, RuntimeError):  # the second: the database thread has been stopped
                    _fail(asked)
                else:
                    for operator_id, answers in asked.items():
                        for answer in answers:
                            if not answer.done():
                                answer.set_result(found.get(operator_id))
        finally:
            _fail(asked | self._asked)  # whom a process that is shutting down has not answered
            self._asking = None

    def stop(self) -> None:
        """Ask nothing more; whoever still waits gets NotKnown."""
        if self._asking is not None:
            self._asking.cancel()


def _fail(asked: dict[int, list[asyncio.Future[datetime | None]]]) -> None:
    for answers in asked.values():
        for answer in answers:
            if not answer.done():
                answer.set_exception(NotKnown())
