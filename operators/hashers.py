"""Password hashes: as strong as they must be, and never more than two at a time in a process.

Whoever may make a server hash may fill its memory and its page threads. Two more wait for half a second at most, so that four
people who sign in side by side all do; whatever comes beyond them is refused at once, since one that waits holds a thread that
answers pages. `middleware.HashingLimit` turns the refusal into a 429 wherever it happens.

Hashes are made by two threads of their own: the C library keeps what a hash took for the thread that asked for it, and sixteen
page threads would each keep their 19 MiB (measured: 370 MiB instead of 50).
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from threading import BoundedSemaphore
from typing import Any

from django.contrib.auth.hashers import Argon2PasswordHasher, PBKDF2PasswordHasher

MOST_AT_ONCE = 2
MOST_WAITING = 2
WAITS = 0.5  # seconds; ten hashes on an idle machine
RETRY_AFTER = 1  # seconds; a hash takes a small part of one
_places = BoundedSemaphore(MOST_AT_ONCE)
_waiting = BoundedSemaphore(MOST_WAITING)
_threads = ThreadPoolExecutor(MOST_AT_ONCE, thread_name_prefix="hash")


class HashingBusy(Exception):
    """As many passwords are being hashed in this process as may be: this one was not looked at."""


@contextmanager
def place_to_hash() -> Iterator[None]:
    """One of the places for a hash. Raises HashingBusy where none is free and enough wait, or none gets free in time."""
    if not _places.acquire(blocking=False):
        _wait_for_a_place()
    try:
        yield
    finally:
        _places.release()


def _wait_for_a_place() -> None:
    if not _waiting.acquire(blocking=False):
        raise HashingBusy
    try:
        if not _places.acquire(timeout=WAITS):
            raise HashingBusy
    finally:
        _waiting.release()


def _in_a_place(make: Callable[[], Any]) -> Any:
    with place_to_hash():
        return _threads.submit(make).result()


class Argon2(Argon2PasswordHasher):
    """Argon2id with the least that OWASP's Password Storage Cheat Sheet asks for: 19 MiB, two passes, one lane.

    Django's own numbers take 100 MiB a hash. Older hashes are replaced at their person's next sign-in.
    """

    memory_cost = 19 * 1024  # KiB
    time_cost = 2
    parallelism = 1

    def encode(self, password: str, salt: str) -> str:
        return _in_a_place(partial(super().encode, password, salt))

    def verify(self, password: str, encoded: str) -> bool:
        return _in_a_place(partial(super().verify, password, encoded))


class Pbkdf2(PBKDF2PasswordHasher):
    """For hashes that were brought from elsewhere; its `verify` encodes."""

    def encode(self, *args: Any, **kwargs: Any) -> str:
        return _in_a_place(partial(super().encode, *args, **kwargs))
