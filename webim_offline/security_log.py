"""What happened at the doors, one line an event: who (by id), from which network, and how it ended. docs/security.md lists them.

Lines hold ids only: no login, name, e-mail address, token or text of anybody ever stands in them.
"""

import logging
import threading
import time
from collections import OrderedDict
from enum import StrEnum

from django.http import HttpRequest

from webim_offline.client_address import client_network

logger = logging.getLogger("security")

MOST_LINES = 30  # of refusals, a minute for each event and network; then how many more there were
PERIOD = 60.0  # seconds
MOST_NETWORKS = 100  # that are told apart in a minute; what comes from further ones counts as from one


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
    """How it ended."""

    DONE = "done"
    REFUSED = "refused"
    LIMITED = "limited"  # not even looked at: too many attempts


Source = tuple[str, str]  # what was refused, to which network


class Suppressor:
    """Keeps a flood of refusals from filling the disk: some are written, then one line says how many were not.

    That line comes when the minute is over, from a thread that exists only while something is left out.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._minutes: OrderedDict[Source, tuple[float, int]] = OrderedDict()  # since when, and how many; the oldest first
        self._timer: threading.Timer | None = None

    def lets_through(self, event: str, network: str) -> bool:
        """Count one refusal. May it be written?"""
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
        """Write what was left out in minutes that are over."""
        now = time.monotonic()
        with self._lock:
            ended, self._timer = self._end(now), None
            waiting = [since for since, count in self._minutes.values() if count > MOST_LINES]
            if waiting:
                self._wake_in(min(waiting) + PERIOD - now)
        _tell(ended)

    def clear(self) -> None:
        """Nothing was written yet: for tests."""
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

    `operator_id` is the person whom it is about, `actor_id` who acted if that is somebody else, `network` what
    `client_address.client_network` says, `reason` a word or two of ours, never of the client's. Refusals are warnings, at most
    MOST_LINES a minute for each event and network; then one line says how many were left out.
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
    """`record` about a request: whose it is, as far as that is known already (nobody is looked up for it), and from where."""
    person = getattr(request, "_cached_user", None)  # Django's, once the page has asked who is there
    record(
        event,
        outcome,
        operator_id=getattr(person, "pk", None),
        account_id=account_id or getattr(person, "account_id", None),
        network=client_network(request),
        reason=reason,
    )
