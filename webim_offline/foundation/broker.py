"""Celery's broker on a machine without Redis: messages are files in a folder (decision 0007).

This is kombu's filesystem transport, made safe for several processes. kombu creates a message file under its final name and
writes it afterwards, so that a worker can take an empty file and fail. It also moves files it has taken to the system's temporary
folder. Here a message appears by being renamed, and is taken by being renamed.
"""

import os
import time
import uuid
from pathlib import Path
from queue import Empty
from typing import Any

from kombu.transport import filesystem
from kombu.utils.json import dumps, loads

LONGEST_WAIT = 0.5  # seconds that a worker waits for a message before it looks whether it should end


class Channel(filesystem.Channel):
    """A channel whose messages are files named `<time>_<id>.<queue>.msg`.

    A file that ends in `.draft` is being written, and one that ends in `.taken` is being read by a worker.
    """

    def _put(self, queue: str, payload: Any, **kwargs: Any) -> None:  # type: ignore[override]  # kombu's own two differ
        folder = Path(self.data_folder_out)
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{time.monotonic_ns():020}_{uuid.uuid4().hex}.{queue}.msg"
        draft = folder / f"{name}.draft"
        draft.write_text(dumps(payload))
        draft.rename(folder / name)

    def _get(self, queue: str, timeout: float | None = None) -> dict[str, Any]:
        for name in sorted(self._waiting(queue)):
            message = Path(self.data_folder_in, name)
            taken = message.with_suffix(".taken")
            try:
                message.rename(taken)
            except FileNotFoundError:
                continue  # another worker was faster
            text = taken.read_text()
            taken.unlink()
            payload: dict[str, Any] = loads(text)
            return payload
        raise Empty

    def _size(self, queue: str) -> int:
        return len(self._waiting(queue))

    def _purge(self, queue: str) -> int:
        names = self._waiting(queue)
        for name in names:
            Path(self.data_folder_in, name).unlink(missing_ok=True)
        return len(names)

    def _waiting(self, queue: str) -> list[str]:
        """Return the file names of the messages in a queue, in no order."""
        try:
            return [name for name in os.listdir(self.data_folder_in) if name.partition(".")[2] == f"{queue}.msg"]
        except FileNotFoundError:
            return []

    def get_table(self, exchange: str) -> Any:
        """Return the only queue of an exchange, which has the same name.

        kombu keeps such tables in files, which two processes that start at the same time would both write.
        """
        return [filesystem.exchange_queue_t(exchange, "", exchange)]

    def _queue_bind(self, *binding: Any) -> None:
        """Do nothing, because `get_table` knows the binding already."""


class Transport(filesystem.Transport):
    """The transport of the URL `folder://localhost`."""

    Channel = Channel

    def drain_events(self, connection: Any, timeout: float | None = None, **options: Any) -> None:
        """Wait for a message, but for LONGEST_WAIT at most, so that a worker that should end does so soon."""
        super().drain_events(connection, timeout=min(timeout or LONGEST_WAIT, LONGEST_WAIT), **options)
