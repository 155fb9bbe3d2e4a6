"""The visits that a live process holds, with their signs of life, in memory (P2, decision 0003).

Signs of life come by thousands and are never written. Only the beginnings and ends of visits are, in batches: `VisitUpkeep` asks
`Visits` several times a second what there is to write, writes it, and gives back what could not be written.

A *newcomer* is a visitor whose ticket says that they had no row in the database yet (decision 0017). Their visits are not written
until the database knows the visitor, or until one of their pages has been held by a stream or poll for HELD_FOR.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from dialogs.actions.presence import CLAIM_WITHIN, LONGEST_GAP, Arrival, Departure
from webim_offline.foundation.steady_clock import steady_now

GOODBYE = 2.0  # seconds from a page's goodbye to the end of its visit, fixed (P2 a)
IN_FLIGHT = 0.5  # seconds after a goodbye in which a sign of life may still arrive that was sent before it
SETTLING = 0.3  # seconds that a goodbye waits longer, so that pages heard of within its two seconds are written first
DEFAULT_LEASE = 30.0  # seconds; of an account whose lease has not been read yet
HELD_FOR = 10.0  # seconds that streams or polls must hold a newcomer's page before the newcomer is stored

Key = tuple[int, str]  # a visit: the visitor's id, and the key that its page has made up
Ended = tuple[Key, float, "Alive"]  # a visit that ended or is about to, and when, by the steady clock


@dataclass(slots=True)
class Alive:
    """A visit that this process holds. Its moments are seconds of the steady clock."""

    account_id: int
    last_sign: float
    goodbye_at: float | None = None
    token_digest: str = ""  # of a newcomer; empty for everybody else
    is_given_up: bool = False  # it was silent for nearly its whole lease, and this process no longer holds it in the database
    in_doubt: bool = False  # its end may have been written, although it is alive


class Visits:
    """The visits that one live process holds.

    `alive` are all of them. `arrivals` are the ones to be written, `leaving` those whose page has said goodbye, and when;
    `of_visitor` and `of_account` count them. `leases` are the accounts' leases in seconds, which the caller keeps up to date.
    """

    def __init__(self, clock: Callable[[], float] = steady_now) -> None:
        self.clock = clock
        self.alive: dict[Key, Alive] = {}
        self.of_visitor: Counter[int] = Counter()
        self.of_account: Counter[int] = Counter()
        self.leaving: dict[Key, float] = {}
        self.arrivals: dict[Key, Arrival] = {}
        self.held: Counter[Key] = Counter()  # streams and polls that are open now
        # the newcomers' visits, by visitor and page key: written once the visitor is known, or held long enough
        self.newcomers: dict[int, dict[str, Arrival]] = {}
        self.unknown: set[int] = set()  # newcomers whom the database must be asked about
        self.held_since: dict[Key, float] = {}  # when a stream or poll first held a newcomer's page
        self.ripening: dict[Key, float] = {}  # when a newcomer's page will have been held for HELD_FOR
        self.silent: list[Ended] = []  # visits to be given up; see `take_silent`
        self.leases: dict[int, float] = {}
        self.last_look = clock()

    def sign(self, arrival: Arrival) -> None:
        """Note a sign of life of a page. The first one begins its visit; one after a goodbye takes the goodbye back."""
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
        """Note that a stream or poll of the page has opened. `release` must be called when it closes."""
        self.held[key] += 1
        self._begin_to_ripen(key)

    def release(self, key: Key) -> None:
        """Note that a stream or poll of the page has closed."""
        self.held[key] -= 1
        if not self.held[key]:
            del self.held[key]

    def take_unknown(self) -> set[int]:
        """Return the newcomers whom the database must be asked about, and forget that they are to be asked about.

        The caller passes those who have a row to `are_known`, and all of them to `ask` if the database did not answer.
        """
        unknown, self.unknown = self.unknown, set()
        return unknown

    def ask(self, visitor_ids: Iterable[int]) -> None:
        """Have the newcomers among these visitors looked up: they may have rows now, because of a first message for example."""
        self.unknown |= self.newcomers.keys() & set(visitor_ids)

    def are_known(self, visitor_ids: Iterable[int]) -> None:
        """Have the visits of these visitors written, because the visitors have rows or are to get them.

        A newcomer's ticket may be older than the first message, with which the visitor was stored.
        """
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
        """Have the visits of newcomers written whose page has been held for HELD_FOR.

        A page whose time has come while nothing holds it waits until it is held again.
        """
        now = self.clock()
        for key, at in list(self.ripening.items()):
            if key in self.held and self._is_newcomer(key):
                if at > now:
                    continue
                self.are_known([key[0]])
            del self.ripening[key]

    def renew(self, key: Key) -> bool:
        """Note a sign of life of a visit, if this process holds it. Return whether it does."""
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
        """Note that a page has said goodbye (in its `pagehide` event). A visit that this process does not hold is ignored."""
        visit = self.alive.get(key)
        if visit is not None and visit.goodbye_at is None:
            if visit.is_given_up:
                self._tell_again(key, visit)
            visit.goodbye_at = self.leaving[key] = self.clock()

    def lease(self, account_id: int) -> float:
        """Return how many seconds after its last sign of life a visit of this account ends (P2)."""
        return self.leases.get(account_id, DEFAULT_LEASE)

    def take_arrivals(self) -> list[Arrival]:
        """Return the visits to be written, and forget them. The caller passes those it could not write to `put_back`."""
        self._ripen()
        taken, self.arrivals = self.arrivals, {}
        return list(taken.values())

    def put_back(self, arrivals: list[Arrival]) -> None:
        """Have these visits written the next time, because they could not be written. Those that ended meanwhile are left out."""
        for arrival in arrivals:
            key = (arrival.visitor_id, arrival.key)
            if key in self.alive:
                self.arrivals.setdefault(key, arrival)

    def all_again(self, *, ended_ago: float = 0.0) -> None:
        """Have every visit written once more after an outage, because its row may be wrong (P9).

        The outage ended `ended_ago` seconds ago. Every visit gets at least one full lease from that moment. This process itself
        need not have noticed the outage.
        """
        ended_at = self.clock() - ended_ago
        for key, visit in self.alive.items():
            visit.last_sign = max(visit.last_sign, ended_at)
            self._tell_again(key, visit)

    def claim(self, keys: Iterable[Key]) -> None:
        """Have those of these visits written again that this process still hears of: another process has given them up.

        A visit that this process has given up itself has given no sign of life since then, so it is left out. If its account's
        lease became longer meanwhile, that is applied to its row.
        """
        now = self.clock()
        keys = list(keys)
        # Whoever has a visit in the database has a row there, too.
        self.are_known(self.newcomers.keys() & {visitor_id for visitor_id, _ in keys})
        for key in keys:
            visit = self.alive.get(key)
            if visit is None or visit.goodbye_at is not None or visit.is_given_up:
                continue
            if now < self._ends_at(visit) - self._notice(visit):
                self._tell_again(key, visit)

    def _tell_again(self, key: Key, visit: Alive) -> None:
        """Have the visit written once more as one that this process holds."""
        visit.is_given_up = visit.in_doubt = False
        if self._is_newcomer(key):
            return
        # The page's address is not kept in memory; None leaves the stored one as it is.
        self.arrivals.setdefault(key, Arrival(key[0], visit.account_id, key[1], page_url=None, token_digest=visit.token_digest))

    def _ends_at(self, visit: Alive) -> float:
        return visit.last_sign + self.lease(visit.account_id)

    def _notice(self, visit: Alive) -> float:
        """Return how many seconds before its end a silent visit is given up, so that another process may claim it."""
        return min(CLAIM_WITHIN.total_seconds(), self.lease(visit.account_id) / 2)

    def take_departures(self) -> list[Ended]:
        """Return the visits that have ended, and forget them. Those that are about to end are kept for `take_silent`.

        It must not be called while the database is away. The first call after that finds that it was not called for longer than
        LONGEST_GAP, and gives every visit a full lease, as after any outage (P9). Silent visits are looked for once a second.
        """
        now = self.clock()
        if now - self.last_look > LONGEST_GAP.total_seconds():  # P9: this process was suspended, or was not asked
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
        """Return the visits that will end soon unless a sign of life comes, each once in a silence, and forget them.

        The caller gives them up in the database, because their pages may be connected to another process by now.
        """
        taken, self.silent = self.silent, []
        return taken

    @staticmethod
    def keep_silent(silent: list[Ended]) -> None:
        """Have these visits found again by `take_departures`, because they could not be given up in the database."""
        for _, _, visit in silent:
            visit.is_given_up = False

    def keep(self, ended: list[Ended]) -> list[Ended]:
        """Take back the ends of visits that were silent, because an outage came before they were written (P9).

        Returns the visits that said goodbye, whose end stays. It is not known whether the other ends were written after all: the
        connection may have been lost after the commit. So the next sign of life has such a visit written again.
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
        """Remove a visit from everything that is kept of it, and return it."""
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
        """Return these ends as `visits_ended` takes them: with the seconds that have passed since each, as of this call."""
        now = self.clock()
        return [
            Departure(visitor_id, key, now - at, said_goodbye=True)
            if visit.goodbye_at is not None
            else Departure(visitor_id, key, now - at, lease=round(at - visit.last_sign))
            for (visitor_id, key), at, visit in ended
        ]
