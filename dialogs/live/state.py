"""What the handlers and the background work of one live process share."""

import uuid
from collections.abc import Callable
from datetime import datetime

from dialogs.live.caps import Caps
from dialogs.live.database_thread import DatabaseThread
from dialogs.live.goodbye_relay import GoodbyeRelay
from dialogs.live.hub import Hub
from dialogs.live.polls import Polls
from dialogs.live.presence import Visits
from dialogs.live.service_states import ServiceStates
from dialogs.live.sessions import Sessions
from dialogs.live.streams import Streams
from webim_offline.foundation.steady_clock import steady_now


class LiveState:
    """The memory of one live process. Everything in it belongs to the event loop's thread.

    `clock` tells steady seconds; `database` runs queries. Tests give their own.
    """

    def __init__(self, *, clock: Callable[[], float] = steady_now, database: DatabaseThread | None = None) -> None:
        self.process_id = uuid.uuid4()  # the primary key of this process's row `dialogs.LiveProcess`
        self.clock = clock
        self.database = database or DatabaseThread()
        self.hub = Hub(clock)
        self.visits = Visits(clock)
        self.goodbye_relay = GoodbyeRelay(self.visits)
        self.service_states = ServiceStates(self.hub)
        self.streams = Streams(self.visits.lease)
        self.polls = Polls(self.hub)
        self.caps = Caps()
        self.sessions = Sessions(self.hub, self.database)
        # operator id -> session (`tickets_valid_from`) of the signs of life heard from workspaces since the last write
        self.workspaces_heard: dict[int, datetime] = {}
