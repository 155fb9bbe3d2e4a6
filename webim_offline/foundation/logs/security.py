"""The security log: one line for each event such as a sign-in, a changed password or a refused request.

A line says who it was (by id), from which network, and how it ended; docs/security.md lists all events. It never has a login, a
name, an email address, a token or anybody's text.
"""

import logging
import threading
import time
from collections import OrderedDict
from enum import StrEnum

from django.http import HttpRequest

from webim_offline.foundation.http.client_address import client_network

logger = logging.getLogger("security")

MOST_LINES = 30  # of refusals in a PERIOD, for each event and network; then one line says how many more there were
PERIOD = 60.0  # seconds
MOST_NETWORKS = 100  # pairs of event and network that are counted separately in a PERIOD; all further networks count as one


class Event(StrEnum):
    """What was tried."""

    SIGN_IN = "sign_in"
    SIGN_OUT = "sign_out"
    CONFIRMATION = "confirmation"  # the own password asked for again, before an act that needs it
    PASSWORD = "password"  # noqa: S105 - a password was to be changed
    ROLE = "role"
    ACTIVATION = "activation"  # somebody was to be deactivated or activated, or an account archived
    SETTING = "setting"  # a setting that asks for a confirmation
    TICKET = "ticket"  # of the live app
    DENIAL = "denial"  # a page, host, site or address that the asker may not use
    LIMIT = "limit"  # a rate limit or cap was reached
    INPUT = "input"  # a request that cannot be understood, or is too large


class Outcome(StrEnum):
    """How an event ended."""

    DONE = "done"
    REFUSED = "refused"
    LIMITED = "limited"  # not even checked, because there were too many attempts


Source = tuple[str, str]  # the event that was refused, and the network it came from


class Suppressor:
    """Keeps a flood of refusals from filling the disk.

    The first MOST_LINES refusals of a minute are written for each event and network. When the minute is over, one line says how
    many were left out. A timer's thread writes it, which exists only while something is left out.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._minutes: OrderedDict[Source, tuple[float, int]] = OrderedDict()  # since when, and how many; oldest first
        self._timer: threading.Timer | None = None

    def lets_through(self, event: str, network: str) -> bool:
        """Count one refusal, and return whether it should be written."""
        now = time.monotonic()
        with self._lock:
            ended = self._end(now)
            source = (event, network)
            if source not in self._minutes and len(self._minutes) >= MOST_NETWORKS:
                source = (event, "others")
            since, count = self._minutes.get(source, (now, 0))
            self._minutes[source] = (since, count + 1)
            if count >= MOST_LINES and self._timer is None:
                self._wake_in(since + PERIOD - now)
        _tell(ended)
        return count < MOST_LINES

    def tell(self) -> None:
        """Write how many refusals were left out, for each minute that is over."""
        now = time.monotonic()
        with self._lock:
            ended, self._timer = self._end(now), None
            waiting = [since for since, count in self._minutes.values() if count > MOST_LINES]
            if waiting:
                self._wake_in(min(waiting) + PERIOD - now)
        _tell(ended)

    def clear(self) -> None:
        """Forget all counts. Only tests need this."""
        with self._lock:
            self._minutes.clear()

    def _end(self, now: float) -> list[tuple[Source, int]]:
        ended = []
        while self._minutes:
            source, (since, count) = next(iter(self._minutes.items()))
            if now - since < PERIOD:
                break
            del self._minutes[source]
            ended.append((source, count - MOST_LINES))
        return ended

    def _wake_in(self, seconds: float) -> None:
        self._timer = threading.Timer(max(0.0, seconds) + 0.1, self.tell)
        self._timer.daemon = True
        self._timer.start()


def _tell(ended: list[tuple[Source, int]]) -> None:
    for (event, network), left_out in ended:
        if left_out > 0:
            logger.warning("event=%s outcome=%s network=%s left_out=%s", event, Outcome.REFUSED, network or "unknown", left_out)


suppressor = Suppressor()


def record(
    event: Event,
    outcome: Outcome,
    *,
    operator_id: int | None = None,
    account_id: int | None = None,
    network: str = "",
    actor_id: int | None = None,
    reason: str = "",
) -> None:
    """Write one line about an event.

    `operator_id` is the person whom the event is about, and `actor_id` is who acted, if that was somebody else. `network` is what
    `client_address.client_network` returns. `reason` is a word or two of our own, and never text of the client.

    What was done is logged as information, what was refused as a warning. Of a flood of refusals only some are written (see
    `Suppressor`).
    """
    if outcome != Outcome.DONE and not suppressor.lets_through(event, network):
        return
    facts = {
        "operator": operator_id,
        "account": account_id,
        "actor": actor_id,
        "network": network,
        "reason": reason.replace(" ", "_"),
    }
    said = "".join(f" {name}={value}" for name, value in facts.items() if value not in {None, ""})
    level = logging.INFO if outcome == Outcome.DONE else logging.WARNING
    logger.log(level, "event=%s outcome=%s%s", event, outcome, said)


def record_request(request: HttpRequest, event: Event, outcome: Outcome, *, reason: str, account_id: int | None = None) -> None:
    """Write one line about an event of a request, with its network and the person who is signed in.

    The person is left out if the request has not been asked for its user yet: nothing is looked up in the database for the log.
    """
    person = getattr(request, "_cached_user", None)  # Django keeps the user here once it was asked for
    record(
        event,
        outcome,
        operator_id=getattr(person, "pk", None),
        account_id=account_id or getattr(person, "account_id", None),
        network=client_network(request),
        reason=reason,
    )
