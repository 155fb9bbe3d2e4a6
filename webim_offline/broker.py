"""The broker of a machine without Redis: kombu's folder of message files, made safe for a reader beside the writer.

kombu opens a message file under its final name and then writes it, so that a worker may take an empty one and die of it;
and it keeps a taken file in the system's temporary folder. Here a message appears, and is taken, by one rename.
"""

import os
import time
import uuid
from pathlib import Path
from queue import Empty
from typing import Any

from kombu.transport import filesystem
from kombu.utils.json import dumps, loads

LONGEST_WAIT = 0.5  # seconds


class Channel(filesystem.Channel):
    """Messages are files `<time>_<id>.<queue>.msg`; other endings are drafts, or messages somebody has taken."""

    def _put(self, queue: str, payload: dict[str, Any], **kwargs: Any) -> None:
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
            payload = taken.read_text()
            taken.unlink()
            return loads(payload)
        raise Empty

    def _size(self, queue: str) -> int:
        return len(self._waiting(queue))

    def _purge(self, queue: str) -> int:
        names = self._waiting(queue)
        for name in names:
            Path(self.data_folder_in, name).unlink(missing_ok=True)
        return len(names)

    def _waiting(self, queue: str) -> list[str]:
        try:
            return [name for name in os.listdir(self.data_folder_in) if name.partition(".")[2] == f"{queue}.msg"]
        except FileNotFoundError:
            return []

    def get_table(self, exchange: str) -> list[filesystem.exchange_queue_t]:
        """Every exchange leads to the queue of its name: nothing to keep in a file that two processes write."""
        return [filesystem.exchange_queue_t(exchange, "", exchange)]

    def _queue_bind(self, *binding: Any) -> None:
        """Nothing to note; see `get_table`."""


class Transport(filesystem.Transport):
    """`folder://localhost`"""

    Channel = Channel

    def drain_events(self, connection: Any, timeout: float | None = None) -> None:
        """Wait for a message, but never long: a worker looks between two waits whether it should end."""
        super().drain_events(connection, timeout=min(timeout or LONGEST_WAIT, LONGEST_WAIT))
