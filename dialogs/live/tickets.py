"""Tickets of the live app (X5): signed, for one purpose, 60 s to begin; useless for reading or writing anything."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from django.conf import settings

from operators.models import Operator

VISIT, WORKSPACE = "visit", "workspace"
SECONDS_TO_BEGIN = 60
RENEWED_AFTER = 20  # seconds; a page on a stream holds a ticket good enough to come back with after a restart
PADDING = (b"", b"", b"==", b"=")
LARGEST_ID = 2**63 - 1  # what a database keeps
LONGEST_CLAIM = 64  # characters, as a database keeps them
NUMBERS = {int, float}
LAST_MOMENT = 2.0**36  # Unix time, some two thousand years from now


class BadTicket(Exception):
    """The ticket is forged, for another purpose, void, or too old; `str()` says which. `claims` are those it proves, if any."""

    def __init__(self, reason: str, claims: dict[str, Any] | None = None) -> None:
        super().__init__(reason)
        self.claims = claims or {}


class Expired(BadTicket):
    """It was good once: an everyday case, for which a page fetches a fresh one."""


def _is_id(value: object) -> bool:
    return type(value) is int and 0 < value <= LARGEST_ID


def _is_page(claims: dict[str, Any]) -> bool:
    """What a page's ticket says: asked at each beat, so in one go."""
    account, visitor, language, department = claims.get("a"), claims.get("v"), claims.get("l"), claims.get("d")
    key, issued, newcomer = claims.get("k"), claims.get("t", -1), claims.get("n", "")
    return (
        (type(account) is type(visitor) is type(language) is int)
        and (0 < account <= LARGEST_ID and 0 < visitor <= LARGEST_ID and 0 < language <= LARGEST_ID)
        and (department is None or _is_id(department))
        and (type(key) is str and 0 < len(key) <= LONGEST_CLAIM and key.isascii() and key.isprintable())
        and (type(issued) in NUMBERS and 0 <= issued <= LAST_MOMENT)
        and (type(newcomer) is str and len(newcomer) <= LONGEST_CLAIM and newcomer.isascii() and newcomer.isprintable())
    )


def _is_tab(claims: dict[str, Any]) -> bool:
    """What the ticket of a workspace's tab says."""
    lease, issued, dialog, session = claims.get("lease", -1), claims.get("t", -1), claims.get("d"), claims.get("s")
    try:
        is_session = type(session) is str and datetime.fromisoformat(session).utcoffset() == timedelta(0)
    except ValueError:
        return False
    return (
        is_session
        and (_is_id(claims.get("o")) and _is_id(claims.get("a")))
        and (dialog is None or _is_id(dialog))
        and (type(lease) in NUMBERS and 0 <= lease <= LAST_MOMENT)
        and (type(issued) in NUMBERS and 0 <= issued <= LAST_MOMENT)
    )


# a ticket of each purpose with our signature that says anything else was not made here
IS_WELL: dict[str, Callable[[dict[str, Any]], bool]] = {VISIT: _is_page, WORKSPACE: _is_tab}


@lru_cache(maxsize=4)
def _key(secret: str) -> bytes:
    return hashlib.sha256(b"webim_offline.live:" + secret.encode()).digest()


def _signature(body: bytes) -> bytes:
    digest = hmac.digest(_key(settings.SECRET_KEY), body, "sha256")
    return base64.urlsafe_b64encode(digest)[:32]


def issue(purpose: str, claims: dict[str, Any]) -> str:
    """A ticket that carries `claims` (short keys, JSON values)."""
    return _signed({**claims, "p": purpose, "t": round(time.time(), 3)})


def _signed(claims: dict[str, Any]) -> str:
    packed = base64.urlsafe_b64encode(json.dumps(claims, separators=(",", ":")).encode()).rstrip(b"=")
    return (packed + b"." + _signature(packed)).decode()


def is_to_be_renewed(claims: dict[str, Any]) -> bool:
    """Is the ticket with these claims so old that its page should be given a fresh one?"""
    return bool(time.time() - claims["t"] > RENEWED_AFTER)


def renew(claims: dict[str, Any]) -> str:
    """A ticket for the same page and purpose, issued now; `claims` become its own. Only for whom proved them and holds a stream."""
    claims["t"] = round(time.time(), 3)
    return _signed(claims)


def workspace_claims(operator: Operator, dialog_id: int | None = None) -> dict[str, Any]:
    """The claims of a workspace's ticket. `s` names the session: it is void when the person's `tickets_valid_from` moves on."""
    if operator.account is None:
        raise ValueError("support staff have no workspace")
    return {
        "o": operator.pk,
        "a": operator.account_id,
        "d": dialog_id,
        "lease": operator.account.operator_lease,
        "s": operator.tickets_valid_from.isoformat(),
    }


def read(purpose: str, ticket: object, *, max_age: float | None = SECONDS_TO_BEGIN) -> dict[str, Any]:
    """The claims of a ticket, with `t`, the Unix time of its issue. Raises BadTicket."""
    if not isinstance(ticket, str) or len(ticket) > 1000:
        raise BadTicket("no ticket")
    try:
        packed, _, signature = ticket.encode("ascii").partition(b".")
    except UnicodeEncodeError:
        raise BadTicket("forged") from None
    if not hmac.compare_digest(signature, _signature(packed)):
        raise BadTicket("forged")
    claims = _unpacked(packed)
    if claims.get("p") != purpose:
        raise BadTicket("for another purpose")
    if not IS_WELL[purpose](claims):
        raise BadTicket("malformed")
    if max_age is not None:
        check_age(claims, max_age)
    return claims


def _unpacked(packed: bytes) -> dict[str, Any]:
    try:
        claims = json.loads(base64.urlsafe_b64decode(packed + PADDING[len(packed) % 4]))
    except (ValueError, RecursionError):
        raise BadTicket("malformed") from None
    if not isinstance(claims, dict):
        raise BadTicket("malformed")
    return claims


def session(claims: dict[str, Any]) -> datetime:
    """The session that a workspace's claims name."""
    return datetime.fromisoformat(claims["s"])


def check_age(claims: dict[str, Any], max_age: float = SECONDS_TO_BEGIN) -> None:
    """Raises BadTicket for claims that were issued too long ago to begin with."""
    if not -max_age <= time.time() - claims["t"] <= max_age:
        raise Expired("expired")
