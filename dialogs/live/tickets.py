"""Tickets of the live app (X5): signed, for one purpose, 60 s to begin; useless for reading or writing anything."""

import base64
import hashlib
import hmac
import json
import time
from functools import lru_cache
from typing import Any

from django.conf import settings

VISIT, WORKSPACE = "visit", "workspace"
SECONDS_TO_BEGIN = 60
PADDING = (b"", b"", b"==", b"=")


class BadTicket(Exception):
    """The ticket is forged, for another purpose, or too old; `str()` says which."""


@lru_cache(maxsize=4)
def _key(secret: str) -> bytes:
    return hashlib.sha256(b"webim_offline.live:" + secret.encode()).digest()


def _signature(body: bytes) -> bytes:
    digest = hmac.digest(_key(settings.SECRET_KEY), body, "sha256")
    return base64.urlsafe_b64encode(digest)[:32]


def issue(purpose: str, claims: dict[str, Any]) -> str:
    """A ticket that carries `claims` (short keys, JSON values)."""
    body = json.dumps({**claims, "p": purpose, "t": round(time.time(), 3)}, separators=(",", ":")).encode()
    packed = base64.urlsafe_b64encode(body).rstrip(b"=")
    return (packed + b"." + _signature(packed)).decode()


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
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(packed + PADDING[len(packed) % 4]))
    if claims["p"] != purpose:
        raise BadTicket("for another purpose")
    if max_age is not None:
        check_age(claims, max_age)
    return claims


def check_age(claims: dict[str, Any], max_age: float = SECONDS_TO_BEGIN) -> None:
    """Raises BadTicket for claims that were issued too long ago to begin with."""
    if not -max_age <= time.time() - claims["t"] <= max_age:
        raise BadTicket("expired")
