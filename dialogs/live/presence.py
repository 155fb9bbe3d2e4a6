"""Signs of life in memory (P2). Only beginnings and ends of visits become rows, in batches."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from dialogs.actions.presence import Arrival, Departure

GOODBYE = 2.0  # seconds, fixed (P2 a)
IN_FLIGHT = 0.5  # seconds after a goodbye in which a sign may still arrive that was sent before it, on another connection
SETTLING = 0.3  # seconds a due goodbye still waits, so that every page heard of within the 2 s is written first
DEFAULT_LEASE = 30.0
OUTAGE = 5.0  # P9: when our own clock stood still longer than this, nobody is lost for it

Key = tuple[int, str]
Ended = tuple[Key, float, "Alive"]  # and its monotonic moment


@dataclass(slots=True)
class Alive:
    """One visit this process holds; moments are monotonic seconds."""

    account_id: int
    last_sign: float
    goodbye_at: float | None = None


class Visits:
    """The visits one live process holds."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self.clock = clock
        self.alive: dict[Key, Alive] = {}
        self.of_visitor: Counter[int] = Counter()
        self.of_account: Counter[int] = Counter()
        self.leaving: dict[Key, float] = {}
        self.arrivals: dict[Key, Arrival] = {}
        self.leases: dict[int, float] = {}
        self.last_look = clock()

    def sign(self, arrival: Arrival) -> None:
        """The page gave a sign of life; the first one begins the visit, one after a goodbye takes it back."""
        key = (arrival.visitor_id, arrival.key)
        if not self.renew(key):
            self.alive[key] = Alive(arrival.account_id, self.clock())
            self.of_visitor[arrival.visitor_id] += 1
            self.of_account[arrival.account_id] += 1
            self.arrivals[key] = arrival

    def renew(self, key: Key) -> bool:
        """A sign of life of a visit this process may hold; False when it does not."""
        visit = self.alive.get(key)
        if visit is None:
            return False
        now = self.clock()
        if visit.goodbye_at is not None:
            if now - visit.goodbye_at < IN_FLIGHT:
                return True
            visit.goodbye_at = None
            self.leaving.pop(key, None)
        visit.last_sign = now
        return True

    def goodbye(self, key: Key) -> None:
        """The page said that it goes (pagehide). One this process does not hold is left to its lease."""
        visit = self.alive.get(key)
        if visit is not None and visit.goodbye_at is None:
            visit.goodbye_at = self.leaving[key] = self.clock()

    def lease(self, account_id: int) -> float:
        return self.leases.get(account_id, DEFAULT_LEASE)

    def take_arrivals(self) -> list[Arrival]:
        """Visits not written yet; the caller gives them back with `put_back` when it could not write them."""
        taken, self.arrivals = self.arrivals, {}
        return list(taken.values())

    def put_back(self, arrivals: list[Arrival]) -> None:
        for arrival in arrivals:
            key = (arrival.visitor_id, arrival.key)
            if key in self.alive:
                self.arrivals.setdefault(key, arrival)

    def all_again(self) -> None:
        """The rows may be wrong: every visit is to be written once more, its address left as it is."""
        for (visitor_id, key), visit in self.alive.items():
            self.arrivals.setdefault((visitor_id, key), Arrival(visitor_id, visit.account_id, key, page_url=None))

    def take_departures(self) -> list[Ended]:
        """Visits that have ended; they are forgotten here.

        Not called while the database is away: then it gives everyone a full lease, as after any outage (P9).
        """
        now = self.clock()
        if now - self.last_look > OUTAGE:
            for visit in self.alive.values():
                visit.last_sign = now
        ended = [(key, said + GOODBYE) for key, said in self.leaving.items() if said + GOODBYE + SETTLING <= now]
        if int(now) != int(self.last_look):
            leases = self.leases
            ended += [
                (key, visit.last_sign + lease)
                for key, visit in self.alive.items()
                if visit.goodbye_at is None and visit.last_sign + (lease := leases.get(visit.account_id, DEFAULT_LEASE)) <= now
            ]
        self.last_look = now
        return [(key, at, self._forget(key)) for key, at in ended]

    def keep(self, ended: list[Ended]) -> list[Ended]:
        """An outage came between: who only fell silent is alive again (P9). Returns those who said goodbye."""
        gone = []
        for key, at, visit in ended:
            if visit.goodbye_at is not None:
                gone.append((key, at, visit))
            elif key not in self.alive:
                visit.last_sign = self.clock()
                self.alive[key] = visit
                self.of_visitor[key[0]] += 1
                self.of_account[visit.account_id] += 1
        return gone

    def _forget(self, key: Key) -> Alive:
        visit = self.alive.pop(key)
        self.leaving.pop(key, None)
        self.arrivals.pop(key, None)
        for counter, name in ((self.of_visitor, key[0]), (self.of_account, visit.account_id)):
            counter[name] -= 1
            if not counter[name]:
                del counter[name]
        return visit

    def departures(self, ended: list[Ended]) -> list[Departure]:
        """As rows want them: how long ago, by the clock of this moment."""
        now = self.clock()
        return [Departure(visitor_id, key, now - at) for (visitor_id, key), at, _ in ended]
