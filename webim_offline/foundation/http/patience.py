"""Waiting for a client's next message, but not longer than a time limit."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from types import coroutine
from typing import Any

Message = dict[str, Any]


async def within(seconds: float, receive: Callable[[], Awaitable[Message]]) -> Message | None:
    """Return the client's next ASGI message, or None if it does not come within this number of seconds.

    Nearly always the message is there already, so a timer is only made when it is not: `receive` is run up to its first wait, by
    hand.
    """
    receiving = receive().__await__()
    try:
        obstacle = next(receiving)
    except StopIteration as done:
        message: Message = done.value
        return message
    try:
        async with asyncio.timeout(max(0.0, seconds)):
            received: Message = await rest_of(receiving, obstacle)
            return received
    except TimeoutError:
        return None


@coroutine
def rest_of(begun: Generator[Any, None, Any], obstacle: object) -> Generator[Any, None, Any]:
    """Await the rest of an awaitable that was run up to its first wait. `obstacle` is what it has yielded there."""
    try:
        yield obstacle
        return (yield from begun)
    finally:
        if close := getattr(begun, "close", None):  # an awaitable of granian has no close()
            close()
