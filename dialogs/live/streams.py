"""Streams: WebSockets that are told of news and asked for signs of life (P2, A2, X5).

A frame from us is "ping" or a JSON object; the page answers every ping from its message handler, never from a timer:
browsers slow timers in hidden tabs. One task a stream waits for frames; news are composed when they are sent, so a slow
reader holds back one frame, not a queue of them.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection
from typing import Any

from dialogs.live.hub import Hub

PING, PONG = "ping", "pong"
PING_EVERY = 10  # seconds (P2)
SLOW_AFTER = 10.0  # seconds one frame may take to leave
HELLO_WITHIN = 10.0
LARGEST_FRAME = 8 * 1024
MOST_FRAMES = 60  # of one client in FRAMES_WITHIN seconds
FRAMES_WITHIN = 10.0
MOST_STREAMS = 20_000  # of one process

# why a stream was closed (RFC 6455; 4xxx are ours)
GOING_AWAY, NOT_UNDERSTOOD, REFUSED, TOO_LARGE, TRY_LATER = 1001, 1007, 1008, 1009, 1013
TICKET = 4401

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Closed(Exception):
    """The stream ends: a close code and a short reason; code 0 when the client has gone."""

    def __init__(self, code: int = 0, reason: str = "") -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class Stream:
    """One open WebSocket: what it listens to and how its news are worded."""

    __slots__ = (
        "_busy",
        "_due",
        "_send",
        "_task",
        "_window",
        "channels",
        "claims",
        "compose",
        "ended",
        "farewell",
        "frames",
        "hub",
        "known",
    )

    def __init__(self, hub: Hub, send: Send, claims: dict[str, Any], channels: Collection[str], since: object) -> None:
        self.hub, self._send, self.claims = hub, send, claims
        self.channels = tuple(channels)
        self.known: object = since
        self.compose: Callable[[Stream], dict[str, Any] | None] = lambda _: None
        self.ended = False
        self.farewell: Closed | None = None
        self._due: list[str] = []  # at most "ping" and "news"
        self._busy = False
        self._task: asyncio.Task[Any] | None = asyncio.current_task()
        self.frames = 0
        self._window = 0.0

    def changed(self) -> set[str]:
        """The channels with hints this client has not been told of."""
        return self.hub.changed(self.channels, self.known)

    def news(self) -> None:
        """A hint came for one of the channels."""
        self._want("news")

    def ping(self) -> None:
        """Ask the page for a sign of life."""
        self._want(PING)

    def _want(self, what: str) -> None:
        if what not in self._due:
            self._due.append(what)
        if not self._busy:
            self._busy = True
            asyncio.get_running_loop().create_task(self._flush())

    async def _flush(self) -> None:
        try:
            while self._due:
                what, self._due = self._due[0], self._due[1:]
                if what == PING:
                    text = PING
                elif (news := self.compose(self)) is not None:
                    text = json.dumps(news, separators=(",", ":"))
                else:
                    continue
                async with asyncio.timeout(SLOW_AFTER):
                    await self._send({"type": "websocket.send", "text": text})
        except TimeoutError:
            self.end()
        except (OSError, RuntimeError):
            self.end()  # the connection went away between two frames
        finally:
            self._busy = False

    def close(self, code: int, reason: str) -> None:
        """Close the stream from outside, with a word."""
        self.farewell = Closed(code, reason)
        if self._task is not None:
            self._task.cancel()

    def end(self) -> None:
        """End the stream from outside: a reader too slow to take a single frame gets no farewell either."""
        self.ended = True
        if self._task is not None:
            self._task.cancel()

    def count_frame(self, now: float) -> None:
        """Raises Closed for a client that talks too much."""
        if now - self._window > FRAMES_WITHIN:
            self._window, self.frames = now, 0
        self.frames += 1
        if self.frames > MOST_FRAMES:
            raise Closed(REFUSED, "too many frames")


class Streams:
    """All streams of one live process, pinged in ten shifts. `lease_of` tells an account's visit lease in seconds."""

    def __init__(self, lease_of: Callable[[int], float]) -> None:
        self.open: list[set[Stream]] = [set() for _ in range(PING_EVERY)]
        self._lease_of = lease_of
        self._tick = 0

    def __len__(self) -> int:
        return sum(map(len, self.open))

    def add(self, stream: Stream) -> None:
        min(self.open, key=len).add(stream)
        stream.hub.listen(stream.channels, stream)

    def remove(self, stream: Stream) -> None:
        for shift in self.open:
            shift.discard(stream)
        stream.hub.leave(stream.channels, stream)

    def all(self) -> list[Stream]:
        return [stream for shift in self.open for stream in shift]

    async def keep_pinging(self) -> None:
        """Ask each stream for a sign of life every ten seconds; oftener where three of them do not fit into the lease."""
        while True:
            await asyncio.sleep(1)
            self._tick += 1
            for place, shift in enumerate(self.open):
                for stream in list(shift):
                    if (self._tick + place) % self._seconds_between(stream) == 0:
                        stream.ping()

    def _seconds_between(self, stream: Stream) -> int:
        lease = stream.claims.get("lease") or self._lease_of(stream.claims["a"])
        return max(1, min(PING_EVERY, int(lease / 3)))


async def frame(receive: Receive) -> str:
    """The next text frame of the client. Raises Closed."""
    message = await receive()
    if message["type"] == "websocket.disconnect":
        raise Closed
    text = message.get("text")
    if not isinstance(text, str):
        raise Closed(NOT_UNDERSTOOD, "send text")
    if len(text) > LARGEST_FRAME:
        raise Closed(TOO_LARGE, f"a frame is larger than {LARGEST_FRAME} bytes")
    return text


async def hello(receive: Receive) -> dict[str, Any]:
    """The first frame: a JSON object with the ticket. Raises Closed."""
    try:
        async with asyncio.timeout(HELLO_WITHIN):
            return as_object(await frame(receive))
    except TimeoutError:
        raise Closed(REFUSED, f"no ticket came within {HELLO_WITHIN:g} s") from None


def as_object(text: str) -> dict[str, Any]:
    """A frame as a JSON object. Raises Closed."""
    try:
        parsed = json.loads(text)
    except ValueError:
        raise Closed(NOT_UNDERSTOOD, "not JSON") from None
    if not isinstance(parsed, dict):
        raise Closed(NOT_UNDERSTOOD, "not a JSON object")
    return parsed
