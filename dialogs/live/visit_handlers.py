"""`/live/visit/{stream,poll,beat,bye}`: what pages with the widget send, and what they are told (P2, A4, X5)."""

from functools import partial
from typing import Any

from dialogs.actions.presence import Arrival
from dialogs.actions.record import visitor_channel
from dialogs.live import streams, tickets
from dialogs.live.caps import NETWORK, VISITOR, CapReached, Newest, Owner, Window
from dialogs.live.polls import Poll
from dialogs.live.presence import Key
from dialogs.live.requests import Receive, Refusal, Scope, Send, origin
from dialogs.live.state import LiveState
from dialogs.live.streams import Closed, OpenedStream, Stream
from dialogs.models import LONGEST_TITLE, LONGEST_URL
from operators.routes import Route
from webim_offline.foundation.http.client_address import client_of_scope
from webim_offline.foundation.text import fitting_line

LONGEST_POLL = 25.0  # seconds that a poll is held at most
TABS_AT_FULL_HOLD = 3  # more tabs of one visitor share the browser's six connections by shorter polls
MOST_VISITS = 100  # pages of one visitor at once
MOST_REQUESTS = 60  # of one page in REQUESTS_WITHIN seconds
REQUESTS_WITHIN = 10.0
MOST_HELD = 200_000  # visits of one process, about 100 MiB: ten times as many as it holds streams


