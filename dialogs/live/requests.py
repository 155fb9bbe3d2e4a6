"""One HTTP request to the live app and its answer, as ASGI messages: what every server sees, whatever it is about."""

import json
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.http.request import split_domain_port, validate_host

from webim_offline.errors import COME_AGAIN

LARGEST_BODY = 8 * 1024
LONGEST_HOST = 300
NO_STORE = [(b"cache-control", b"no-store")]
CORS = [*NO_STORE, (b"access-control-allow-origin", b"*")]
COME_AGAIN_STATUSES = {429, 503}
COME_AGAIN_HEADERS = [(b"retry-after", str(COME_AGAIN).encode()), (b"access-control-expose-headers", b"retry-after")]

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]


class Refusal(Exception):
    """An answer that is not a success: a status and a short reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


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
    raise Refusal(421, "unknown host")


def origin(scope: Scope) -> str:
    """The site whose page asks; empty if it does not say."""
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"), "")


async def disconnected(receive: Receive) -> None:
    """Ends when whoever asked has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def read_body(receive: Receive) -> dict[str, Any]:
    """The body, a JSON object. Raises Refusal for another one, one too large, and one that does not arrive."""
    message = await receive()
    body = message.get("body", b"")
    while message.get("more_body"):
        if len(body) > LARGEST_BODY:
            break
        message = await receive()
        body += message.get("body", b"")
    if message["type"] == "http.disconnect":
        raise Refusal(400, "the body did not arrive")
    if len(body) > LARGEST_BODY:
        raise Refusal(413, f"the body is larger than {LARGEST_BODY} bytes")
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
