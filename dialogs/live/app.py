"""The ASGI app of the live process: it dispatches requests and streams to their handlers, and answers errors.

A new kind of request needs an `Endpoint` in `LiveApp` and a handler elsewhere, nothing more; a handler that holds a poll does
it by `polls`. Bodies are JSON sent as text/plain, so that a widget on another origin needs no preflight. Streams are WebSockets
(see `streams`); a page that cannot have one polls.

Answers: 200 or 204; 400 for a body that is not understood, 401 for a ticket (fetch a new one and come again), 403 for a foreign
origin, 404, 405, 408 for a body that does not arrive in time, 409 for a poll whose page began a newer one, 413, 421 for a
foreign host, 429 for one page, request, stream or poll too many, and 503 while the database has to be asked and is away, or for
a page that this process has no room for.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from dialogs.live import streams, tickets
from dialogs.live.caps import NETWORK, CapReached, Owner
from dialogs.live.requests import (
    CLOSE,
    COME_AGAIN_HEADERS,
    COME_AGAIN_STATUSES,
    CORS,
    NO_STORE,
    Headers,
    Receive,
    Refusal,
    Scope,
    Send,
    check_host,
    check_own_origin,
    read_body,
    respond,
)
from dialogs.live.service_states import NotKnown
from dialogs.live.state import LiveState
from dialogs.live.streams import Closed, OpenedStream, Stream, StreamHandlers
from dialogs.live.upkeep import Upkeep
from dialogs.live.visit_handlers import VisitHandlers
from dialogs.live.workspace_handlers import WorkspaceHandlers
from webim_offline.foundation.http.client_address import client_of_scope
from webim_offline.foundation.http.security_headers import for_path
from webim_offline.foundation.logs.security import Event, Outcome, record

# what a handler may do with a request: its fields, what else the client sends (only to notice that it has gone), the scope;
# it returns the JSON to answer, None for an empty answer
Handler = Callable[[dict[str, Any], Receive, Scope], Awaitable[dict[str, Any] | None]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How requests to one address are taken and answered."""

    handler: Handler
    headers: Headers  # of every answer
    method: str = "POST"
    fields: Callable[[Receive], Awaitable[dict[str, Any]]] = read_body
    is_for_own_pages: bool = False  # pages of this service alone may ask


@dataclass(frozen=True, slots=True)
class StreamEndpoint:
    """Who handles the streams of one address."""

    handlers: StreamHandlers
    is_for_own_pages: bool = False


