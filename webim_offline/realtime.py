"""Hints: «look again at this channel», published once the transaction is real. A hint carries no data.

With REDIS_URL a hint travels by Redis pub/sub. Embedded, it is one datagram on the loopback interface to the live
process, which keeps its port in `var/`. A hint may get lost: every listener also re-reads slowly by itself. No request waits
for a Redis that is away (`redis_gate`): what was published meanwhile goes with the first hint that gets through.
"""

import asyncio
import json
import logging
import socket
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import redis
import redis.asyncio
from django.conf import settings
from django.db import transaction

from webim_offline import redis_gate

logger = logging.getLogger(__name__)
TOPIC = "webim_offline.hints"
LARGEST = 32_000  # bytes in one datagram; more channels than fit are told in several
MOST_WAITING = 1_000  # channels that wait for Redis to be back

Listener = Callable[[list[str]], None]


def publish(*channels: str) -> None:
    """Tell whoever listens on `channels` to look again, after this transaction has committed."""
    if channels:
        transaction.on_commit(partial(_tell_surely, set(channels)), robust=True)


_waiting: set[str] = set()
_lock = threading.Lock()


def _tell_surely(channels: set[str]) -> None:
    with _lock:
        channels |= _waiting
        _waiting.clear()
    if not tell(sorted(channels)) and settings.REDIS_URL:
        with _lock:
            _waiting.update(sorted(channels)[:MOST_WAITING])


def tell(channels: list[str]) -> bool:
    """Tell listeners now or never: for what belongs to no transaction. Was it told? Takes 0.3 s at most."""
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
        redis_gate.ask(lambda redis: redis.publish(TOPIC, body))
    except redis_gate.Away:
        return False  # which the gate has said
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


async def listen(heard: Listener) -> None:
    """Call `heard` with the channels of every hint, until cancelled. Raises when the transport is lost."""
    if settings.REDIS_URL:
        await _listen_redis(heard)
    else:
        await _listen_datagrams(heard)


async def _listen_redis(heard: Listener) -> None:
    client = redis.asyncio.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=2)
    async with client, client.pubsub() as pubsub:
        await pubsub.subscribe(TOPIC)
        async for message in pubsub.listen():
            if message["type"] == "message":
                _deliver(message["data"], heard)


async def _listen_datagrams(heard: Listener) -> None:
    class Receiver(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: object) -> None:
            _deliver(data, heard)

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Receiver, local_addr=("127.0.0.1", 0))
    try:
        _port_file().parent.mkdir(parents=True, exist_ok=True)
        _port_file().write_text(str(transport.get_extra_info("sockname")[1]))
        await asyncio.Event().wait()
    finally:
        transport.close()


def _deliver(body: bytes, heard: Listener) -> None:
    try:
        channels = json.loads(body)
    except ValueError:
        return
    if isinstance(channels, list) and all(isinstance(channel, str) for channel in channels):
        heard(channels)
