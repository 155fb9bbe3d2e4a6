"""The ASGI app of the live process: `/live/visit/{stream,poll,beat,bye}` and `/live/workspace/{stream,poll}`.

Streams are WebSockets (see `streams`); a page that cannot have one polls. Bodies are JSON sent as text/plain, so that a
widget on another origin needs no preflight. Answers: 200 or 204; 400 for a body that is not understood, 401 for a ticket
(fetch a new one and come again), 403 for a foreign origin, 404, 405, 408 for a body that stalls, 409 for a poll whose page began
a newer one, 413, 421 for a foreign host, 429 for one page, request, stream or poll too many, 503 while the database has to be
asked and is away, and for a page that this process has no room for.
"""

import asyncio
import contextlib
import logging
import sys
import uuid
from collections.abc import Awaitable, Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from typing import Any

from django.db import DatabaseError, InterfaceError, OperationalError, close_old_connections, connections

from dialogs.actions import presence as actions
from dialogs.actions.record import dialog_channel, visitor_channel
from dialogs.live import streams, tickets
from dialogs.live.caps import NETWORK, OPERATOR, VISITOR, CapReached, Caps, Newest, Owner, Poll, Window
from dialogs.live.hub import Hub
from dialogs.live.neighbours import Neighbours
from dialogs.live.presence import Ended, Key, Visits
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
    disconnected,
    origin,
    read_body,
    respond,
)
from dialogs.live.service import Board, NotKnown
from dialogs.live.sessions import VOID, Sessions
from dialogs.live.streams import Closed, Stream, Streams
from dialogs.models import LONGEST_TITLE, LONGEST_URL
from operators.actions import operator_channel, service_channel, workspace_channel, workspaces_seen
from operators.sessions import valid_sessions
from webim_offline import realtime
from webim_offline.client_address import client_of_scope
from webim_offline.numbers import whole_number
from webim_offline.security_headers import for_path
from webim_offline.security_log import Event, Outcome, record
from webim_offline.steady_clock import steady_now

logger = logging.getLogger(__name__)
VISIT_POLL = 25.0  # seconds a poll is held at most
WORKSPACE_POLL = 15.0
TABS_AT_FULL_HOLD = 3  # more tabs of one visitor share the browser's six connections by shorter polls
TICK = 0.2
RENEW_EVERY = 5.0
CLAIM_EVERY = 1.0
WORKSPACES_EVERY = 0.5  # seconds; signs of life of workspaces, all of them in one statement, soon enough for a short lease
CHECK_EVERY = 30.0  # seconds; the right to every workspace stream (X5), whatever hints were lost
AGAIN_AFTER = 1.0  # seconds
MOST_VISITS = 100  # pages of one visitor at once
MOST_REQUESTS = 60  # of one page in REQUESTS_WITHIN seconds
REQUESTS_WITHIN = 10.0
MOST_HELD = 200_000  # visits of one process, about 100 MiB: ten times as many as it holds streams
WORKSPACE_PATHS = "/live/workspace/"

Handler = Callable[[dict[str, Any], Receive, Scope], Awaitable[dict[str, Any] | None]]
Opened = tuple[Stream, Callable[[Stream, str], Awaitable[None] | None]]


