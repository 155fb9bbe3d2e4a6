"""Refusals that anybody can cause at will, in the security log: a bounded number of lines, and how many were left out."""

import time
from collections import Counter
from collections.abc import Callable
from threading import Lock
from typing import Any

from webim_offline.security_log import Event, Outcome, record

PERIOD = 60.0  # seconds
LINES_OF_ONE = 5  # of one network in a period
LINES = 100  # of all networks in a period
MOST_NETWORKS = 1_000  # that are counted apart; the rest count as one
MOST_SUMMED = 20  # networks for which it is said how much was left out; the rest is one line
OTHERS = "others"


class RefusalLog:
    """Lines about refusals, bounded. What was left out is said with the first refusal of a later period."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.since = clock()
        self.seen: Counter[str] = Counter()
        self.written = 0
        self.left_out: Counter[str] = Counter()
        self._lock = Lock()

    def refused(self, event: Event, **facts: Any) -> None:
        """Something was refused; `facts` as `security_log.record` takes them."""
        self._tell(event, Outcome.REFUSED, facts)

    def limited(self, event: Event, **facts: Any) -> None:
        """A limit was reached."""
        self._tell(event, Outcome.LIMITED, facts)

    def _tell(self, event: Event, outcome: Outcome, facts: dict[str, Any]) -> None:
        network = str(facts.get("network") or "")
        with self._lock:
            left_out = self._begin_period()
            if network not in self.seen and len(self.seen) >= MOST_NETWORKS:
                network = OTHERS
            self.seen[network] += 1
            is_told = self.seen[network] <= LINES_OF_ONE and self.written < LINES
            if is_told:
                self.written += 1
            else:
                self.left_out[network] += 1
        for of_network, count in left_out:
            record(Event.LIMIT, Outcome.LIMITED, network=of_network, reason=f"left out {count} lines")
        if is_told:
            record(event, outcome, **facts)

    def _begin_period(self) -> list[tuple[str, int]]:
        """In a new period: what was left out in the last one, by network."""
        if self.clock() - self.since < PERIOD:
            return []
        counted = self.left_out.most_common()
        self.since, self.seen, self.written, self.left_out = self.clock(), Counter(), 0, Counter()
        rest = sum(count for _, count in counted[MOST_SUMMED:])
        return counted[:MOST_SUMMED] + ([(OTHERS, rest)] if rest else [])


doors = RefusalLog()
