"""Tickets: signed permissions for one page or workspace to connect to the live process (X5).

A ticket has one purpose, VISIT or WORKSPACE, and must be used within SECONDS_TO_BEGIN of its issue. Nothing can be read or written
with it: it only allows to give signs of life and to hear hints.

It is the text `<claims>.<signature>`: the claims as JSON in URL-safe base64 without padding, and 32 characters of an HMAC-SHA256 in
URL-safe base64, made with a key that is derived from SECRET_KEY. The claims of each purpose are listed at `_is_page` and `_is_tab`;
every ticket has `p`, its purpose, and `t`, the Unix time of its issue.
"""

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
RENEWED_AFTER = 20  # seconds; then a page on a stream gets a fresh one, so that it can always come back after a restart
PADDING = (b"", b"", b"==", b"=")  # of base64, by the length modulo four
LARGEST_ID = 2**63 - 1  # that a database can store
LONGEST_CLAIM = 64  # characters that a database can store of a page's key
NUMBERS = {int, float}  # not bool, which is an int to isinstance()
LAST_MOMENT = 2.0**36  # Unix time, some two thousand years from now


class BadTicket(Exception):
    """Raised for a ticket that is forged, for another purpose, void or too old; `str()` of the exception says which.

    `claims` are those that the ticket proves nevertheless; empty if it proves none.
    """

    def __init__(self, reason: str, claims: dict[str, Any] | None = None) -> None:
        super().__init__(reason)
        self.claims = claims or {}


class Expired(BadTicket):
    """Raised for a ticket that is only too old. This happens every day, and the page fetches a fresh one."""


def _is_id(value: object) -> bool:
    return type(value) is int and 0 < value <= LARGEST_ID


def _is_page(claims: dict[str, Any]) -> bool:
    """Return whether these are the claims of a ticket for a visitor's page.

    They are `a`, `v`, `l` and `d`, the ids of the account, visitor, language and department (or None); `k`, the page's own
    key; `t`; and `n`, for a newcomer, the digest of their token. This runs at every sign of life, so it is one expression.
    """
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
    """Return whether these are the claims of a ticket for a tab of a workspace.

    They are `o` and `a`, the ids of the operator and the account; `d`, the id of the dialog that the tab shows (or None); `lease`,
    the account's `operator_lease` in seconds; `s`, the session, as a moment in UTC in ISO format; and `t`.
    """
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


# How the claims of each purpose are checked. A signed ticket with other claims was made by another release, or by another program.
IS_WELL: dict[str, Callable[[dict[str, Any]], bool]] = {VISIT: _is_page, WORKSPACE: _is_tab}


@lru_cache(maxsize=4)
def _key(secret: str) -> bytes:
    return hashlib.sha256(b"webim_offline.live:" + secret.encode()).digest()


def _signature(body: bytes) -> bytes:
    digest = hmac.digest(_key(settings.SECRET_KEY), body, "sha256")
    return base64.urlsafe_b64encode(digest)[:32]


def issue(purpose: str, claims: dict[str, Any]) -> str:
    """Return a ticket with these claims, issued now. Its values must be JSON, and its keys should be short."""
    return _signed({**claims, "p": purpose, "t": round(time.time(), 3)})


def _signed(claims: dict[str, Any]) -> str:
    packed = base64.urlsafe_b64encode(json.dumps(claims, separators=(",", ":")).encode()).rstrip(b"=")
    return (packed + b"." + _signature(packed)).decode()


def is_to_be_renewed(claims: dict[str, Any]) -> bool:
    """Return whether a ticket with these claims is so old that its page should be given a fresh one."""
    return bool(time.time() - claims["t"] > RENEWED_AFTER)


def renew(claims: dict[str, Any]) -> str:
    """Return a ticket with the same claims and purpose that is issued now, and change `t` in `claims` accordingly.

    It may only be given to a client that has proved these claims and holds a stream.
    """
    claims["t"] = round(time.time(), 3)
    return _signed(claims)


def workspace_claims(operator: Operator, dialog_id: int | None = None) -> dict[str, Any]:
    """Return the claims of a ticket for a tab of this operator's workspace that shows this dialog, or none.

    The session `s` is the operator's `tickets_valid_from`; the ticket is void when that moves on. Raises ValueError for support
    staff, who belong to no account.
    """
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
    """Check a ticket for this purpose, and return its claims.

    Raises BadTicket for one that is not valid. The age is checked unless `max_age` (in seconds) is None; Expired is raised for a
    ticket that is too old. `ticket` may be anything that a client has sent.
    """
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
    """Return the session that the claims of a workspace's ticket name, as the moment `tickets_valid_from`."""
    return datetime.fromisoformat(claims["s"])


def check_age(claims: dict[str, Any], max_age: float = SECONDS_TO_BEGIN) -> None:
    """Raise Expired if these claims were issued more than `max_age` seconds ago.

    It is also raised if they were issued more than `max_age` seconds in the future, by a clock that was set back since.
    """
    if not -max_age <= time.time() - claims["t"] <= max_age:
        raise Expired("expired")
