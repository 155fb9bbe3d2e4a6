"""Bodies of requests to Django are read here, on the event loop, before a request takes one of the few page threads.

A body has a deadline that goes by progress: at most SILENCE seconds between two pieces, and FIRST seconds and one more for each
SLOWEST bytes that came in all. A phone on a poor network sends its message; a connection that stalls is answered 408 and closed.
What all requests hold, bodies and answers on their way, has bounds in all and for one network.
"""

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from webim_offline.numbers import whole_number
from webim_offline.patience import within

Receive = Callable[[], Awaitable[dict[str, Any]]]
SILENCE = 15.0  # seconds
FIRST = 15.0
SLOWEST = 500  # bytes a second on the long run
MOST_READING = 2_000  # bodies that are being read at once
MOST_READING_OF_ONE = 100  # of them for one network
MIB = 2**20
MOST_HELD = 64 * MIB  # bytes, of bodies and of answers that are not sent yet
MOST_HELD_BY_ONE = 16 * MIB


class BadBody(Exception):
    """A request that is answered without Django: a status, a sentence, and the word that the log gets."""

    def __init__(self, status: int, sentence: str | Promise, reason: str) -> None:
        super().__init__(reason)
        self.status, self.sentence, self.reason = status, sentence, reason


class Gone(Exception):
    """The client has gone before it had sent everything: nobody is there to answer."""


def too_large() -> BadBody:
    return BadBody(413, _("The request is too large."), "body too large")


def too_slow() -> BadBody:
    return BadBody(408, _("The request did not arrive in time. Send it again."), "slow body")


def too_busy() -> BadBody:
    return BadBody(503, _("This cannot be done right now. Try again in a moment."), "too many requests at once")


class Holdings:
    """Bytes and bodies that requests of each network hold in this process."""

    def __init__(self) -> None:
        self.bytes: Counter[str] = Counter()
        self.reading: Counter[str] = Counter()
        self.all_bytes = self.all_reading = 0

    @contextmanager
    def reader(self, network: str) -> Iterator[None]:
        """Somebody's body is being read. Raises BadBody when too many are."""
        if self.all_reading >= MOST_READING or self.reading[network] >= MOST_READING_OF_ONE:
            raise too_busy()
        self.all_reading += 1
        self.reading[network] += 1
        try:
            yield
        finally:
            self.all_reading -= 1
            _less(self.reading, network, 1)

    def grow(self, network: str, count: int) -> None:
        """Hold so many bytes more. Raises BadBody when there is no room."""
        if self.all_bytes + count > MOST_HELD or self.bytes[network] + count > MOST_HELD_BY_ONE:
            raise too_busy()
        self.all_bytes += count
        self.bytes[network] += count

    def shrink(self, network: str, count: int) -> None:
        """They are not held any more."""
        self.all_bytes -= count
        _less(self.bytes, network, count)


def _less(counter: Counter[str], name: str, count: int) -> None:
    counter[name] -= count
    if counter[name] <= 0:
        del counter[name]


def largest() -> int:
    """The largest body that any page takes, in bytes."""
    return int(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)


async def read(scope: dict[str, Any], receive: Receive, holdings: Holdings, network: str) -> bytes:
    """The whole body; its bytes are held for `network` until the caller lets go of them. Raises BadBody and Gone."""
    if _announced(scope) > largest():
        raise too_large()
    body = bytearray()
    try:
        with holdings.reader(network):
            began = heard = time.monotonic()
            more = True
            while more:
                until = min(heard + SILENCE, began + FIRST + len(body) / SLOWEST)
                message = await within(until - time.monotonic(), receive)
                if message is None:
                    raise too_slow()
                if message["type"] != "http.request":
                    raise Gone
                piece, more = message.get("body", b""), message.get("more_body", False)
                if piece:
                    heard = time.monotonic()
                    holdings.grow(network, len(piece))
                    body += piece
                if len(body) > largest():
                    raise too_large()
    except BaseException:
        holdings.shrink(network, len(body))
        raise
    return bytes(body)


def _announced(scope: dict[str, Any]) -> int:
    length = next((value for name, value in scope["headers"] if name == b"content-length"), b"0").decode("latin-1")
    return whole_number(length) or 0
