"""Rate limits (X3): settings.RATE_LIMITS by name, "count/period", counted in Redis by all processes together.

Without Redis, and as long as it is away, each process counts for itself: a limit may then be as many times as wide as there
are processes, but it holds, and nobody waits for it.
"""

import contextlib
import math
import threading
import time
from collections import OrderedDict

from django.conf import settings

from webim_offline import redis_gate

PERIODS = {"s": 1, "sec": 1, "min": 60, "h": 3600, "hour": 3600, "day": 86400}
MOST_KEPT = 100_000  # counters in a process's memory, about 20 MB; then the oldest go

# One step for Redis. KEYS: the counters of this period and of the one before. ARGV: the share of the period before that still
# counts, the limit, seconds to keep. Returns whether there was room, and both counts. What is no number counts as nothing.
SPEND = """
local function number(key)
  local value = redis.pcall('GET', key)
  return type(value) == 'string' and tonumber(value) or 0
end
local count, before = number(KEYS[1]) + 1, number(KEYS[2])
local has_room = before * tonumber(ARGV[1]) + count <= tonumber(ARGV[2])
if has_room then redis.call('SET', KEYS[1], count, 'EX', ARGV[3]) end
return {has_room and 1 or 0, count, before}
"""
# KEYS as above: the newest counter that holds anything gets one less
GIVE_BACK = """
for _, key in ipairs(KEYS) do
  local value = redis.pcall('GET', key)
  if type(value) == 'string' and (tonumber(value) or 0) > 0 then return redis.call('DECR', key) end
end
"""


class InMemory:
    """The same steps in the process's own memory."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: OrderedDict[str, int] = OrderedDict()  # the one that was counted last comes last

    def spend(self, now: str, before: str, share: float, most: int) -> tuple[bool, int, int]:
        with self._lock:
            count, earlier = self._counts.get(now, 0) + 1, self._counts.get(before, 0)
            has_room = earlier * share + count <= most
            if has_room:
                self._counts[now] = count
                self._counts.move_to_end(now)
                if len(self._counts) > MOST_KEPT:
                    self._counts.popitem(last=False)
            return has_room, count, earlier

    def give_back(self, *keys: str) -> None:
        with self._lock:
            for key in keys:
                if self._counts.get(key, 0) > 0:
                    self._counts[key] -= 1
                    return

    def forget(self, *keys: str) -> None:
        with self._lock:
            for key in keys:
                self._counts.pop(key, None)

    def clear(self) -> None:
        """Nothing was counted ever: for tests."""
        with self._lock:
            self._counts.clear()


in_memory = InMemory()


def rate(name: str) -> tuple[int, int]:
    """A limit as (count, seconds)."""
    count, period = settings.RATE_LIMITS[name].split("/")
    return int(count), PERIODS[period]


def spend(name: str, client: str) -> int:
    """Count one request of `client`, which is an id, a network or a hash.

    Returns 0, or for one too many, which is not counted, the seconds to wait. The window slides: of the last period's
    requests as many count as if they had come evenly. Counting and judging are one step, so that many at once are not one.
    """
    most, period = rate(name)
    into = time.time() % period
    now, before = _places(name, client)
    share = 1 - into / period
    try:
        has_room, count, earlier = redis_gate.ask(lambda redis: redis.eval(SPEND, 2, now, before, share, most, 2 * period))
    except redis_gate.Away:
        has_room, count, earlier = in_memory.spend(now, before, share, most)
    if has_room:
        return 0
    # when so little of what came before still counts that there is room for one
    room_at = period + period / most if count > most else period * (1 - (most - count) / earlier)
    return min(period, max(1, math.ceil(room_at - into)))


def give_back(name: str, client: str) -> None:
    """Take back what was spent last: that request does not count after all."""
    places = _places(name, client)
    try:
        redis_gate.ask(lambda redis: redis.eval(GIVE_BACK, 2, *places))
    except redis_gate.Away:
        in_memory.give_back(*places)


def forget(name: str, client: str) -> None:
    """Whatever was spent of this limit no longer counts."""
    places = _places(name, client)
    in_memory.forget(*places)  # also what was counted here while Redis was away
    with contextlib.suppress(redis_gate.Away):
        redis_gate.ask(lambda redis: redis.delete(*places))


def _places(name: str, client: str) -> tuple[str, str]:
    """The keys of this period's counter and of the one before."""
    _most, period = rate(name)
    number = int(time.time() // period)
    return f"limit:{name}:{client}:{number}", f"limit:{name}:{client}:{number - 1}"
