"""Rate limits (X3): settings.RATE_LIMITS by name, "count/period", counted in the cache by all processes together."""

import contextlib
import math
import time

from django.conf import settings
from django.core.cache import cache

PERIODS = {"s": 1, "sec": 1, "min": 60, "h": 3600, "hour": 3600, "day": 86400}


def rate(name: str) -> tuple[int, int]:
    """A limit as (count, seconds)."""
    count, period = settings.RATE_LIMITS[name].split("/")
    return int(count), PERIODS[period]


def spend(name: str, client: str) -> int:
    """Count one request of `client`. Returns 0, or for one too many, which is not counted, the seconds to wait.

    The window slides: of the last period's requests as many count as if they had come evenly. Counted before it is judged,
    so that many requests at once are not one.
    """
    most, period = rate(name)
    number, into = divmod(time.time(), period)
    place = [f"limit:{name}:{client}:{int(number) - ago}" for ago in (0, 1)]
    cache.add(place[0], 0, timeout=2 * period)
    try:
        count = cache.incr(place[0])
    except ValueError:  # it ran out between the two lines
        count = 1
    before = cache.get(place[1]) or 0
    if before * (1 - into / period) + count <= most:
        return 0
    with contextlib.suppress(ValueError):
        cache.decr(place[0])
    # when so little of what came before still counts that there is room for one
    room_at = period + period / most if count > most else period * (1 - (most - count) / before)
    return min(period, max(1, math.ceil(room_at - into)))


def spend_all(*shares: tuple[str, str]) -> tuple[int, str]:
    """Count one request against several limits, (name, client) each, or against none where one of them is reached.

    Returns (0, ""), or the seconds to wait and the name of the first limit that was reached.
    """
    for place, (name, client) in enumerate(shares):
        if wait := spend(name, client):
            for spent in shares[:place]:
                give_back(*spent)
            return wait, name
    return 0, ""


def give_back(name: str, client: str) -> None:
    """One request that was counted is not to count after all."""
    for place in _places(name, client):
        with contextlib.suppress(ValueError):  # nothing was counted in this period
            if cache.decr(place) >= 0:
                return
            cache.incr(place)


def forget(name: str, client: str) -> None:
    """None of the client's requests so far count any more."""
    cache.delete_many(_places(name, client))


def _places(name: str, client: str) -> list[str]:
    """Where the requests of this period and of the one before are counted."""
    number = int(time.time() // rate(name)[1])
    return [f"limit:{name}:{client}:{number - ago}" for ago in (0, 1)]
