"""How often a password may be guessed (X3): so many failures a name and period, counted in the cache."""

import hashlib
import time
import unicodedata
from contextlib import suppress

from django.core.cache import cache

from webim_offline.rate_limits import rate


def _key(name: str) -> str:
    # a login may hold anything a person can type; a cache key may not
    plain = unicodedata.normalize("NFKC", name).strip().casefold()
    return f"login-failures:{hashlib.sha256(plain.encode(errors='replace')).hexdigest()}"


def begin(name: str) -> int:
    """Count an attempt before its password is looked at, so that a hundred at once are not one.

    Returns 0, or the seconds to wait where there were too many already.
    """
    most, period = rate("login_failures")
    key = _key(name)
    now = time.time()
    cache.add(f"{key}:until", now + period, timeout=period)
    if cache.add(key, 1, timeout=period):
        return 0
    try:
        attempts = cache.incr(key)
    except ValueError:  # it ran out between the two lines
        return 0
    if attempts <= most:
        return 0
    until = cache.get(f"{key}:until") or now
    return max(1, min(period, round(until - now)))


def not_judged(name: str) -> None:
    """Nobody could look at the password: that was no failure."""
    with suppress(ValueError):  # it ran out meanwhile
        cache.decr(_key(name))


def succeeded(name: str) -> None:
    """The right password: earlier failures of this name no longer count."""
    key = _key(name)
    cache.delete_many([key, f"{key}:until"])