class LiveApp:
    """One live process: connections and signs of life in memory, rows in batches, hints told to everybody they concern."""

    def __init__(self, state: LiveState | None = None) -> None:
        self.state = state or LiveState()
        self.upkeep = Upkeep(self.state)
        self.visit_handlers = VisitHandlers(self.state)
        self.workspace_handlers = WorkspaceHandlers(self.state)
        endpoints = {
            "/live/visit/poll": Endpoint(self.visit_handlers.poll, CORS),
            "/live/visit/beat": Endpoint(self.visit_handlers.beat, CORS),
            "/live/visit/bye": Endpoint(self.visit_handlers.bye, CORS),
            "/live/workspace/poll": Endpoint(self.workspace_handlers.poll, NO_STORE, is_for_own_pages=True),
        }
        self.endpoints = {
            path: replace(endpoint, headers=[*endpoint.headers, *for_path(path)]) for path, endpoint in endpoints.items()
        }
        self.stream_endpoints = {
            "/live/visit/stream": StreamEndpoint(self.visit_handlers),
            "/live/workspace/stream": StreamEndpoint(self.workspace_handlers, is_for_own_pages=True),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._request(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._stream(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self.upkeep.start()
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self.upkeep.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return

    # ----- requests -----

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        endpoint = self.endpoints.get(path)
        headers = endpoint.headers if endpoint is not None else [*NO_STORE, *for_path(path)]
        try:
            if endpoint is None:
                raise Refusal(404, "no such address", closes=True)
            if scope["method"] != endpoint.method:
                raise Refusal(405, f"use {endpoint.method}", closes=True)
            check_host(scope)
            if endpoint.is_for_own_pages:
                check_own_origin(scope)
            answer = await endpoint.handler(await endpoint.fields(receive), receive, scope)
        except Refusal as refusal:
            _log_refusal(refusal, scope)
            if refusal.status in COME_AGAIN_STATUSES:
                headers = [*headers, *COME_AGAIN_HEADERS]
            if refusal.closes:
                headers = [*headers, CLOSE]
            await respond(send, refusal.status, {"error": refusal.reason}, headers)
        except tickets.BadTicket as bad:
            _log_ticket(bad, scope)
            await respond(send, 401, {"error": f"ticket: {bad}"}, headers)
        except (NotKnown, asyncio.CancelledError) as obstacle:
            reason = "the database does not answer" if isinstance(obstacle, NotKnown) else "this process ends"
            await respond(send, 503, {"error": reason}, [*headers, *COME_AGAIN_HEADERS])
        else:
            await respond(send, 200 if answer is not None else 204, answer, headers)

    # ----- streams -----

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one WebSocket until it ends. Thousands of these wait at once: what they keep is counted in memory."""
        handlers = await self._accept(scope, receive, send)
        if handlers is None:
            return
        stream: Stream | None = None
        held: list[Owner] = []
        try:
            stream, frame_came = await self._open(handlers, held, scope, receive, send)
            stream.news()
            clock = asyncio.get_running_loop().time
            while True:
                text = streams.text_of(await receive())
                stream.count_frame(clock())
                if (answering := frame_came(stream, text)) is not None:
                    await answering
        except (tickets.BadTicket, NotKnown, Refusal, Closed, asyncio.CancelledError) as end:
            farewell = _farewell(end, stream, scope)
            if farewell.code:
                await send({"type": "websocket.close", "code": farewell.code, "reason": farewell.reason})
        finally:
            for owner in held:
                self.state.caps.release(owner)
            if stream is not None:
                self.state.streams.remove(stream)
                handlers.stream_ended(stream)

    async def _accept(self, scope: Scope, receive: Receive, send: Send) -> StreamHandlers | None:
        """Take the WebSocket's handshake; None when it was refused."""
        endpoint = self.stream_endpoints.get(scope["path"])
        await receive()  # websocket.connect
        try:
            if endpoint is None:
                raise Refusal(404, "no such address")
            check_host(scope)
            if endpoint.is_for_own_pages:
                check_own_origin(scope)
        except Refusal as refusal:
            _log_refusal(refusal, scope)
            await send({"type": "websocket.close"})
            return None
        await send({"type": "websocket.accept"})
        return endpoint.handlers

    async def _open(self, handlers: StreamHandlers, held: list[Owner], scope: Scope, receive: Receive, send: Send) -> OpenedStream:
        """Open a stream by its first frame. Whom it counts for is noted in `held`, also when it is refused afterwards."""
        caps, network = self.state.caps, client_of_scope(scope).network
        caps.opens(network)
        caps.acquire((NETWORK, network))
        held.append((NETWORK, network))
        if len(self.state.streams) >= streams.MOST_STREAMS:
            raise Closed(streams.TRY_LATER, "this process is full")
        stream, frame_came = await handlers.open_stream(await streams.hello(receive), send, scope)
        owner = handlers.stream_owner(stream)
        caps.acquire(owner)
        held.append(owner)
        handlers.stream_began(stream)
        self.state.streams.add(stream)
        return stream, frame_came


def _farewell(end: BaseException, stream: Stream | None, scope: Scope) -> Closed:
    """With which code and reason a stream is closed that ended by this exception; code 0: without a word."""
    match end:
        case tickets.BadTicket():
            _log_ticket(end, scope)
            return Closed(streams.TICKET, f"ticket: {end}")
        case NotKnown():
            return Closed(streams.TRY_LATER, "the database does not answer")
        case Refusal():
            _log_refusal(end, scope)
            return Closed(streams.TRY_LATER if end.status in COME_AGAIN_STATUSES else streams.REFUSED, end.reason)
        case Closed():
            return end
    # cancelled: by `Stream.close` or `Stream.end`, or by a server that shuts down and has told the client itself
    return stream.farewell if stream is not None and stream.farewell is not None else Closed()


def _log_refusal(refusal: Refusal, scope: Scope) -> None:
    """Log what a wrong client, and not a wrong moment, is refused for: foreign pages and hosts, and caps."""
    network = client_of_scope(scope).network
    if isinstance(refusal, CapReached) or refusal.status in {408, 413}:
        record(Event.LIMIT, Outcome.LIMITED, network=network, reason=refusal.reason)
    elif refusal.status in {403, 421}:
        record(Event.DENIAL, Outcome.REFUSED, network=network, reason=refusal.reason)


def _log_ticket(bad: tickets.BadTicket, scope: Scope) -> None:
    """Log that a ticket was refused, unless it only expired, which happens every day."""
    if not isinstance(bad, tickets.Expired):
        whose = {"operator_id": bad.claims.get("o"), "account_id": bad.claims.get("a")}
        record(Event.TICKET, Outcome.REFUSED, network=client_of_scope(scope).network, reason=str(bad), **whose)
