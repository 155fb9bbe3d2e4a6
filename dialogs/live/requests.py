"""One HTTP request to the live app and its answer, as ASGI messages: what every server sees, whatever it is about."""

import json
import time
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http.request import split_domain_port, validate_host

from webim_offline.foundation.http.client_address import is_proxy_at
from webim_offline.foundation.http.errors import COME_AGAIN
from webim_offline.foundation.http.patience import within

LARGEST_BODY = 8 * 1024
BODY_WITHIN = 15.0  # seconds
LONGEST_HOST = 300
NO_STORE = [(b"cache-control", b"no-store")]
CORS = [*NO_STORE, (b"access-control-allow-origin", b"*")]
CLOSE = (b"connection", b"close")  # of an answer to somebody who has not sent everything: the rest is not waited for
COME_AGAIN_STATUSES = {408, 429, 503}
DEFAULT_PORTS = {"http": ":80", "https": ":443"}
COME_AGAIN_HEADERS = [(b"retry-after", str(COME_AGAIN).encode()), (b"access-control-expose-headers", b"retry-after")]

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]


class Refusal(Exception):
    """An answer that is not a success: a status and a short reason. `closes`: whatever else comes is not waited for."""

    def __init__(self, status: int, reason: str, *, closes: bool = False) -> None:
        super().__init__(reason)
        self.status, self.reason, self.closes = status, reason, closes


@lru_cache(maxsize=256)
def _is_ours(host: bytes, ours: tuple[str, ...]) -> bool:
    domain, _ = split_domain_port(host.decode("latin-1").lower())
    return bool(domain) and validate_host(domain, ours)


def check_host(scope: Scope) -> None:
    """Raises Refusal for a host that is not ours."""
    for name, value in scope["headers"]:
        if name == b"host":
            if len(value) <= LONGEST_HOST and _is_ours(value, tuple(settings.ALLOWED_HOSTS)):
                return
            break
    raise Refusal(421, "unknown host", closes=True)


def origin(scope: Scope) -> str:
    """The site whose page asks; empty if it does not say."""
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"), "")


def check_own_origin(scope: Scope) -> None:
    """Raises Refusal unless one of our own pages asks: of PUBLIC_URL, or of the host that is asked.

    Browsers name the origin of every WebSocket and of every POST; whoever names none is refused as well.
    """
    if origin(scope) not in {_origin(settings.PUBLIC_URL), _own_origin(scope)} - {""}:
        raise Refusal(403, "this address is for our own pages", closes=True)


@lru_cache(maxsize=16)
def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2].lower().removesuffix(DEFAULT_PORTS.get(parts.scheme, '-'))}"


def _own_origin(scope: Scope) -> str:
    host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
    if not host or len(host) > LONGEST_HOST:
        return ""
    scheme = str(scope.get("scheme", "http")).replace("ws", "http")
    told = [value for name, value in scope["headers"] if name == b"x-forwarded-proto"]
    if told and is_proxy_at((scope.get("client") or ("",))[0]):
        scheme = told[-1].decode("latin-1").rpartition(",")[2].strip().lower()
    return f"{scheme}://{host.lower().removesuffix(DEFAULT_PORTS.get(scheme, '-'))}"


async def disconnected(receive: Receive) -> None:
    """Ends when whoever asked has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def read_body(receive: Receive) -> dict[str, Any]:
    """The body, a JSON object. Raises Refusal for another one, one too large, and one that does not arrive (in time)."""
    body, more, until = b"", True, time.monotonic() + BODY_WITHIN
    while more and len(body) <= LARGEST_BODY:
        message = await within(until - time.monotonic(), receive)
        if message is None:
            raise Refusal(408, f"the body did not arrive within {BODY_WITHIN:g} s", closes=True)
        if message["type"] == "http.disconnect":
            raise Refusal(400, "the body did not arrive", closes=True)
        body += message.get("body", b"")
        more = bool(message.get("more_body"))
    if len(body) > LARGEST_BODY:
        raise Refusal(413, f"the body is larger than {LARGEST_BODY} bytes", closes=more)
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        raise Refusal(400, "the body is not JSON") from None
    if not isinstance(parsed, dict):
        raise Refusal(400, "the body is not a JSON object")
    return parsed


async def respond(send: Send, status: int, answer: dict[str, Any] | None, headers: Headers) -> None:
    """The whole answer: JSON, or nothing."""
    body = b""
    if answer is not None:
        body = json.dumps(answer).encode()
        headers = [*headers, (b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
