"""Reading the bodies of requests to Django.

They are read on the event loop, before a request takes one of the few threads that make pages (decision 0016).

How long a body may take depends on its progress: at most SILENCE seconds may pass between two pieces, and in all FIRST seconds
and one more for each SLOWEST bytes that have arrived. So a phone on a poor network can send its message, while a connection that
stalls is answered with a 408 and closed.

The memory that bodies and unsent responses take is limited, in all and for each client network.
"""

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from webim_offline.foundation.http.patience import within
from webim_offline.foundation.numbers import whole_number

Receive = Callable[[], Awaitable[dict[str, Any]]]
SILENCE = 15.0  # seconds between two pieces of a body
FIRST = 15.0  # seconds that every body may take
SLOWEST = 500  # bytes a second, in the long run
MOST_READING = 2_000  # bodies that are being read at once
MOST_READING_OF_ONE = 100  # of them for one network
MIB = 2**20
MOST_HELD = 64 * MIB  # bytes of bodies, and of responses that are not sent yet
MOST_HELD_BY_ONE = 16 * MIB


class BadBody(Exception):
    """Raised for a request that is answered without Django.

    `status` and `sentence` are for the client, `reason` is what the security log says.
    """

    def __init__(self, status: int, sentence: str | Promise, reason: str) -> None:
        super().__init__(reason)
        self.status, self.sentence, self.reason = status, sentence, reason


class Gone(Exception):
    """Raised when the client has closed the connection before it had sent everything. Nobody is there to be answered."""


def too_large() -> BadBody:
    return BadBody(413, _("The request is too large."), "body too large")


def too_slow() -> BadBody:
    return BadBody(408, _("The request did not arrive in time. Send it again."), "slow body")


def too_busy() -> BadBody:
    return BadBody(503, _("This cannot be done right now. Try again in a moment."), "too many requests at once")


class Holdings:
    """What the requests of each network hold in this process: bytes, and bodies that are being read."""

    def __init__(self) -> None:
        self.bytes: Counter[str] = Counter()
        self.reading: Counter[str] = Counter()
        self.all_bytes = self.all_reading = 0

    @contextmanager
    def reader(self, network: str) -> Iterator[None]:
        """Count a body while it is being read. Raises BadBody if too many are being read, in all or for this network."""
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
        """Count bytes that a request of this network holds from now on. Raises BadBody if there is no room for them."""
        if self.all_bytes + count > MOST_HELD or self.bytes[network] + count > MOST_HELD_BY_ONE:
            raise too_busy()
        self.all_bytes += count
        self.bytes[network] += count

    def shrink(self, network: str, count: int) -> None:
        """Count bytes that a request of this network holds no longer."""
        self.all_bytes -= count
        _less(self.bytes, network, count)


def _less(counter: Counter[str], name: str, count: int) -> None:
    counter[name] -= count
    if counter[name] <= 0:
        del counter[name]


def largest() -> int:
    """Return the size of the largest body that any page accepts, in bytes."""
    return int(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)


async def read(scope: dict[str, Any], receive: Receive, holdings: Holdings, network: str) -> bytes:
    """Read the whole body of a request, and return it.

    Its bytes are counted in `holdings` for `network`; the caller must call `holdings.shrink` when it needs them no more. Raises
    BadBody if the body is too large, arrives too slowly, or finds no room, and Gone if the client goes away.
    """
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
    """Return the Content-Length of a request; 0 if it has none."""
    length = next((value for name, value in scope["headers"] if name == b"content-length"), b"0").decode("latin-1")
    return whole_number(length) or 0
