"""Hints: messages that say "look again at these channels", and nothing else (decision 0006).

An action publishes a hint in its transaction, and the hint is sent after the commit. A channel is a name, such as that of a
dialog or of an account; a hint carries no data, so it cannot be wrong or reach somebody who may not read the data.

With REDIS_URL hints are sent by Redis pub/sub. Without it they are datagrams on the loopback interface to the one live process,
which writes the number of its port into a file in VAR_DIR.

A hint may get lost. That does no harm, because every listener also looks again by itself from time to time. No request waits for a
Redis that is away (see `redis_gate`): the channels are kept, and sent with the first hint that gets through.
"""

import asyncio
import json
import logging
import socket
import threading
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path

import redis
import redis.asyncio
from django.conf import settings
from django.db import transaction

from webim_offline.foundation import redis_gate

logger = logging.getLogger(__name__)
LARGEST = 32_000  # bytes of one hint; if its channels need more, it is sent as several
MOST_WAITING = 1_000  # channels that are kept while Redis is away

Listener = Callable[[list[str]], None]


@lru_cache(maxsize=8)
def topic(redis_url: str) -> str:
    """Return the name under which hints are sent by Redis.

    What is published in one database of a Redis is heard in all of them. So each has a name of its own: another one may belong to
    another installation.
    """
    number = redis.connection.parse_url(redis_url).get("db", 0)  # type: ignore[no-untyped-call]
    return f"webim_offline.hints.{number}" if number else "webim_offline.hints"


def publish(*channels: str) -> None:
    """Send a hint for these channels once the current transaction has been committed, or at once if there is none."""
    if channels:
        transaction.on_commit(partial(_tell_surely, set(channels)), robust=True)


_waiting: set[str] = set()  # channels whose hint did not get through to Redis yet
_lock = threading.Lock()


def _tell_surely(channels: set[str]) -> None:
    """Send a hint for these channels and those that wait for Redis. If Redis is away, all of them wait."""
    with _lock:
        channels |= _waiting
        _waiting.clear()
    if not tell(sorted(channels)) and settings.REDIS_URL:
        with _lock:
            _waiting.update(sorted(channels)[:MOST_WAITING])


def tell(channels: list[str]) -> bool:
    """Send a hint now, without waiting for a commit, and return whether it was sent. This takes 0.3 seconds at most.

    It is for what belongs to no transaction. A hint that could not be sent is not kept.
    """
    body = json.dumps(channels).encode()
    if len(body) > LARGEST and len(channels) > 1:
        half = len(channels) // 2
        return tell(channels[:half]) & tell(channels[half:])
    if settings.REDIS_URL:
        return _send_by_redis(body)
    try:
        _send_datagram(body)
    except (OSError, ValueError) as error:
        logger.warning("a hint was lost, slow polls will heal it: %s", error)
        return False
    return True


def _send_by_redis(body: bytes) -> bool:
    try:
        redis_gate.ask(lambda redis: redis.publish(topic(settings.REDIS_URL), body))
    except redis_gate.Away:
        return False  # the gate has logged it
    return True


def _port_file() -> Path:
    return Path(settings.VAR_DIR) / "hints.port"


def _send_datagram(body: bytes) -> None:
    try:
        port = int(_port_file().read_text())
    except FileNotFoundError:
        return  # no live process has started yet: nobody listens
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        sender.sendto(body, ("127.0.0.1", port))


async def listen(heard: Listener, began: Callable[[], object]) -> None:
    """Call `heard` with the list of channels of every hint, until cancelled.

    `began` is called when hints are heard from then on: at first, and again after each gap in which some may have been lost.

    Raises an exception of Redis or of the operating system when the connection is lost; the caller then listens again.
    """
    if settings.REDIS_URL:
        await _listen_redis(heard, began)
    else:
        await _listen_datagrams(heard, began)


async def _listen_redis(heard: Listener, began: Callable[[], object]) -> None:
    client = redis.asyncio.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=2)
    async with client, client.pubsub() as pubsub:
        await pubsub.subscribe(topic(settings.REDIS_URL))
        async for message in pubsub.listen():
            if message["type"] == "message":
                _deliver(message["data"], heard)
            elif message["type"] == "subscribe":
                began()


async def _listen_datagrams(heard: Listener, began: Callable[[], object]) -> None:
    class Receiver(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: object) -> None:
            _deliver(data, heard)

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Receiver, local_addr=("127.0.0.1", 0))
    try:
        _port_file().parent.mkdir(parents=True, exist_ok=True)
        _port_file().write_text(str(transport.get_extra_info("sockname")[1]))
        began()
        await asyncio.Event().wait()
    finally:
        transport.close()


def _deliver(body: bytes, heard: Listener) -> None:
    """Pass the channels of a hint on. What is not a hint is ignored: any process of the machine can send datagrams."""
    try:
        channels = json.loads(body)
    except ValueError:
        return
    if isinstance(channels, list) and all(isinstance(channel, str) for channel in channels):
        heard(channels)
