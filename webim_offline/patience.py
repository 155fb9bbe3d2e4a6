"""Waiting for a client, but not for ever."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from types import coroutine
from typing import Any

Message = dict[str, Any]


async def within(seconds: float, receive: Callable[[], Awaitable[Message]]) -> Message | None:
    """The client's next ASGI message; None when it does not come in so many seconds.

    Nearly always it is there already: only one that has to be waited for costs a timer.
    """
    receiving = receive().__await__()
    try:
        obstacle = next(receiving)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    try:
        async with asyncio.timeout(max(0.0, seconds)):
            return await rest_of(receiving, obstacle)
    except TimeoutError:
        return None


@coroutine
def rest_of(begun: Generator[Any, None, Any], obstacle: object) -> Generator[Any, None, Any]:
    """What is left of an awaitable that has begun and has met its first wait."""
    try:
        yield obstacle
        return (yield from begun)
    finally:
        if close := getattr(begun, "close", None):  # granian's own awaitable has none
            close()
