"""Signs of life in memory (P2). Only beginnings and ends of visits become rows, in batches."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from dialogs.actions.presence import CLAIM_WITHIN, Arrival, Departure
from webim_offline.steady_clock import steady_now

GOODBYE = 2.0  # seconds, fixed (P2 a)
IN_FLIGHT = 0.5  # seconds after a goodbye in which a sign may still arrive that was sent before it, on another connection
SETTLING = 0.3  # seconds a due goodbye still waits, so that every page heard of within the 2 s is written first
DEFAULT_LEASE = 30.0
OUTAGE = 5.0  # P9: when our own clock stood still longer than this, nobody is lost for it
HELD_FOR = 10.0  # seconds that a page of somebody without a row is heard on streams or polls before one is made

Key = tuple[int, str]
Ended = tuple[Key, float, "Alive"]  # and its steady moment


@dataclass(slots=True)
class Alive:
    """One visit this process holds; moments are steady seconds."""

    account_id: int
    last_sign: float
    goodbye_at: float | None = None
    token_digest: str = ""  # of a visitor whose ticket says that they had no row
    is_given_up: bool = False  # silent for nearly its lease, and in the database nobody holds it any more
    in_doubt: bool = False  # its row may say that it ended


class Visits:
    """The visits one live process holds."""

    def __init__(self, clock: Callable[[], float] = steady_now) -> None:
        self.clock = clock
        self.alive: dict[Key, Alive] = {}
        self.of_visitor: Counter[int] = Counter()
        self.of_account: Counter[int] = Counter()
        self.leaving: dict[Key, float] = {}
        self.arrivals: dict[Key, Arrival] = {}
        self.held: Counter[Key] = Counter()  # streams and polls that are open now
        # visits of newcomers, who may have no row, by visitor and page: written when one is found, or when streams or polls
        # have held a page long enough
        self.newcomers: dict[int, dict[str, Arrival]] = {}
        self.unknown: set[int] = set()  # newcomers of whom the database is to be asked
        self.held_since: dict[Key, float] = {}  # when a newcomer's page was held first
        self.ripening: dict[Key, float] = {}  # when a newcomer's page will have been held long enough
        self.silent: list[Ended] = []
        self.leases: dict[int, float] = {}
        self.last_look = clock()

    def sign(self, arrival: Arrival) -> None:
        """The page gave a sign of life; the first one begins the visit, one after a goodbye takes it back."""
        key = (arrival.visitor_id, arrival.key)
        if self.renew(key):
            return
        self.alive[key] = Alive(arrival.account_id, self.clock(), token_digest=arrival.token_digest)
        self.of_visitor[arrival.visitor_id] += 1
        self.of_account[arrival.account_id] += 1
        if arrival.token_digest:
            self.newcomers.setdefault(arrival.visitor_id, {})[arrival.key] = arrival
            self.unknown.add(arrival.visitor_id)
            self._begin_to_ripen(key)
        else:
            self.arrivals[key] = arrival

    def hold(self, key: Key) -> None:
        """A stream or poll of the page opened. Each is released."""
        self.held[key] += 1
        self._begin_to_ripen(key)

    def release(self, key: Key) -> None:
        """A stream or poll of the page closed."""
        self.held[key] -= 1
        if not self.held[key]:
            del self.held[key]

    def take_unknown(self) -> set[int]:
        """Newcomers of whom the database is to be asked; the caller answers with `are_known`, or with `ask` if nobody could."""
        unknown, self.unknown = self.unknown, set()
        return unknown

    def ask(self, visitor_ids: Iterable[int]) -> None:
        """Something happened to these visitors, perhaps a first message: newcomers among them may have rows now."""
        self.unknown |= self.newcomers.keys() & set(visitor_ids)

    def are_known(self, visitor_ids: Iterable[int]) -> None:
        """These visitors have rows: a ticket may be older than its visitor's first message. All their pages arrive."""
        for visitor_id in visitor_ids:
            for key, arrival in self.newcomers.pop(visitor_id, {}).items():
                self.arrivals[visitor_id, key] = arrival
                self.held_since.pop((visitor_id, key), None)

    def _is_newcomer(self, key: Key) -> bool:
        return key[1] in self.newcomers.get(key[0], ())

    def _begin_to_ripen(self, key: Key) -> None:
        if key in self.held and self._is_newcomer(key):
            self.ripening.setdefault(key, self.held_since.setdefault(key, self.clock()) + HELD_FOR)

    def _ripen(self) -> None:
        """Newcomers whose pages have been held long enough arrive; one that nothing holds now waits until it is held again."""
        now = self.clock()
        for key, at in list(self.ripening.items()):
            if key in self.held and self._is_newcomer(key):
                if at > now:
                    continue
                self.are_known([key[0]])
            del self.ripening[key]

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
        if visit.is_given_up or visit.in_doubt:
            self._tell_again(key, visit)
        return True

    def goodbye(self, key: Key) -> None:
        """The page said that it goes (pagehide). One this process does not hold is left to its lease."""
        visit = self.alive.get(key)
        if visit is not None and visit.goodbye_at is None:
            if visit.is_given_up:
                self._tell_again(key, visit)
            visit.goodbye_at = self.leaving[key] = self.clock()

    def lease(self, account_id: int) -> float:
        return self.leases.get(account_id, DEFAULT_LEASE)

    def take_arrivals(self) -> list[Arrival]:
        """Visits not written yet; the caller gives them back with `put_back` when it could not write them."""
        self._ripen()
        taken, self.arrivals = self.arrivals, {}
        return list(taken.values())

    def put_back(self, arrivals: list[Arrival]) -> None:
        for arrival in arrivals:
            key = (arrival.visitor_id, arrival.key)
            if key in self.alive:
                self.arrivals.setdefault(key, arrival)

    def all_again(self, *, ended_ago: float = 0.0) -> None:
        """After an outage that ended so many seconds ago the rows may be wrong: every visit is to be written once more.

        Each has at least one lease from the end of the outage, though our own clock may not have noticed one (P9).
        """
        ended_at = self.clock() - ended_ago
        for key, visit in self.alive.items():
            visit.last_sign = max(visit.last_sign, ended_at)
            self._tell_again(key, visit)

    def claim(self, keys: Iterable[Key]) -> None:
        """Somebody gave these visits up: those whose pages are heard of here are to be written once more.

        What this process gave up itself it has not heard since: a lease that became longer meanwhile acts on its row.
        """
        now = self.clock()
        keys = list(keys)
        self.are_known(self.newcomers.keys() & {visitor_id for visitor_id, _ in keys})  # they have visits, and so rows
        for key in keys:
            visit = self.alive.get(key)
            if visit is None or visit.goodbye_at is not None or visit.is_given_up:
                continue
            if now < self._ends_at(visit) - self._notice(visit):
                self._tell_again(key, visit)

    def _tell_again(self, key: Key, visit: Alive) -> None:
        visit.is_given_up = visit.in_doubt = False
        if self._is_newcomer(key):
            return
        # without an address: the stored one stays
        self.arrivals.setdefault(key, Arrival(key[0], visit.account_id, key[1], page_url=None, token_digest=visit.token_digest))

    def _ends_at(self, visit: Alive) -> float:
        return visit.last_sign + self.lease(visit.account_id)

    def _notice(self, visit: Alive) -> float:
        return min(CLAIM_WITHIN.total_seconds(), self.lease(visit.account_id) / 2)

    def take_departures(self) -> list[Ended]:
        """Visits that have ended; they are forgotten here. Those that are about to are kept for `take_silent`.

        Not called while the database is away: then it gives everyone a full lease, as after any outage (P9).
        """
        now = self.clock()
        if now - self.last_look > OUTAGE:
            for visit in self.alive.values():
                visit.last_sign = now
        ended = [(key, said + GOODBYE) for key, said in self.leaving.items() if said + GOODBYE + SETTLING <= now]
        if int(now) != int(self.last_look):
            leases, notice = self.leases, CLAIM_WITHIN.total_seconds()
            silent = [
                (key, visit.last_sign + lease, visit)
                for key, visit in self.alive.items()
                if visit.goodbye_at is None
                and visit.last_sign + max((lease := leases.get(visit.account_id, DEFAULT_LEASE)) - notice, lease / 2) <= now
            ]
            ended += [(key, at) for key, at, _ in silent if at <= now]
            self._give_up([found for found in silent if found[1] > now])
        self.last_look = now
        return [(key, at, self._forget(key)) for key, at in ended]

    def _give_up(self, silent: list[Ended]) -> None:
        for found in silent:
            visit = found[2]
            if not visit.is_given_up:
                visit.is_given_up = True
                self.silent.append(found)

    def take_silent(self) -> list[Ended]:
        """Visits that end soon unless they are heard of, each once a silence: another process may hold their pages now."""
        taken, self.silent = self.silent, []
        return taken

    @staticmethod
    def keep_silent(silent: list[Ended]) -> None:
        """These could not be given up: they are found again."""
        for _, _, visit in silent:
            visit.is_given_up = False

    def keep(self, ended: list[Ended]) -> list[Ended]:
        """An outage came between: who only fell silent is alive again (P9). Returns those who said goodbye.

        Whether they were written is not known: a commit may have lost its answer. So a next sign tells of them again.
        """
        gone = []
        for key, at, visit in ended:
            if visit.goodbye_at is not None:
                gone.append((key, at, visit))
            elif key not in self.alive:
                visit.last_sign, visit.in_doubt = self.clock(), True
                self.alive[key] = visit
                self.of_visitor[key[0]] += 1
                self.of_account[visit.account_id] += 1
        return gone

    def _forget(self, key: Key) -> Alive:
        visit = self.alive.pop(key)
        self.leaving.pop(key, None)
        self.arrivals.pop(key, None)
        if self._is_newcomer(key):
            del self.newcomers[key[0]][key[1]]
            if not self.newcomers[key[0]]:
                del self.newcomers[key[0]]
        self.held_since.pop(key, None)
        self.ripening.pop(key, None)
        for counter, name in ((self.of_visitor, key[0]), (self.of_account, visit.account_id)):
            counter[name] -= 1
            if not counter[name]:
                del counter[name]
        return visit

    def departures(self, ended: list[Ended]) -> list[Departure]:
        """As rows want them: how long ago, by the clock of this moment."""
        now = self.clock()
        return [
            Departure(visitor_id, key, now - at, said_goodbye=True)
            if visit.goodbye_at is not None
            else Departure(visitor_id, key, now - at, lease=round(at - visit.last_sign))
            for (visitor_id, key), at, visit in ended
        ]