class VisitHandlers:
    """Answers the pages of visitors."""

    def __init__(self, state: LiveState) -> None:
        self.state = state
        self.requests: Window[Key] = Window(REQUESTS_WITHIN)
        self.newest_streams, self.newest_polls = Newest(), Newest()

    async def sign_of_life(self, body: dict[str, Any], scope: Scope) -> dict[str, Any]:
        """Take `body` as a sign of life of the page that sent it; returns the claims of the page's ticket.

        Raises BadTicket; Refusal for a site that the account does not list, for a page that asks too often, and for one that
        this process has no room for; NotKnown while the database has to be asked and does not answer.
        """
        claims = tickets.read(tickets.VISIT, body.get("ticket"), max_age=None)
        page = _page(claims)
        self._count_request(page)
        if not self.state.service_states.knows(claims["a"]):
            await self.state.service_states.know(claims["a"])
        if not self._is_listed(claims, scope):
            raise Refusal(403, "this site is not listed")
        visits = self.state.visits
        if not visits.renew(page):
            tickets.check_age(claims)
            if visits.of_visitor[claims["v"]] >= MOST_VISITS:
                raise CapReached("too many pages of one visitor")
            if len(visits.alive) >= MOST_HELD:
                raise Refusal(503, "this process is full")
            visits.sign(_arrival(claims, body))
        return claims

    def _count_request(self, page: Key) -> None:
        """Raises CapReached for a page that asks too often (X3)."""
        if self.requests.count(page) > MOST_REQUESTS:
            raise CapReached("too many requests of one page")

    def _is_listed(self, claims: dict[str, Any], scope: Scope) -> bool:
        """X5: the pages of an account that lists its sites are served on these sites only."""
        listed = self.state.service_states.sites.get(claims["a"])
        return not listed or origin(scope) in listed

    async def beat(self, body: dict[str, Any], receive: Receive, scope: Scope) -> None:
        """A sign of life of a page that has neither a stream nor a poll open."""
        await self.sign_of_life(body, scope)

    async def bye(self, body: dict[str, Any], receive: Receive, scope: Scope) -> None:
        """The page's goodbye (P2 a)."""
        claims = tickets.read(tickets.VISIT, body.get("ticket"), max_age=None)
        self._count_request(_page(claims))
        if origin(scope) and not self._is_listed(claims, scope):  # some browsers' beacons name no origin
            raise Refusal(403, "this site is not listed")
        self.state.goodbye_relay.goodbye(_page(claims))

    async def poll(self, body: dict[str, Any], receive: Receive, scope: Scope) -> dict[str, Any]:
        """Hold the page's poll until its dialogs or its service state change."""
        network = client_of_scope(scope).network
        self.state.caps.opens(network)
        claims = await self.sign_of_life(body, scope)
        channel, since = visitor_channel(claims["v"]), body.get("since")
        account_id, route, page = claims["a"], _route(claims), _page(claims)
        states, hub, visits = self.state.service_states, self.state.hub, self.state.visits

        def news() -> bool:
            return bool(hub.changed([channel], since)) or states.state(account_id, route) != body.get("service")

        poll = Poll()
        with self.state.caps.holding((NETWORK, network), (VISITOR, claims["v"])):
            self.newest_polls.take(page, poll)
            visits.hold(page)
            try:
                channels = [channel, states.channel(account_id)]
                await self.state.polls.hold(news, channels, self._longest_hold(claims), receive, poll)
            finally:
                visits.release(page)
                self.newest_polls.leave(page, poll)
        if poll.is_replaced:
            raise Refusal(409, "a newer poll of this page took its place")
        return {
            "since": hub.position(since),
            "service": states.state(account_id, route),
            "changed": bool(hub.changed([channel], since)),
        }

    def _longest_hold(self, claims: dict[str, Any]) -> float:
        """Seconds: each poll is a sign of life, so several of them have to fit into the lease."""
        tabs = max(1, self.state.visits.of_visitor[claims["v"]])
        return min(LONGEST_POLL, self.state.visits.lease(claims["a"]) * 0.6) * min(1.0, TABS_AT_FULL_HOLD / tabs)

    # ----- streams (`streams.StreamHandlers`) -----

    async def open_stream(self, body: dict[str, Any], send: Send, scope: Scope) -> OpenedStream:
        """A stream that tells the page what its polls would tell it."""
        claims = await self.sign_of_life(body, scope)
        self.state.caps.opens_stream(_page(claims))
        arrival = _arrival(claims, body)
        route, channel = _route(claims), visitor_channel(claims["v"])
        channels = (channel, self.state.service_states.channel(claims["a"]))
        stream = Stream(self.state.hub, send, claims, channels, body.get("since"))
        told = body.get("service")

        def compose(stream: Stream) -> dict[str, Any] | None:
            nonlocal told
            if not self._is_listed(claims, scope):
                stream.close(streams.REFUSED, "this site is not listed any more")
                return None
            changed = channel in stream.changed()
            service = self.state.service_states.state(claims["a"], route)
            if not changed and service == told:
                return None
            told, stream.known = service, self.state.hub.position(stream.known)
            return {"since": stream.known, "service": service, "changed": changed}

        stream.compose = compose
        return stream, partial(self._pong, arrival)

    def _pong(self, arrival: Arrival, stream: Stream, text: str) -> None:
        if text != streams.PONG:
            raise Closed(streams.NOT_UNDERSTOOD, "only pong is understood here")
        self.state.visits.sign(arrival)
        stream.keep_ticket_fresh()

    def stream_owner(self, stream: Stream) -> Owner:
        """Whose the stream is, for the caps."""
        return VISITOR, stream.claims["v"]

    def stream_began(self, stream: Stream) -> None:
        """The page has one stream: this one takes the place of one that the browser, or the network, has lost."""
        page = _page(stream.claims)
        self.newest_streams.take(page, stream)
        self.state.visits.hold(page)

    def stream_ended(self, stream: Stream) -> None:
        """What `stream_began` began is over."""
        page = _page(stream.claims)
        self.state.visits.release(page)
        self.newest_streams.leave(page, stream)


def _page(claims: dict[str, Any]) -> Key:
    return claims["v"], claims["k"]


def _route(claims: dict[str, Any]) -> Route:
    return claims["d"], claims["l"]


def _arrival(claims: dict[str, Any], body: dict[str, Any]) -> Arrival:
    told = body.get("page")
    page = told if isinstance(told, dict) else {}
    return Arrival(
        visitor_id=claims["v"],
        account_id=claims["a"],
        key=claims["k"],
        page_url=_text(page.get("url"), LONGEST_URL),
        page_title=_text(page.get("title"), LONGEST_TITLE),
        token_digest=claims.get("n", ""),
    )


def _text(value: object, longest: int) -> str:
    """What a page says about itself, as it is stored (C1)."""
    return fitting_line(value, longest) if isinstance(value, str) else ""
