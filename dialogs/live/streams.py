"""Streams: WebSockets that are told of news and asked for signs of life (P2, A2, X5).

A frame that we send is "ping" or a JSON object: news, or a fresh ticket to come back with. The page answers every ping from its
message handler, never from a timer, because browsers slow timers in hidden tabs. Each stream has one task, which waits for
frames of the client. News are composed when they are sent, so that a slow reader holds back one frame and not a queue of them.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Collection
from typing import Any, Protocol

from dialogs.live import tickets
from dialogs.live.caps import Owner
from dialogs.live.hub import Hub
from dialogs.live.requests import Receive, Scope, Send
from webim_offline.foundation.http.patience import rest_of

logger = logging.getLogger(__name__)
to_json = json.JSONEncoder(separators=(",", ":")).encode
PING, PONG = "ping", "pong"
NEWS, TICKET_DUE = "news", "ticket"  # what a stream may be due besides a ping
PING_EVERY = 10  # seconds (P2)
SLOW_AFTER = 10.0  # seconds one frame may take to leave
HELLO_WITHIN = 10.0
LARGEST_FRAME = 8 * 1024
MOST_FRAMES = 60  # of one client in FRAMES_WITHIN seconds
FRAMES_WITHIN = 10.0
MOST_STREAMS = 20_000  # of one process

# close codes: those of RFC 6455, and from 4000 on our own
NOT_UNDERSTOOD, REFUSED, TOO_LARGE, TRY_LATER = 1007, 1008, 1009, 1013
TICKET = 4401
REPLACED = 4409  # by a newer stream of the same page


class Closed(Exception):
    """The stream ends: a close code and a short reason; code 0 when the client has gone."""

    def __init__(self, code: int = 0, reason: str = "") -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class Stream:
    """One open WebSocket: what it listens to, what its client knows, and what is due to be sent."""

    __slots__ = (
        "_due",
        "_is_waiting",
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
        "is_suspended",
        "known",
    )

    def __init__(self, hub: Hub, send: Send, claims: dict[str, Any], channels: Collection[str], since: object) -> None:
        self.hub, self._send, self.claims = hub, send, claims
        self.channels = tuple(channels)
        self.known: object = since
        self.compose: Callable[[Stream], dict[str, Any] | None] = lambda _: None
        self.is_suspended = False
        self.farewell: Closed | None = None
        self._due: list[str] = []  # each of PING, NEWS and TICKET_DUE at most once
        self._is_waiting = False
        self._task: asyncio.Task[Any] | None = asyncio.current_task()
        self.frames = 0
        self._window = 0.0

    def changed(self) -> set[str]:
        """The channels with hints this client has not been told of."""
        return self.hub.changed(self.channels, self.known)

    def news(self) -> None:
        """A hint came for one of the channels."""
        self._want(NEWS)

    def ping(self) -> None:
        """Ask the page for a sign of life."""
        self._want(PING)

    def keep_ticket_fresh(self) -> None:
        """Give the page a fresh ticket to come back with (X5), so that after a restart not every page has to ask Django."""
        if tickets.is_to_be_renewed(self.claims):
            self._want(TICKET_DUE)

    def suspend(self) -> None:
        """The right to this stream may be over: until `resume` it is pinged and told nothing else."""
        self.is_suspended = True

    def resume(self) -> None:
        """The right to this stream has been checked: what its client was not told meanwhile is sent now."""
        if self.is_suspended:
            self.is_suspended = False
            if not self._is_waiting:
                self._flush()

    def _want(self, what: str) -> None:
        if what not in self._due:
            self._due.append(what)
        if not self._is_waiting:
            self._flush()

    def _flush(self) -> None:
        """Send what is due. Nearly every frame leaves at once; only one that has to wait costs a task and a timer."""
        try:
            while what := self._next():
                text = self._worded(what)
                if text is None:
                    continue
                sending = self._send({"type": "websocket.send", "text": text}).__await__()
                try:
                    obstacle = next(sending)
                except StopIteration:
                    continue
                self._is_waiting = True
                asyncio.get_running_loop().create_task(self._flush_later(rest_of(sending, obstacle)))
                return
        except (OSError, RuntimeError):
            self.end()  # the connection went away between two frames
        except Exception:
            logger.exception("a stream's news could not be worded")
            self.end()

    def _next(self) -> str:
        """What is to be sent next; an empty string for nothing."""
        if not self.is_suspended:
            return self._due.pop(0) if self._due else ""
        if PING not in self._due:
            return ""
        self._due.remove(PING)
        return PING

    async def _flush_later(self, sending: Awaitable[None]) -> None:
        try:
            async with asyncio.timeout(SLOW_AFTER):
                await sending
        except (TimeoutError, OSError, RuntimeError):
            self.end()
            return
        finally:
            self._is_waiting = False
        self._flush()

    def _worded(self, what: str) -> str | None:
        if what == PING:
            return PING
        if what == TICKET_DUE:
            return to_json({"ticket": tickets.renew(self.claims)})
        news = self.compose(self)
        return None if news is None else to_json(news)

    def close(self, code: int, reason: str) -> None:
        """Close the stream from outside, with a code and a reason for the client."""
        self.farewell = Closed(code, reason)
        if self._task is not None:
            self._task.cancel()

    def replace(self) -> None:
        """The page has opened a newer stream."""
        self.close(REPLACED, "a newer stream of this page took its place")

    def end(self) -> None:
        """End the stream from outside without a word, because its client does not read."""
        if self._task is not None:
            self._task.cancel()

    def count_frame(self, now: float) -> None:
        """Raises Closed for a client that talks too much."""
        if now - self._window > FRAMES_WITHIN:
            self._window, self.frames = now, 0
        self.frames += 1
        if self.frames > MOST_FRAMES:
            raise Closed(REFUSED, "too many frames")


# what is called with each frame of the client; it may return something to await
FrameHandler = Callable[[Stream, str], Awaitable[None] | None]
OpenedStream = tuple[Stream, FrameHandler]


class StreamHandlers(Protocol):
    """What one kind of stream is to the dispatch of `app`."""

    async def open_stream(self, body: dict[str, Any], send: Send, scope: Scope) -> OpenedStream:
        """Open a stream for the client whose first frame is `body`. Raises what refuses it."""

    def stream_owner(self, stream: Stream) -> Owner:
        """Whose the stream is, for the caps."""

    def stream_began(self, stream: Stream) -> None:
        """The stream has been opened and counted."""

    def stream_ended(self, stream: Stream) -> None:
        """The stream has ended, however that came."""


class Streams:
    """All streams of one live process, pinged in ten shifts. `lease_of` tells an account's visit lease in seconds."""

    def __init__(self, lease_of: Callable[[int], float]) -> None:
        self.open: list[set[Stream]] = [set() for _ in range(PING_EVERY)]
        self.of_operator: dict[int, set[Stream]] = {}  # those of workspaces
        self._lease_of = lease_of
        self._tick = 0

    def __len__(self) -> int:
        return sum(map(len, self.open))

    def add(self, stream: Stream) -> None:
        min(self.open, key=len).add(stream)
        if (operator_id := stream.claims.get("o")) is not None:
            self.of_operator.setdefault(operator_id, set()).add(stream)
        stream.hub.listen(stream.channels, stream)

    def remove(self, stream: Stream) -> None:
        for shift in self.open:
            shift.discard(stream)
        if (theirs := self.of_operator.get(stream.claims.get("o", 0))) is not None:
            theirs.discard(stream)
            if not theirs:
                del self.of_operator[stream.claims["o"]]
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


def text_of(message: dict[str, Any]) -> str:
    """The text frame that the client sent with this ASGI message. Raises Closed."""
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
            return as_object(text_of(await receive()))
    except TimeoutError:
        raise Closed(REFUSED, f"no ticket came within {HELLO_WITHIN:g} s") from None


def as_object(text: str) -> dict[str, Any]:
    """A frame as a JSON object. Raises Closed."""
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        raise Closed(NOT_UNDERSTOOD, "not JSON") from None
    if not isinstance(parsed, dict):
        raise Closed(NOT_UNDERSTOOD, "not a JSON object")
    return parsed
