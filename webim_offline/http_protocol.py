"""uvicorn's HTTP protocol with patience that ends: for the head of a request, and for a client that does not read its answer.

uvicorn gives a connection as much time and memory for the head of its first request as it likes, and keeps what a client does
not read until the network gives it up. Bodies are the business of whoever reads them (`request_bodies`, `dialogs.live`).
"""

import asyncio
import logging
from asyncio import TimerHandle
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_WITHIN = 15.0  # seconds from the connection, or from the first byte after an answer, to the end of the head
LARGEST_HEAD = 64 * 1024  # bytes
READS_WITHIN = 60.0  # seconds in which a client reads 64 KiB of its answer
# what clients send that is no HTTP is no news: one line each would fill a disk
_logger = logging.getLogger("uvicorn.error.requests")
_logger.setLevel(logging.ERROR)


class PatientProtocol(HttpToolsProtocol):
    """For `uvicorn --http webim_offline.http_protocol:PatientProtocol`."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.logger = _logger
        self._head_due: TimerHandle | None = None
        self._reading_due: TimerHandle | None = None
        self._head_size = 0
        self._has_head = False

    # ----- the head of a request -----

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        is_head = not self._is_busy()
        super().data_received(data)
        if self.transport.is_closing() or self.transport.get_protocol() is not self or self._is_busy():
            self._stop_waiting()
        elif is_head:
            self._head_size += len(data)
            if self._head_size > LARGEST_HEAD:
                self._refuse(b"431 Request Header Fields Too Large")
            else:
                self._await_head()

    def on_message_begin(self) -> None:
        self._has_head = False
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Names after the body (trailers) are nobody's headers: they would stand last, where the nearest proxy's line is read."""
        if not self._has_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._has_head = True
        super().on_headers_complete()

    def _is_busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _await_head(self) -> None:
        if self._head_due is None:
            self._head_due = self.loop.call_later(HEAD_WITHIN, self._refuse, b"408 Request Timeout")

    def _stop_waiting(self) -> None:
        self._head_size = 0
        if self._head_due is not None:
            self._head_due.cancel()
            self._head_due = None

    def _refuse(self, status: bytes) -> None:
        self._head_due = None
        if self.transport.is_closing() or self._is_busy():
            return
        if self._head_size:  # who has said nothing is told nothing
            self.transport.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        self.transport.close()

    # ----- a client that does not read -----

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._reading_due is None:
            self._reading_due = self.loop.call_later(READS_WITHIN, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_reading()

    def _stop_reading(self) -> None:
        if self._reading_due is not None:
            self._reading_due.cancel()
            self._reading_due = None

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._stop_reading()
        super().connection_lost(exc)
