"""Waiting for a client, but not for ever."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any


async def within(seconds: float, receive: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any] | None:
    """The client's next ASGI message; None when it does not come in so many seconds."""
    try:
        async with asyncio.timeout(max(0.0, seconds)):
            return await receive()
    except TimeoutError:
        return None
