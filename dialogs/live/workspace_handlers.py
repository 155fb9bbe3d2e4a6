"""`/live/workspace/{stream,poll}`: what tabs of the workspace send, and what they are told (A2, X5)."""

from collections.abc import Awaitable
from typing import Any

from dialogs.actions.record import dialog_channel
from dialogs.live import streams, tickets
from dialogs.live.caps import NETWORK, OPERATOR, Owner
from dialogs.live.requests import Receive, Scope, Send
from dialogs.live.state import LiveState
from dialogs.live.streams import OpenedStream, Stream
from operators.channels import operator_channel, workspace_channel
from webim_offline.foundation.http.client_address import client_of_scope

MOST_ON_THE_WAY = 3.0  # seconds that what a tab says may take to get here
LONGEST_POLL = 15.0  # seconds that a poll is held at most


class WorkspaceHandlers:
    """Answers the tabs of operators."""

    def __init__(self, state: LiveState) -> None:
        self.state = state

    def sign_of_life(self, claims: dict[str, Any]) -> None:
        """Note a sign of life of a workspace whose session was found valid.

        Of several sessions of one operator the latest counts: it is the one that may still be valid when the sign is written.
        """
        operator_id, session = claims["o"], tickets.session(claims)
        self.state.workspaces_heard[operator_id] = max(session, self.state.workspaces_heard.get(operator_id, session))

    async def poll(self, body: dict[str, Any], receive: Receive, scope: Scope) -> dict[str, Any]:
        """Hold the tab's poll until its panel or its open dialog changes."""
        network = client_of_scope(scope).network
        self.state.caps.opens(network)
        since = self._known(body)
        claims = tickets.read(tickets.WORKSPACE, body.get("ticket"))
        await self.state.sessions.check(claims)
        self.sign_of_life(claims)
        channels = _channels(claims)
        panel, own = channels[:2]
        dialog = channels[2] if len(channels) > 2 else None
        hub = self.state.hub
        asked_at = hub.position()
        hold = min(LONGEST_POLL, max(1.0, claims["lease"] / 3))
        with self.state.caps.holding((NETWORK, network), (OPERATOR, claims["o"])):
            await self.state.polls.hold(lambda: bool(hub.changed(channels, since)), channels, hold, receive)
        if own in hub.changed([own], asked_at):
            await self.state.sessions.check(claims)
        changed = hub.changed(channels, since)
        return {"since": hub.position(since), "panel": panel in changed, "dialog": dialog in changed}

    # ----- streams (`streams.StreamHandlers`) -----

    async def open_stream(self, body: dict[str, Any], send: Send, scope: Scope) -> OpenedStream:
        """A stream that tells the tab what its polls would tell it."""
        since = self._known(body)
        claims = tickets.read(tickets.WORKSPACE, body.get("ticket"))
        await self.state.sessions.check(claims)
        self.sign_of_life(claims)
        stream = Stream(self.state.hub, send, claims, _channels(claims), since)
        stream.compose = self._first_news
        return stream, self._frame

    def _known(self, body: dict[str, Any]) -> object:
        """The position up to which the tab knows everything.

        A tab that has not been told a position says how many seconds ago the reading of its page began (`age`), as of when it said
        so. This must be asked before anything is waited for.
        """
        return body.get("since") or self.state.hub.position_of(body.get("age"), on_the_way=MOST_ON_THE_WAY)

    def _first_news(self, stream: Stream) -> dict[str, Any]:
        """The first frame of a stream: it says from where on its tab is told, also when nothing has changed."""
        stream.compose = self._news
        news = self._news(stream)
        if news is None:
            stream.known = self.state.hub.position(stream.known)
            news = {"since": stream.known, "panel": False, "dialog": False}
        return news

    def _news(self, stream: Stream) -> dict[str, Any] | None:
        changed, claims = stream.changed(), stream.claims
        if not changed:
            return None
        stream.known = self.state.hub.position(stream.known)
        news: dict[str, Any] = {"since": stream.known, "panel": workspace_channel(claims["a"]) in changed}
        news["dialog"] = bool(claims.get("d")) and dialog_channel(claims["d"]) in changed
        return news

    def _frame(self, stream: Stream, text: str) -> Awaitable[None] | None:
        """A pong, or a fresh ticket: for another open dialog, or because the old one is void."""
        if text != streams.PONG:
            return self._change_ticket(stream, streams.as_object(text).get("ticket"))
        self.sign_of_life(stream.claims)
        return None

    async def _change_ticket(self, stream: Stream, ticket: object) -> None:
        claims = tickets.read(tickets.WORKSPACE, ticket)
        if (claims["o"], claims["a"]) != (stream.claims["o"], stream.claims["a"]):
            raise tickets.BadTicket("for somebody else", claims)
        await self.state.sessions.check(claims)
        self.state.hub.leave(stream.channels, stream)
        stream.claims, stream.channels = claims, tuple(_channels(claims))
        self.state.hub.listen(stream.channels, stream)
        stream.news()
        self.sign_of_life(claims)

    def stream_owner(self, stream: Stream) -> Owner:
        """Whose the stream is, for the caps."""
        return OPERATOR, stream.claims["o"]

    def stream_began(self, stream: Stream) -> None:
        """Nothing: an operator may have any number of tabs within the caps."""

    def stream_ended(self, stream: Stream) -> None:
        """Nothing began."""


def _channels(claims: dict[str, Any]) -> list[str]:
    channels = [workspace_channel(claims["a"]), operator_channel(claims["o"])]
    return [*channels, dialog_channel(claims["d"])] if claims.get("d") else channels
