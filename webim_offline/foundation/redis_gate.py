"""Access to Redis for requests, which must not wait for it.

Redis has 0.3 seconds to answer (0.1 to connect and 0.2 for the command). When it does not answer, or answers with an error, it is
called away. From then on every question raises Away at once, while one thread tries once a second whether Redis is back. The
beginning and the end of an outage are logged, once each in every process.
"""

import logging
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

logger = logging.getLogger(__name__)

CONNECT_WITHIN = 0.1  # seconds; waiting longer is no use, because TCP repeats a lost packet only after a whole second
ANSWER_WITHIN = 0.2  # seconds
ASK_AGAIN = 1.0  # seconds between two tries while Redis is away

Answer = TypeVar("Answer")
# The options of every client of Redis that a request waits for. It never retries, because each try would take as long again.
QUICK: dict[str, Any] = {
    "socket_connect_timeout": CONNECT_WITHIN,
    "socket_timeout": ANSWER_WITHIN,
    "retry": Retry(NoBackoff(), 0),
}


class Away(Exception):
    """Raised when Redis did not answer, or is known to be away and was not asked."""


class Gate:
    """The access to one Redis, which all threads of a process share. `is_away` says whether it is away."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client = redis.Redis.from_url(url, **QUICK)
        self._lock = threading.Lock()
        self.is_away = False

    def ask(self, question: Callable[[redis.Redis], Answer]) -> Answer:
        """Call `question` with the client of Redis, and return what it returns.

        Raises Away if Redis is away, or fails now.
        """
        if self.is_away:
            raise Away
        try:
            return question(self.client)
        except (redis.RedisError, OSError) as error:
            self._note(error)
            raise Away from error

    def _note(self, error: Exception) -> None:
        """Call Redis away because of `error`, and start the thread that watches for its return."""
        with self._lock:
            if self.is_away:
                return
            self.is_away = True
        logger.warning("Redis is away, limits are counted in each process and hints wait until it is back: %s", error)
        threading.Thread(target=self._watch, name="redis-gate", daemon=True).start()

    def _watch(self) -> None:
        pause = threading.Event()
        while self.is_away:
            pause.wait(ASK_AGAIN)
            try:
                # A Redis that is full, only a replica or without scripts would answer a ping, but be of no use.
                self.client.set("gate", 1, ex=60)
                self.client.eval("return 1", 0)
            except (redis.RedisError, OSError):
                continue
            logger.warning("Redis is back")
            self.is_away = False


_gates: dict[str, Gate] = {}
_lock = threading.Lock()


def gate(url: str) -> Gate:
    """Return the gate of this process to the Redis at `url`. There is one for each URL."""
    with _lock:
        if url not in _gates:
            _gates[url] = Gate(url)
        return _gates[url]


def ask(question: Callable[[redis.Redis], Answer]) -> Answer:
    """Ask the Redis of this installation (see `Gate.ask`).

    Raises Away, also if the installation has no Redis.
    """
    if not settings.REDIS_URL:
        raise Away
    return gate(settings.REDIS_URL).ask(question)
