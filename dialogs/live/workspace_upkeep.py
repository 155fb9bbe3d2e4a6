"""Background work for workspaces: their signs of life are written (A2), and the right to their streams is checked (X5)."""

import asyncio
import contextlib
import logging
from collections.abc import Collection, Iterable
from datetime import datetime

from django.db import DatabaseError

from dialogs.live import streams, tickets
from dialogs.live.hub import ids_of
from dialogs.live.sessions import VOID
from dialogs.live.state import LiveState
from operators.actions.signs_of_life import workspaces_seen
from operators.authentication.sessions import valid_sessions
from operators.channels import operator_channel, service_channel

logger = logging.getLogger(__name__)
WORKSPACES_EVERY = 0.5  # seconds; the signs of life of all workspaces in one statement, soon enough for a short lease
NOBODY_EVERY = 1.0  # seconds; that there are none, well within availability.STANDS_STILL_AFTER
CHECK_EVERY = 30.0  # seconds; the right to every workspace stream (X5), whatever hints were lost
AGAIN_AFTER = 1.0  # seconds to wait after the database has failed


class WorkspaceUpkeep:
    """Writes signs of life of workspaces, and ends the streams of those who lost the right to them."""

    def __init__(self, state: LiveState) -> None:
        self.state = state
        # channels of operators and services with a hint after which the streams that listen to them have to be checked
        self.unchecked: set[str] = set()
        self._checked_at = state.clock()
        self._check_now = asyncio.Event()

    async def keep_signs_of_life(self) -> None:
        """Write the signs of life of workspaces twice a second, or that there are none once a second. Never returns."""
        written_at = self.state.clock()
        while True:
            await asyncio.sleep(WORKSPACES_EVERY)
            now = self.state.clock()
            if not self.state.workspaces_heard and now - written_at < NOBODY_EVERY - WORKSPACES_EVERY / 2:
                continue
            written_at = now
            try:
                await self.write_signs_of_life()
            except DatabaseError as error:
                logger.warning("signs of life of workspaces were not written: %s", error)
                await asyncio.sleep(AGAIN_AFTER)

    async def write_signs_of_life(self) -> None:
        """Write the signs of life heard since the last time, even when there are none.

        P9 asks until when signs of life could be written, and this is what tells it.
        """
        heard, self.state.workspaces_heard = self.state.workspaces_heard, {}
        try:
            valid_from = await self.state.database.run(workspaces_seen, heard)
        except DatabaseError:
            self.state.workspaces_heard = heard | self.state.workspaces_heard
            raise
        self.state.hub.heard([operator_channel(operator_id) for operator_id in heard if operator_id not in valid_from])
        self._end_void_streams(heard, valid_from)

    async def keep_rights(self) -> None:
        """Check the right to workspace streams after hints and every 30 s (X5). Never returns."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(WORKSPACES_EVERY):
                    await self._check_now.wait()
            self._check_now.clear()
            try:
                await self._check_rights()
            except DatabaseError as error:
                logger.warning("the right to workspace streams was not checked: %s", error)
                await asyncio.sleep(AGAIN_AFTER)

    async def _check_rights(self) -> None:
        """X5: a stream lasts no longer than the right to it, though its page may never give a sign of life."""
        unchecked, now = self.unchecked, self.state.clock()
        is_time = now - self._checked_at >= CHECK_EVERY
        if not unchecked and not is_time:
            return
        self.unchecked = set()
        due = [
            operator_id
            for operator_id, theirs in self.state.streams.of_operator.items()
            if is_time
            or operator_channel(operator_id) in unchecked
            or any(service_channel(stream.claims["a"]) in unchecked for stream in theirs)
        ]
        try:
            if due:
                self._end_void_streams(due, await self.state.database.run(valid_sessions, due))
        except DatabaseError:
            self.unchecked |= unchecked
            raise
        if is_time:
            self._checked_at = now

    def _end_void_streams(self, checked: Iterable[int], valid_from: dict[int, datetime]) -> None:
        """X5: close the streams of people who signed out, were deactivated or changed, and resume those of the others.

        Whoever may still work comes back with a new ticket.
        """
        for operator_id in checked:
            is_old = operator_channel(operator_id) in self.unchecked  # a hint came after the question was asked
            for stream in list(self.state.streams.of_operator.get(operator_id, ())):
                if tickets.session(stream.claims) != valid_from.get(operator_id):
                    stream.close(streams.TICKET, VOID)
                elif not is_old:
                    stream.resume()

    def hints_came(self, channels: Collection[str]) -> None:
        """To be called before a hint is told to anybody: streams whose operator it is about are suspended until checked.

        The operator may have signed out, and must not be told anything until that is known.
        """
        self.unchecked.update(channel for channel in channels if channel.startswith(("service:", "operator:")))
        for operator_id in ids_of(channels, "operator"):
            for stream in self.state.streams.of_operator.get(operator_id, ()):
                stream.suspend()
                self._check_now.set()
