"""Rate limits (X3).

The limits are those of settings.RATE_LIMITS: a dictionary of names to texts such as "10/min", which the environment can change.
All processes count together in Redis; one question to it counts a request against all of its limits.

Without Redis, and while it is away, every process counts for itself, in memory. A client may then do as many times more as there
are processes, but there still is a limit, and nobody waits for Redis.

A limit that is large may be counted late (`spend_all`): a process lets a hundredth of it through without asking, and counts these
requests with the next one that it does ask for. So most requests of a page cost no question. A client whose requests are spread
over several processes can do that much more in each of them.

The window slides: requests of the period before count by the share of it that lies within the last period from now, as if they
had come evenly.
"""

import contextlib
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings

from webim_offline.foundation import rates, redis_gate

MOST_KEPT = 100_000  # counters in the memory of a process, about 20 MB; beyond that, those used longest ago are dropped

# Counts requests against all limits, or against none, in a single step. KEYS: of each limit the counters of this period and of
# the one before. ARGV: of each limit the share of the period before that still counts, the limit, the seconds to keep the counter,
# and how many requests there are. Returns the place of the first limit that leaves no room, and its two counts; or 0, and both
# counts of each limit. A value that is no number counts as zero.
SPEND = """
local function number(key)
  local value = redis.pcall('GET', key)
  return type(value) == 'string' and tonumber(value) or 0
end
local counts = {}
for place = 1, #KEYS / 2 do
  local count, before = number(KEYS[2 * place - 1]) + tonumber(ARGV[4 * place]), number(KEYS[2 * place])
  if before * tonumber(ARGV[4 * place - 3]) + count > tonumber(ARGV[4 * place - 2]) then return {place, count, before} end
  counts[2 * place - 1], counts[2 * place] = count, before
end
for place = 1, #KEYS / 2 do redis.call('SET', KEYS[2 * place - 1], counts[2 * place - 1], 'EX', ARGV[4 * place - 1]) end
return {0, unpack(counts)}
"""
# Takes one request back from the newer counter that is not zero. KEYS as above.
GIVE_BACK = """
for _, key in ipairs(KEYS) do
  local value = redis.pcall('GET', key)
  if type(value) == 'string' and (tonumber(value) or 0) > 0 then return redis.call('DECR', key) end
end
"""


