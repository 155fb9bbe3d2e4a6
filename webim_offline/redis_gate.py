"""What a request asks Redis: answered within 0.3 s or not at all, and not asked again while Redis is away.

The first question that fails marks Redis as away; from then on nobody waits for it, and one thread asks once a second whether
it is back. The outage is logged when it begins and when it ends, once each in a process.
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

CONNECT_WITHIN = 0.1  # seconds: a packet that is lost would be sent again after a whole one
ANSWER_WITHIN = 0.2  # seconds
ASK_AGAIN = 1.0  # seconds

Answer = TypeVar("Answer")
# for any client of Redis that a request waits for: no second tries, each would take as long again
QUICK: dict[str, Any] = {
    "socket_connect_timeout": CONNECT_WITHIN,
    "socket_timeout": ANSWER_WITHIN,
    "retry": Retry(NoBackoff(), 0),
}


class Away(Exception):
    """Redis did not answer, or is known not to."""


class Gate:
    """The way to one Redis, shared by all threads of a process."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client = redis.Redis.from_url(url, **QUICK)
        self._lock = threading.Lock()
        self.is_away = False

    def ask(self, question: Callable[[redis.Redis], Answer]) -> Answer:
        """The answer to `question`, which gets the client. Raises Away."""
        if self.is_away:
            raise Away
        try:
            return question(self.client)
        except (redis.RedisError, OSError) as error:
            self._note(error)
            raise Away from error

    def _note(self, error: Exception) -> None:
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
                # a Redis that is full, only a replica or without scripts answers a ping and is of no use
                self.client.set("gate", 1, ex=60)
                self.client.eval("return 1", 0)
            except (redis.RedisError, OSError):
                continue
            logger.warning("Redis is back")
            self.is_away = False


_gates: dict[str, Gate] = {}
_lock = threading.Lock()


def gate(url: str) -> Gate:
    """The one way of this process to the Redis of that address."""
    with _lock:
        if url not in _gates:
            _gates[url] = Gate(url)
        return _gates[url]


def ask(question: Callable[[redis.Redis], Answer]) -> Answer:
    """The answer of this installation's Redis to `question`. Raises Away, at once where there is no Redis."""
    if not settings.REDIS_URL:
        raise Away
    return gate(settings.REDIS_URL).ask(question)
