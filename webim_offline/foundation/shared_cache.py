"""A backend for Django's cache in Redis that never unpickles anything and for which nobody waits.

Values are stored as JSON; so a tuple comes back as a list. Django's own backend uses pickle, which would let anybody who can
write to Redis run code in our processes. A stored value that is no JSON counts as missing.

While Redis is away (see `redis_gate`), every process uses a cache in its own memory instead.
"""

import json
from collections.abc import Callable, Iterable
from typing import Any

import redis
from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache
from django.core.cache.backends.locmem import LocMemCache

from webim_offline.foundation import redis_gate

NOTHING = object()  # stands for a missing value
# INCRBY alone would create a missing key, without an end, and would fail for a value that is no integer.
RAISE = """
local value = redis.pcall('GET', KEYS[1])
if type(value) == 'string' and string.match(value, '^-?%d+$') then return redis.call('INCRBY', KEYS[1], ARGV[1]) end
"""
Key = str


def _written(value: Any) -> int | str:
    # Integers are stored as such, so that Redis can increase them.
    return value if type(value) is int else json.dumps(value)


def _read(value: bytes | str | None) -> Any:
    if value is None:
        return NOTHING
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return NOTHING


class SharedCache(BaseCache):
    """Django's cache API on top of `redis_gate`. LOCATION is the URL of the Redis. Methods are documented by Django."""

    def __init__(self, url: str, params: dict[str, Any]) -> None:
        super().__init__(params)
        self._url = url
        self._own = LocMemCache(f"while {url} is away", {"MAX_ENTRIES": 10_000})

    def _ask(self, question: Callable[[redis.Redis], Any], instead: Callable[[], Any]) -> Any:
        """Return the answer of Redis to `question`, or that of `instead` while Redis is away."""
        try:
            return redis_gate.gate(self._url).ask(question)
        except redis_gate.Away:
            return instead()

    def _seconds(self, timeout: float | None) -> int | None:
        """Return how long to keep a value, in whole seconds; None is for ever, 0 is not at all."""
        seconds = self.default_timeout if timeout is DEFAULT_TIMEOUT else timeout
        return None if seconds is None else max(0, int(seconds))

    def add(self, key: Key, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        place, seconds = self.make_and_validate_key(key, version=version), self._seconds(timeout)
        if seconds == 0:
            return not self.has_key(key, version=version)
        return bool(
            self._ask(
                lambda client: bool(client.set(place, _written(value), ex=seconds, nx=True)),
                lambda: self._own.add(place, value, seconds),
            )
        )

    def get(self, key: Key, default: Any = None, version: int | None = None) -> Any:
        place = self.make_and_validate_key(key, version=version)
        found = self._ask(lambda client: _read(client.get(place)), lambda: self._own.get(place, NOTHING))
        return default if found is NOTHING else found

    def set(self, key: Key, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        place, seconds = self.make_and_validate_key(key, version=version), self._seconds(timeout)
        if seconds == 0:
            self.delete(key, version=version)
            return
        self._ask(
            lambda client: client.set(place, _written(value), ex=seconds),
            lambda: self._own.set(place, value, seconds),
        )

    def touch(self, key: Key, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        place, seconds = self.make_and_validate_key(key, version=version), self._seconds(timeout)
        return bool(
            self._ask(
                lambda client: bool(client.persist(place) if seconds is None else client.expire(place, seconds)),
                lambda: self._own.touch(place, seconds),
            )
        )

    def delete(self, key: Key, version: int | None = None) -> bool:
        place = self.make_and_validate_key(key, version=version)
        return bool(self._ask(lambda client: bool(client.delete(place)), lambda: self._own.delete(place)))

    def delete_many(self, keys: Iterable[Key], version: int | None = None) -> None:
        places = [self.make_and_validate_key(key, version=version) for key in keys]
        if places:
            self._ask(lambda client: client.delete(*places), lambda: self._own.delete_many(places))

    def incr(self, key: Key, delta: int = 1, version: int | None = None) -> int:
        """Increase a stored integer and return it. Raises ValueError if there is none under this key."""
        place = self.make_and_validate_key(key, version=version)

        count = self._ask(lambda client: client.eval(RAISE, 1, place, delta), lambda: self._own.incr(place, delta))
        if count is None:
            raise ValueError(f"There is no count {key!r}.")
        return int(count)

    def clear(self) -> None:
        self._own.clear()
        self._ask(lambda client: client.flushdb(), lambda: None)
