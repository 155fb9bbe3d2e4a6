"""Password hashers for the PASSWORD_HASHERS setting, which never compute more than two hashes at a time in a process.

A hash is expensive on purpose: it takes 19 MiB of memory and keeps the thread that asked for it busy. Everybody can make the
server hash, simply by trying to sign in, and could exhaust its memory and its page threads that way. So two hashes are computed
at a time, and two more may wait for half a second at most; four people can sign in at the same moment. Any further one is
refused at once with HashingBusy, because waiting would occupy a thread that could answer other pages.
`operators.middleware.HashingLimit` turns HashingBusy into a 429 response wherever it is raised.

The hashes are computed in two threads of their own. The C library keeps the memory of a hash for the thread that has computed
it, and if each of the sixteen page threads did so, they would hold 370 MiB instead of 50 (measured).
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
WAITS = 0.5  # seconds that a hash may wait for its turn; an idle machine computes ten in that time
RETRY_AFTER = 1  # seconds for the client to wait after a refusal, as Retry-After; a hash takes much less
_places = BoundedSemaphore(MOST_AT_ONCE)
_waiting = BoundedSemaphore(MOST_WAITING)
_threads = ThreadPoolExecutor(MOST_AT_ONCE, thread_name_prefix="hash")


class HashingBusy(Exception):
    """Raised when a password was not hashed because this process is already hashing as many as it may."""


@contextmanager
def place_to_hash() -> Iterator[None]:
    """Occupy one of the MOST_AT_ONCE places for a hash, waiting for WAITS seconds at most.

    Raises HashingBusy if MOST_WAITING hashes are waiting already, or if no place becomes free in time.
    """
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
    """Argon2id with the smallest parameters that OWASP's Password Storage Cheat Sheet recommends: 19 MiB, two passes, one lane.

    Django's default parameters take 100 MiB for each hash. Hashes that were made with other parameters are replaced when their
    person signs in the next time.
    """

    memory_cost = 19 * 1024  # KiB
    time_cost = 2
    parallelism = 1

    def encode(self, password: str, salt: str) -> str:
        return str(_in_a_place(partial(super().encode, password, salt)))

    def verify(self, password: str, encoded: str) -> bool:
        return bool(_in_a_place(partial(super().verify, password, encoded)))


class Pbkdf2(PBKDF2PasswordHasher):
    """PBKDF2, for hashes that were imported from another system. `verify` calls `encode`, so this limits both."""

    def encode(self, *args: Any, **kwargs: Any) -> str:
        return str(_in_a_place(partial(super().encode, *args, **kwargs)))
