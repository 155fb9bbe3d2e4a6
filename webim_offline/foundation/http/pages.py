"""An ASGI application that has Django's WSGI application make the pages, on a few threads (decision 0016).

Before a request takes a thread, headers with `_` in their names are dropped (in a WSGI environ X_Forwarded_For would be the same as
X-Forwarded-For), and the body is read (see `request_bodies`). The thread makes the whole response, and is free again before the
response is sent. So a client that reads slowly takes memory, within limits, but no thread.
"""

import asyncio
import io
import json
import sys
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote_from_bytes

from django.utils import translation
from django.utils.translation.trans_real import parse_accept_lang_header

from webim_offline.foundation.http import request_bodies
from webim_offline.foundation.http.client_address import client_of_scope
from webim_offline.foundation.http.errors import COME_AGAIN
from webim_offline.foundation.http.request_bodies import BadBody, Gone, Holdings, Receive, too_busy
from webim_offline.foundation.http.security_headers import for_path
from webim_offline.foundation.logs.security import Event, Outcome, record

MOST_WAITING = 1_000  # requests that wait for a thread or have one; further ones are refused
PIECE = 64 * 1024  # bytes of a response that are passed to the server at once

Scope = dict[str, Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]
Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
COME_LATER = {408, 503}


class Answer:
    """The whole response of the WSGI application."""

    def __init__(self) -> None:
        self.status = 500
        self.headers: Headers = []
        self.body = b""

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
        """WSGI's `start_response`. It must return a function `write`, which Django does not use."""
        self.status = int(status.split(" ", 1)[0])
        self.headers = [(name.strip().lower().encode("latin-1"), value.strip().encode("latin-1")) for name, value in headers]
        return self._write

    def _write(self, chunk: bytes) -> None:
        self.body += chunk


class Pages:
    """An ASGI application that has a WSGI application answer, on this number of threads."""

    def __init__(self, application: Application, *, threads: int) -> None:
        self.application = application
        self.holdings = Holdings()
        self.waiting = 0
        self.threads = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="page")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})
        else:
            await self._serve(known_names(scope), receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        network = client_of_scope(scope).network
        try:
            body = await request_bodies.read(scope, receive, self.holdings, network)
        except Gone:
            return
        except BadBody as bad:
            await refuse(scope, send, bad, network)
            return
        try:
            answer = await self._made(scope, body)
        except BadBody as bad:
            await refuse(scope, send, bad, network)
            return
        finally:
            self.holdings.shrink(network, len(body))
        await self._send(answer, network, scope, send)

    async def _made(self, scope: Scope, body: bytes) -> Answer:
        if self.waiting >= MOST_WAITING:
            raise too_busy()
        self.waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self.threads, self._answer, environ_of(scope, body))
        finally:
            self.waiting -= 1

    def _answer(self, environ: dict[str, Any]) -> Answer:
        answer = Answer()
        chunks = self.application(environ, answer.start)
        try:
            written = b"".join(chunks)
        finally:
            getattr(chunks, "close", lambda: None)()
        answer.body += written
        return answer

    async def _send(self, answer: Answer, network: str, scope: Scope, send: Send) -> None:
        try:
            self.holdings.grow(network, len(answer.body))
        except BadBody as bad:
            await refuse(scope, send, bad, network)
            return
        try:
            await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
            for begin in range(0, len(answer.body), PIECE):
                piece = answer.body[begin : begin + PIECE]
                await send({"type": "http.response.body", "body": piece, "more_body": begin + PIECE < len(answer.body)})
            if not answer.body:
                await send({"type": "http.response.body", "body": b""})
        finally:
            self.holdings.shrink(network, len(answer.body))


async def _live(receive: Receive, send: Send) -> None:
    while True:
        what = (await receive())["type"]
        await send({"type": f"{what}.complete"})
        if what == "lifespan.shutdown":
            return


async def refuse(scope: Scope, send: Send, bad: BadBody, network: str) -> None:
    """Answer a request without Django, with the sentence as JSON, which the widget shows. Then the connection is closed."""
    record(Event.LIMIT, Outcome.LIMITED, network=network, reason=bad.reason)
    with translation.override(_language(scope)):
        body = json.dumps({"detail": str(bad.sentence)}, ensure_ascii=False).encode()
    headers: Headers = [
        *for_path(scope["path"]),
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"connection", b"close"),
    ]
    if scope["path"].startswith("/widget/"):
        headers += [(b"access-control-allow-origin", b"*"), (b"access-control-expose-headers", b"retry-after")]
    if bad.status in COME_LATER:
        headers.append((b"retry-after", str(COME_AGAIN).encode()))
    await send({"type": "http.response.start", "status": bad.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def _language(scope: Scope) -> str:
    said = next((value for name, value in scope["headers"] if name == b"accept-language"), b"").decode("latin-1")
    for code, _ in parse_accept_lang_header(said[:500].lower()):
        try:
            return translation.get_supported_language_variant(code)
        except LookupError:
            continue
    return "en"


def known_names(scope: Scope) -> Scope:
    """Return the scope without headers whose name contains `_`, and with all cookies in one header.

    A WSGI environ has one value for each header, and cookies are separated by semicolons, not by commas as other headers.
    """
    headers = [(name, value) for name, value in scope["headers"] if b"_" not in name]
    cookies = [value for name, value in headers if name == b"cookie"]
    if len(cookies) > 1:
        headers = [(name, value) for name, value in headers if name != b"cookie"] + [(b"cookie", b"; ".join(cookies))]
    return {**scope, "headers": headers}


def environ_of(scope: Scope, body: bytes) -> dict[str, Any]:
    """Return the WSGI environ of a request whose body has arrived.

    Several headers of the same name become one, with their values in order and separated by commas (RFC 9110).
    """
    host, port = scope.get("server") or ("localhost", 80)
    peer = scope.get("client") or ("", 0)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": scope["path"].encode().decode("latin-1"),
        "QUERY_STRING": _query(scope),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "SERVER_NAME": str(host),
        "SERVER_PORT": str(port or 0),
        "REMOTE_ADDR": str(peer[0]),
        "REMOTE_PORT": str(peer[1]),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").upper().replace("-", "_"), raw_value.decode("latin-1")
        if name not in {"CONTENT_TYPE", "CONTENT_LENGTH"}:
            name = f"HTTP_{name}"
        environ[name] = f"{environ[name]},{value}" if name in environ else value
    environ["CONTENT_LENGTH"] = str(len(body))  # a chunked body has none of its own
    return environ


def _query(scope: Scope) -> str:
    """Return the query string. Bytes that are not ASCII are escaped, as a browser would have done."""
    query: bytes = scope.get("query_string", b"")
    return query.decode() if query.isascii() else quote_from_bytes(query, safe="".join(map(chr, range(0x21, 0x7F))))