class LiveApp:
    """One live process: connections and signs of life in memory, rows in batches, hints fanned out."""

    def __init__(self) -> None:
        self.process_id = uuid.uuid4()
        self.hub = Hub()
        self.visits = Visits()
        self.neighbours = Neighbours(self.visits)
        self.board = Board(self.hub)
        self.streams = Streams(self.visits.lease)
        self.polls = 0
        self.caps = Caps()
        self.newest_streams, self.newest_polls = Newest(), Newest()
        self.sessions = Sessions(self.hub, self._in_database)
        self.workspaces: dict[int, datetime] = {}  # operator id -> the newest session heard of (tickets.workspace_claims)
        self.requests: Window[Key] = Window(REQUESTS_WITHIN)
        self.unchecked: set[str] = set()  # channels of operators and accounts whose streams may have lost their right
        self.is_doubted = asyncio.Event()  # somebody's, by a hint of the person's own: not to be told anything until it is checked
        self.checked_at = steady_now()
        self.database = ThreadPoolExecutor(max_workers=1, thread_name_prefix="live-database")
        self.tasks: list[asyncio.Task[None]] = []
        self.unwritten: list[Ended] = []
        self.lease_known: datetime | None = None  # what this process wrote last into its row
        self.renewed_at = steady_now()
        self.renewing = asyncio.Lock()
        self.is_cut_off = True  # from the database, until it answers
        self.routes: dict[str, tuple[Handler, Headers]] = {
            path: (handler, [*headers, *for_path(path)])
            for path, handler, headers in (
                ("/live/visit/poll", self._visit_poll, CORS),
                ("/live/visit/beat", self._visit_beat, CORS),
                ("/live/visit/bye", self._visit_bye, CORS),
                ("/live/workspace/poll", self._workspace_poll, NO_STORE),
            )
        }

    # ----- life of the process -----

    async def start(self) -> None:
        """Begin the background work; the first lease is written before anything is held under it."""
        # the database thread gives the interpreter back soon: else every write to a socket waits 5 ms for it
        sys.setswitchinterval(0.0005)
        loops = (
            self._keep_presence,
            self._keep_lease,
            self._keep_claiming,
            self._keep_board,
            self._keep_operators,
            self._keep_rights,
            self._keep_listening,
            self.neighbours.keep_telling,
            self.streams.keep_pinging,
        )
        self.tasks = [asyncio.create_task(self._keep(loop), name=loop.__name__) for loop in loops]

    async def stop(self) -> None:
        """End the background work. Nobody is said goodbye to: their pages come back to another process (P9)."""
        self.hub.doubt_everything()
        self.sessions.stop()
        running = set(self.tasks)
        while running:  # a library may swallow a cancellation that meets its own time-out: say it again
            for task in running:
                task.cancel()
            _, running = await asyncio.wait(running, timeout=0.5)
        await asyncio.get_running_loop().run_in_executor(self.database, connections.close_all)
        self.database.shutdown(wait=True)

    @staticmethod
    async def _keep(work: Callable[[], Awaitable[None]]) -> None:
        """Background work never ends: without one part of it this process would be half alive, and look well."""
        while True:
            try:
                await work()
            except Exception:
                logger.exception("%s failed, beginning again", work.__name__)
            await asyncio.sleep(AGAIN_AFTER)

    async def _in_database(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        def call() -> Any:
            close_old_connections()
            try:
                return function(*arguments, **named)
            except InterfaceError as error:  # a connection that is closed already; whoever waits for the database knows one kind
                raise OperationalError(str(error)) from error

        return await asyncio.get_running_loop().run_in_executor(self.database, call)

    async def _keep_presence(self) -> None:
        looked_at = steady_now()
        while True:
            await asyncio.sleep(TICK)
            before, looked_at = looked_at, steady_now()
            if looked_at - before > actions.LONGEST_GAP.total_seconds():
                self.is_cut_off = True  # suspended, or the database hung: nothing failed
            try:
                if self.is_cut_off:
                    await self._renew_lease()
                await self._write_arrivals()
                await self._write_departures()
                await self._write_silences()
            except (DatabaseError, actions.OutageBetween) as error:
                logger.warning("presence waits for the database: %s", error)
                self.is_cut_off = True
                await asyncio.sleep(AGAIN_AFTER)

    async def _find_known_newcomers(self) -> None:
        unknown = list(self.visits.take_unknown())
        try:
            while unknown:
                batch = unknown[: actions.BATCH]
                self.visits.are_known(await self._in_database(actions.known_visitors, batch))
                unknown = unknown[actions.BATCH :]
        finally:
            self.visits.ask(unknown)

    async def _write_arrivals(self) -> None:
        await self._find_known_newcomers()
        arrivals = self.visits.take_arrivals()
        try:
            while arrivals:
                await self._in_database(actions.visits_began, arrivals[: actions.BATCH], process_id=self.process_id)
                arrivals = arrivals[actions.BATCH :]
        finally:
            self.visits.put_back(arrivals)

    async def _write_departures(self) -> None:
        found_at = steady_now()
        # a page that said goodbye before an outage and is back after it never left
        late = [(key, at, visit) for key, at, visit in self.unwritten if key not in self.visits.alive]
        ended, self.unwritten = late + self.visits.take_departures(), []
        try:
            while ended:
                batch = self.visits.departures(ended[: actions.BATCH])
                await self._in_database(actions.visits_ended, batch, process_id=self.process_id, found_at=found_at)
                ended = ended[actions.BATCH :]
        finally:
            self.unwritten = self.visits.keep(ended)

    async def _write_silences(self) -> None:
        found_at, silent = steady_now(), self.visits.take_silent()
        try:
            while silent:
                batch = self.visits.departures(silent[: actions.BATCH])
                await self._in_database(actions.visits_silent, batch, process_id=self.process_id, found_at=found_at)
                silent = silent[actions.BATCH :]
        finally:
            self.visits.keep_silent(silent)

    async def _keep_claiming(self) -> None:
        while True:
            await asyncio.sleep(CLAIM_EVERY)
            try:
                self.visits.claim(await self._in_database(actions.unclaimed_visits))
            except DatabaseError as error:
                logger.warning("visits given up by others could not be read: %s", error)

    async def _renew_lease(self) -> None:
        """Renew the one lease of this process; after a silence of its own, end the outage first (P9)."""
        async with self.renewing:
            if self.is_cut_off or steady_now() - self.renewed_at > RENEW_EVERY + actions.LONGEST_GAP.total_seconds():
                await self._in_database(actions.end_outage)
            self.lease_known, ended_ago = await self._in_database(
                actions.renew_process, self.process_id, self.lease_known, streams=len(self.streams), polls=self.polls
            )
            self.renewed_at, self.is_cut_off = steady_now(), False
            if ended_ago is not None:
                self.visits.all_again(ended_ago=ended_ago)
                self.hub.doubt_everything()

    async def _keep_lease(self) -> None:
        while True:
            try:
                await self._renew_lease()
            except DatabaseError as error:
                logger.warning("the lease could not be renewed: %s", error)
                self.is_cut_off = True
            await asyncio.sleep(RENEW_EVERY)

    async def _keep_board(self) -> None:
        while True:
            try:
                accounts = self.visits.of_account.keys() | self.board.asked
                if accounts:
                    self.visits.leases = await self._in_database(self.board.read, accounts)
                    self.board.compare()
            except DatabaseError as error:
                logger.warning("the service states could not be read: %s", error)
            await self.board.pause()

    async def _keep_operators(self) -> None:
        while True:
            await asyncio.sleep(WORKSPACES_EVERY)
            try:
                await self._write_workspaces()  # nobody's too: that they could be written is what P9 asks
            except DatabaseError as error:
                logger.warning("signs of life of workspaces were not written: %s", error)
                await asyncio.sleep(AGAIN_AFTER)

    async def _keep_rights(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(WORKSPACES_EVERY):
                    await self.is_doubted.wait()
            self.is_doubted.clear()
            try:
                await self._check_workspaces()
            except DatabaseError as error:
                logger.warning("the right to workspace streams was not checked: %s", error)
                await asyncio.sleep(AGAIN_AFTER)

    async def _write_workspaces(self) -> None:
        heard, self.workspaces = self.workspaces, {}
        try:
            valid_from = await self._in_database(workspaces_seen, heard)
        except DatabaseError:
            self.workspaces = heard | self.workspaces
            raise
        self.hub.heard([operator_channel(operator_id) for operator_id in heard if operator_id not in valid_from])
        self._end_void_streams(heard, valid_from)

    async def _check_workspaces(self) -> None:
        """X5: a stream lasts no longer than the right to it, though its page may never give a sign of life."""
        unchecked, now = self.unchecked, steady_now()
        is_time = now - self.checked_at >= CHECK_EVERY
        if not unchecked and not is_time:
            return
        self.unchecked = set()
        due = [
            operator_id
            for operator_id, theirs in self.streams.of_operator.items()
            if is_time
            or operator_channel(operator_id) in unchecked
            or any(service_channel(stream.claims["a"]) in unchecked for stream in theirs)
        ]
        try:
            if due:
                self._end_void_streams(due, await self._in_database(valid_sessions, due))
        except DatabaseError:
            self.unchecked |= unchecked
            raise
        if is_time:
            self.checked_at = now

    def _end_void_streams(self, checked: Iterable[int], valid_from: dict[int, datetime]) -> None:
        """X5: streams of people who signed out, were deactivated or changed; who still may comes back with a new ticket."""
        for operator_id in checked:
            is_old = operator_channel(operator_id) in self.unchecked  # a hint came after the question
            for stream in list(self.streams.of_operator.get(operator_id, ())):
                if tickets.session(stream.claims) != valid_from.get(operator_id):
                    stream.close(streams.TICKET, VOID)
                elif not is_old:
                    stream.trust()

    async def _keep_listening(self) -> None:
        while True:
            try:
                await realtime.listen(self._heard)
            except (OSError, ConnectionError, realtime.redis.RedisError) as error:
                logger.warning("hints are not heard, trying again: %s", error)
            await asyncio.sleep(1)
            self.hub.doubt_everything()

    def _heard(self, channels: list[str]) -> None:
        if not (channels := self.neighbours.heard(channels)):
            return
        self._doubt(channels)
        self.visits.ask(_ids(channels, "visitor"))
        self.hub.heard(channels)
        if any(channel.startswith("service:") for channel in channels):
            self.board.hurry()

    def _doubt(self, channels: Collection[str]) -> None:
        """Before a hint is told: whose own it is may have signed out, and hears nothing until that is known."""
        self.unchecked.update(channel for channel in channels if channel.startswith(("service:", "operator:")))
        for operator_id in _ids(channels, "operator"):
            for stream in self.streams.of_operator.get(operator_id, ()):
                stream.doubt()
                self.is_doubted.set()

    # ----- requests -----

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        if scope["type"] == "websocket":
            await self._stream(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        path = scope["path"]
        handler, headers = self.routes.get(path) or (None, [*NO_STORE, *for_path(path)])
        try:
            if handler is None:
                raise Refusal(404, "no such address", closes=True)
            if scope["method"] != "POST":
                raise Refusal(405, "use POST", closes=True)
            check_host(scope)
            if path.startswith(WORKSPACE_PATHS):
                check_own_origin(scope)
            answer = await handler(await read_body(receive), receive, scope)
        except Refusal as refusal:
            _log_refusal(refusal, scope)
            if refusal.status in COME_AGAIN_STATUSES:
                headers = [*headers, *COME_AGAIN_HEADERS]
            if refusal.closes:
                headers = [*headers, CLOSE]
            await respond(send, refusal.status, {"error": refusal.reason}, headers)
            return
        except tickets.BadTicket as bad:
            _log_ticket(bad, scope)
            await respond(send, 401, {"error": f"ticket: {bad}"}, headers)
            return
        except (NotKnown, asyncio.CancelledError) as obstacle:
            reason = "the database does not answer" if isinstance(obstacle, NotKnown) else "this process ends"
            await respond(send, 503, {"error": reason}, [*headers, *COME_AGAIN_HEADERS])
            return
        await respond(send, 200 if answer is not None else 204, answer, headers)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self.start()
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _sign_of_visit(self, body: dict[str, Any], scope: Scope) -> dict[str, Any]:
        """The sign of life of the page that sent `body`; its claims.

        Raises BadTicket, and Refusal for a site not listed, a request too many and a page for which there is no room.
        """
        claims = tickets.read(tickets.VISIT, body.get("ticket"), max_age=None)
        self._count_request(_page(claims))
        if not self.board.knows(claims["a"]):
            await self.board.know(claims["a"])
        if not self._is_listed(claims, scope):
            raise Refusal(403, "this site is not listed")
        if not self.visits.renew(_page(claims)):
            tickets.check_age(claims)
            if self.visits.of_visitor[claims["v"]] >= MOST_VISITS:
                raise CapReached("too many pages of one visitor")
            if len(self.visits.alive) >= MOST_HELD:
                raise Refusal(503, "this process is full")
            self.visits.sign(_arrival(claims, body))
        return claims

    def _count_request(self, page: Key) -> None:
        """Raises Refusal for a page that asks too often (X3)."""
        if self.requests.count(page) > MOST_REQUESTS:
            raise CapReached("too many requests of one page")

    def _is_listed(self, claims: dict[str, Any], scope: Scope) -> bool:
        """X5: an account that lists its sites is served there alone."""
        listed = self.board.sites.get(claims["a"])
        return not listed or origin(scope) in listed

    async def _visit_beat(self, body: dict[str, Any], receive: Receive, scope: Scope) -> None:
        await self._sign_of_visit(body, scope)

    async def _visit_bye(self, body: dict[str, Any], receive: Receive, scope: Scope) -> None:
        claims = tickets.read(tickets.VISIT, body.get("ticket"), max_age=None)
        self._count_request(_page(claims))
        if origin(scope) and not self._is_listed(claims, scope):  # some browsers' beacons name none
            raise Refusal(403, "this site is not listed")
        self.neighbours.goodbye((claims["v"], claims["k"]))

    async def _visit_poll(self, body: dict[str, Any], receive: Receive, scope: Scope) -> dict[str, Any]:
        network = client_of_scope(scope).network
        self.caps.opens(network)
        claims = await self._sign_of_visit(body, scope)
        channel = visitor_channel(claims["v"])
        account_id, place = claims["a"], (claims["d"], claims["l"])
        board_channel = self.board.channel(account_id)
        tabs = max(1, self.visits.of_visitor[claims["v"]])
        hold = min(VISIT_POLL, self.visits.lease(account_id) * 0.6) * min(1.0, TABS_AT_FULL_HOLD / tabs)

        def news() -> bool:
            return bool(self.hub.changed([channel], body.get("since"))) or self.board.state(account_id, place) != body.get(
                "service"
            )

        poll = Poll()
        with self.caps.holding((NETWORK, network), (VISITOR, claims["v"])):
            self.newest_polls.take(_page(claims), poll)
            self.visits.hold(_page(claims))
            try:
                await self._hold(news, [channel, board_channel], hold, receive, poll)
            finally:
                self.visits.release(_page(claims))
                self.newest_polls.leave(_page(claims), poll)
        if poll.is_replaced:
            raise Refusal(409, "a newer poll of this page took its place")
        return {
            "since": self.hub.position(body.get("since")),
            "service": self.board.state(account_id, place),
            "changed": bool(self.hub.changed([channel], body.get("since"))),
        }

    def _sign_of_workspace(self, claims: dict[str, Any]) -> None:
        """A sign of life of a workspace whose session was found valid: of such ones the latest is the one that still may be."""
        operator_id, session = claims["o"], tickets.session(claims)
        self.workspaces[operator_id] = max(session, self.workspaces.get(operator_id, session))

    async def _workspace_poll(self, body: dict[str, Any], receive: Receive, scope: Scope) -> dict[str, Any]:
        network = client_of_scope(scope).network
        self.caps.opens(network)
        claims = tickets.read(tickets.WORKSPACE, body.get("ticket"))
        await self.sessions.check(claims)
        self._sign_of_workspace(claims)
        channels = self._workspace_channels(claims)
        panel, own = channels[:2]
        dialog = channels[2] if len(channels) > 2 else None
        since = body.get("since")
        asked_at = self.hub.position()
        hold = min(WORKSPACE_POLL, max(1.0, claims["lease"] / 3))
        with self.caps.holding((NETWORK, network), (OPERATOR, claims["o"])):
            await self._hold(lambda: bool(self.hub.changed(channels, since)), channels, hold, receive)
        if own in self.hub.changed([own], asked_at):
            await self.sessions.check(claims)
        changed = self.hub.changed(channels, since)
        return {"since": self.hub.position(since), "panel": panel in changed, "dialog": dialog in changed}

    # ----- streams -----

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        opened = {"/live/visit/stream": self._visit_stream, "/live/workspace/stream": self._workspace_stream}.get(scope["path"])
        await receive()  # websocket.connect
        try:
            if opened is None:
                raise Refusal(404, "no such address")
            check_host(scope)
            if scope["path"].startswith(WORKSPACE_PATHS):
                check_own_origin(scope)
        except Refusal as refusal:
            _log_refusal(refusal, scope)
            await send({"type": "websocket.close"})
            return
        await send({"type": "websocket.accept"})
        stream: Stream | None = None
        held: list[Owner] = []
        page: Key | None = None
        try:
            network = client_of_scope(scope).network
            self.caps.opens(network)
            self._take_place(held, (NETWORK, network))
            if len(self.streams) >= streams.MOST_STREAMS:
                raise Closed(streams.TRY_LATER, "this process is full")
            stream, heard = await opened(await streams.hello(receive), send, scope)
            claims = stream.claims
            self._take_place(held, (VISITOR, claims["v"]) if "v" in claims else (OPERATOR, claims["o"]))
            self._take_over(stream)
            self.streams.add(stream)
            if "v" in claims:
                page = _page(claims)
                self.visits.hold(page)
            stream.news()
            clock = asyncio.get_running_loop().time
            while True:
                text = await streams.frame(receive)
                stream.count_frame(clock())
                if (answering := heard(stream, text)) is not None:
                    await answering
        except tickets.BadTicket as bad:
            _log_ticket(bad, scope)
            await send({"type": "websocket.close", "code": streams.TICKET, "reason": f"ticket: {bad}"})
        except NotKnown:
            await send({"type": "websocket.close", "code": streams.TRY_LATER, "reason": "the database does not answer"})
        except Refusal as refusal:
            _log_refusal(refusal, scope)
            code = streams.TRY_LATER if refusal.status in COME_AGAIN_STATUSES else streams.REFUSED
            await send({"type": "websocket.close", "code": code, "reason": refusal.reason})
        except Closed as closed:
            if closed.code:
                await send({"type": "websocket.close", "code": closed.code, "reason": closed.reason})
        except asyncio.CancelledError:  # by `Stream.end` or `close`, or by a server that ends and has told the client
            if stream is not None and stream.farewell:
                await send({"type": "websocket.close", "code": stream.farewell.code, "reason": stream.farewell.reason})
        finally:
            for owner in held:
                self.caps.give(owner)
            if page is not None:
                self.visits.release(page)
            if stream is not None:
                self.streams.remove(stream)
                if "v" in stream.claims:
                    self.newest_streams.leave(_page(stream.claims), stream)

    def _take_place(self, held: list[Owner], owner: Owner) -> None:
        self.caps.take(owner)
        held.append(owner)

    def _take_over(self, stream: Stream) -> None:
        """A page has one stream: the newer one takes the place of one that its browser, or the network, has lost."""
        if "v" in stream.claims:
            self.newest_streams.take(_page(stream.claims), stream)

    async def _visit_stream(self, body: dict[str, Any], send: Send, scope: Scope) -> Opened:
        claims = await self._sign_of_visit(body, scope)
        self.caps.opens_stream(_page(claims))
        arrival = _arrival(claims, body)
        account_id, place = claims["a"], (claims["d"], claims["l"])
        channel = visitor_channel(claims["v"])
        stream = Stream(self.hub, send, claims, (channel, self.board.channel(account_id)), body.get("since"))
        shown = body.get("service")

        def compose(stream: Stream) -> dict[str, Any] | None:
            nonlocal shown
            if not self._is_listed(claims, scope):
                stream.close(streams.REFUSED, "this site is not listed any more")
                return None
            changed = channel in stream.changed()
            service = self.board.state(account_id, place)
            if not changed and service == shown:
                return None
            shown, stream.known = service, self.hub.position(stream.known)
            return {"since": stream.known, "service": service, "changed": changed}

        stream.compose = compose
        return stream, partial(self._pong, arrival)

    def _pong(self, arrival: actions.Arrival, stream: Stream, text: str) -> None:
        if text != streams.PONG:
            raise Closed(streams.NOT_UNDERSTOOD, "only pong is understood here")
        self.visits.sign(arrival)
        stream.keep_ticket_fresh()

    async def _workspace_stream(self, body: dict[str, Any], send: Send, scope: Scope) -> Opened:
        claims = tickets.read(tickets.WORKSPACE, body.get("ticket"))
        await self.sessions.check(claims)
        self._sign_of_workspace(claims)
        stream = Stream(self.hub, send, claims, self._workspace_channels(claims), body.get("since"))
        stream.compose = self._workspace_news
        return stream, self._workspace_frame

    @staticmethod
    def _workspace_channels(claims: dict[str, Any]) -> list[str]:
        channels = [workspace_channel(claims["a"]), operator_channel(claims["o"])]
        return [*channels, dialog_channel(claims["d"])] if claims.get("d") else channels

    def _workspace_news(self, stream: Stream) -> dict[str, Any] | None:
        changed, claims = stream.changed(), stream.claims
        if not changed:
            return None
        stream.known = self.hub.position(stream.known)
        news: dict[str, Any] = {"since": stream.known, "panel": workspace_channel(claims["a"]) in changed}
        news["dialog"] = bool(claims.get("d")) and dialog_channel(claims["d"]) in changed
        return news

    def _workspace_frame(self, stream: Stream, text: str) -> Awaitable[None] | None:
        """A pong, or a fresh ticket: for another open dialog, or because the old one is void."""
        if text != streams.PONG:
            return self._turn(stream, streams.as_object(text).get("ticket"))
        self._sign_of_workspace(stream.claims)
        return None

    async def _turn(self, stream: Stream, ticket: object) -> None:
        claims = tickets.read(tickets.WORKSPACE, ticket)
        if (claims["o"], claims["a"]) != (stream.claims["o"], stream.claims["a"]):
            raise tickets.BadTicket("for somebody else", claims)
        await self.sessions.check(claims)
        self.hub.leave(stream.channels, stream)
        stream.claims, stream.channels = claims, tuple(self._workspace_channels(claims))
        self.hub.listen(stream.channels, stream)
        stream.news()
        self._sign_of_workspace(claims)

    async def _hold(
        self, news: Callable[[], bool], channels: list[str], seconds: float, receive: Receive, poll: Poll | None = None
    ) -> None:
        """Return when `news` is true, after `seconds`, when the client has gone or polls anew, or when the server ends.

        A server that ends cancels what it still serves. Then the poll is answered as if its time were over, so that its page
        asks another process at once.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        gone = asyncio.ensure_future(disconnected(receive))
        over = {gone} if poll is None else {gone, asyncio.ensure_future(poll.replaced())}
        self.polls += 1
        try:
            while not news() and not any(end.done() for end in over) and (left := until - loop.time()) > 0:
                waiting = asyncio.ensure_future(self.hub.wait(channels, left))
                try:
                    await asyncio.wait({waiting, *over}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    waiting.cancel()
        except asyncio.CancelledError:
            pass
        finally:
            self.polls -= 1
            for end in over:
                end.cancel()


def _arrival(claims: dict[str, Any], body: dict[str, Any]) -> actions.Arrival:
    page = body.get("page") if isinstance(body.get("page"), dict) else {}
    return actions.Arrival(
        visitor_id=claims["v"],
        account_id=claims["a"],
        key=claims["k"],
        page_url=_text(page.get("url"), LONGEST_URL),
        page_title=_text(page.get("title"), LONGEST_TITLE),
        token_digest=claims.get("n", ""),
    )


def _ids(channels: Iterable[str], kind: str) -> list[int]:
    """The ids in the names of those channels that are of this kind."""
    names = (channel.partition(":") for channel in channels)
    return [found for its_kind, _, name in names if its_kind == kind and (found := whole_number(name))]


def _page(claims: dict[str, Any]) -> Key:
    return claims["v"], claims["k"]


def _log_refusal(refusal: Refusal, scope: Scope) -> None:
    """What a wrong client, not a wrong moment, is refused for: foreign pages and hosts, and caps."""
    network = client_of_scope(scope).network
    if isinstance(refusal, CapReached) or refusal.status in {408, 413}:
        record(Event.LIMIT, Outcome.LIMITED, network=network, reason=refusal.reason)
    elif refusal.status in {403, 421}:
        record(Event.DENIAL, Outcome.REFUSED, network=network, reason=refusal.reason)


def _log_ticket(bad: tickets.BadTicket, scope: Scope) -> None:
    """A ticket was refused. That one has expired is everyday."""
    if not isinstance(bad, tickets.Expired):
        whose = {"operator_id": bad.claims.get("o"), "account_id": bad.claims.get("a")}
        record(Event.TICKET, Outcome.REFUSED, network=client_of_scope(scope).network, reason=str(bad), **whose)


def _text(value: object, longest: int) -> str:
    """What a page says about itself, as a database can keep it: no NUL, and no half of a surrogate pair."""
    return value.encode("utf-8", "ignore").decode().replace("\x00", "")[:longest] if isinstance(value, str) else ""
