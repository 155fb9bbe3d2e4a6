"""The one thread of a live process that talks to the database, so that no query ever blocks the event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from django.db import InterfaceError, OperationalError, close_old_connections, connections

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")


class DatabaseThread:
    """Runs functions one after the other in a thread with a database connection of its own."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="live-database")

    async def run(self, function: Callable[Arguments, Answer], *args: Arguments.args, **kwargs: Arguments.kwargs) -> Answer:
        """Call the function in the thread and return its answer.

        Raises whatever the function raises. A connection that was already closed (InterfaceError) is reported as
        OperationalError, so that callers need to know only one kind of error for "the database is away". Raises RuntimeError
        once the thread has been stopped.
        """
        call = partial(self._call, partial(function, *args, **kwargs))
        return await asyncio.get_running_loop().run_in_executor(self._executor, call)

    @staticmethod
    def _call(function: Callable[[], Answer]) -> Answer:
        close_old_connections()
        try:
            return function()
        except InterfaceError as error:
            raise OperationalError(str(error)) from error

    async def stop(self) -> None:
        """Close the connection and end the thread."""
        await asyncio.get_running_loop().run_in_executor(self._executor, connections.close_all)
        self._executor.shutdown(wait=True)