class InMemory:
    """Counters in the memory of this process, with the same operations as the scripts for Redis."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: OrderedDict[str, int] = OrderedDict()  # by key; the one that was used last comes last

    def spend(self, counters: "Sequence[Counter]", requests: Sequence[int]) -> list[int]:
        with self._lock:
            counts = []
            for place, (counter, more) in enumerate(zip(counters, requests, strict=True), start=1):
                count, earlier = self._counts.get(counter.now, 0) + more, self._counts.get(counter.before, 0)
                if earlier * counter.share + count > counter.most:
                    return [place, count, earlier]
                counts += [count, earlier]
            for counter, count in zip(counters, counts[::2], strict=True):
                self._counts[counter.now] = count
                self._counts.move_to_end(counter.now)
            while len(self._counts) > MOST_KEPT:
                self._counts.popitem(last=False)
            return [0, *counts]

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
        """Forget all counters. Only tests need this."""
        with self._lock:
            self._counts.clear()


in_memory = InMemory()


@dataclass(frozen=True)
class Counter:
    """Where the requests of one client are counted against one limit, at one moment.

    `now` and `before` are the keys of this period and of the one before. `share` is how much of the period before still counts,
    from 0 to 1. `most` requests are allowed in `period` seconds.
    """

    now: str
    before: str
    share: float
    most: int
    period: int

    @classmethod
    def of(cls, name: str, client: str, at: float) -> "Counter":
        most, period = rate(name)
        number, into = int(at // period), at % period
        return cls(f"limit:{name}:{client}:{number}", f"limit:{name}:{client}:{number - 1}", 1 - into / period, most, period)

    def seconds_to_wait(self, count: int, earlier: int) -> int:
        """When the next request fits in, if this period would have `count` with it and the period before had `earlier`."""
        # The moment, in seconds from the beginning of this period, at which so little of the period before counts.
        room_at = self.period + self.period / self.most if count > self.most else self.period * (1 - (self.most - count) / earlier)
        into = self.period * (1 - self.share)
        return min(self.period, max(1, math.ceil(room_at - into)))


def rate(name: str) -> tuple[int, int]:
    """Return the limit of this name as (number of requests, seconds)."""
    return rates.parse(settings.RATE_LIMITS[name])


ALLOWED_UNCOUNTED = 100  # one in so many requests of a limit
MOST_ALLOWANCES = 20_000  # kept in a process, about 5 MB


@dataclass(slots=True)
class Allowance:
    """What this process knows of a counter.

    `uncounted` requests were let through without being counted. When it was last asked, there was `room` for so many. `asking`
    threads are asking at this moment; until they have the answer, nothing is let through without being counted.
    """

    room: float
    uncounted: int = 0
    asking: int = 0


class Allowances:
    """What this process lets through without counting it at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[str, Allowance] = OrderedDict()  # by counter; the one that was used last comes last

    def grant(self, counters: Sequence[Counter]) -> bool:
        """Let a request through without counting it, if all of these limits allow that."""
        with self._lock:
            known = [self._of(counter) for counter in counters]
            for counter, one in zip(counters, known, strict=True):
                if one.asking or one.uncounted + 1 > min(counter.most // ALLOWED_UNCOUNTED, one.room):
                    return False
            for one in known:
                one.uncounted += 1
            return True

    def take(self, counters: Sequence[Counter]) -> list[int]:
        """How many requests have to be counted with the next one, for each counter. Call `counted` or `put_back` afterwards."""
        taken = []
        with self._lock:
            for counter in counters:
                one = self._of(counter)
                taken.append(one.uncounted)
                one.uncounted, one.asking = 0, one.asking + 1
        return taken

    def put_back(self, counters: Sequence[Counter], taken: Sequence[int]) -> None:
        """What was taken could not be counted, because there is no room."""
        with self._lock:
            for counter, count in zip(counters, taken, strict=True):
                one = self._of(counter)
                one.uncounted, one.asking, one.room = one.uncounted + count, max(0, one.asking - 1), 0.0

    def counted(self, counters: Sequence[Counter], counts: Sequence[int]) -> None:
        """What was taken is counted now; `counts` are both counts of each counter."""
        with self._lock:
            for counter, count, earlier in zip(counters, counts[::2], counts[1::2], strict=True):
                one = self._of(counter)
                # answers can overtake each other
                one.room, one.asking = min(one.room, counter.most - count - earlier * counter.share), max(0, one.asking - 1)

    def clear(self) -> None:
        """Forget everything. Only tests need this."""
        with self._lock:
            self._known.clear()

    def _of(self, counter: Counter) -> Allowance:
        """Who left little room in the period before is counted from the first request on."""
        one = self._known.get(counter.now)
        if one is None:
            before = self._known.get(counter.before)
            one = Allowance(0 if before and before.room < counter.most / 2 else counter.most)
            self._known[counter.now] = one
            while len(self._known) > MOST_ALLOWANCES:
                self._known.popitem(last=False)
        self._known.move_to_end(counter.now)
        return one


allowances = Allowances()


def spend_all(*limits: tuple[str, str], late: bool = False) -> tuple[int, str]:
    """Count one request against several limits, or against none of them if one has been reached.

    Each is a pair: the limit's name, and any text that identifies the client (an id, a network, a hash). Returns `(0, "")` if the
    request was counted and may go on. Otherwise returns the seconds to wait, at least 1, and the name of the first limit that was
    reached. Comparing and counting are one step, so that of many requests at the same moment each is counted.

    With `late` a request may be counted with a later one, where the limits are so large that it makes little difference. What may
    be given back must not be counted late.
    """
    at = time.time()
    counters = [Counter.of(name, client, at) for name, client in limits]
    if late and allowances.grant(counters):
        return 0, ""
    taken = allowances.take(counters) if late else [0] * len(counters)
    place, *counts = _spend(counters, [count + 1 for count in taken])
    if place:
        if late:
            allowances.put_back(counters, taken)
        count, earlier = counts
        return counters[place - 1].seconds_to_wait(count, earlier), limits[place - 1][0]
    if late:
        allowances.counted(counters, counts)
    return 0, ""


def _spend(counters: Sequence[Counter], requests: Sequence[int]) -> list[int]:
    keys = [key for counter in counters for key in (counter.now, counter.before)]
    values = [
        value
        for counter, more in zip(counters, requests, strict=True)
        for value in (counter.share, counter.most, 2 * counter.period, more)
    ]
    try:
        found: list[int] = redis_gate.ask(lambda redis: redis.eval(SPEND, len(keys), *keys, *values))
    except redis_gate.Away:
        return in_memory.spend(counters, requests)
    return found


def spend(name: str, client: str) -> int:
    """Count one request of `client` against the limit `name`, as `spend_all` does. Returns 0, or the seconds to wait."""
    return spend_all((name, client))[0]


def give_back(name: str, client: str) -> None:
    """Take one counted request of `client` back, because it does not count after all."""
    places = _places(name, client)
    try:
        redis_gate.ask(lambda redis: redis.eval(GIVE_BACK, 2, *places))
    except redis_gate.Away:
        in_memory.give_back(*places)


def forget(name: str, client: str) -> None:
    """Forget all requests of `client` that were counted against this limit."""
    places = _places(name, client)
    in_memory.forget(*places)  # what was counted here while Redis was away
    with contextlib.suppress(redis_gate.Away):
        redis_gate.ask(lambda redis: redis.delete(*places))


def _places(name: str, client: str) -> tuple[str, str]:
    counter = Counter.of(name, client, time.time())
    return counter.now, counter.before
