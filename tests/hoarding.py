"""A crowd of streams from one address, as somebody opens them who wants to take all the room there is."""

import asyncio
import contextlib
import json
import ssl
from collections import Counter
from dataclasses import dataclass, field

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

AT_ONCE = 20
AS_TEXT = {"Content-Type": "text/plain"}
SETTLED = 2.0  # seconds after the last one


@dataclass
class Hoard:
    """What became of them: how many were ever told something, how many are open in the end, and why the others were closed."""

    told: int = 0
    open: int = 0
    closed: Counter[int] = field(default_factory=Counter)  # by close code


def fresh_tickets(url: str, count: int, account: str = "demo", *, tls: ssl.SSLContext | None = None) -> list[str]:
    """Tickets of so many pages, each of a new visitor."""
    body = {"account": account, "token": "", "department": "", "language": "en"}
    with httpx.Client(base_url=url, verify=tls or True, trust_env=False, timeout=20) as client:
        answers = [
            client.post("/widget/api/session", content=json.dumps(body | {"visit": f"hoarded-page-{number}"}), headers=AS_TEXT)
            for number in range(count)
        ]
    return [answer.json()["ticket"] for answer in answers]


def hoard(url: str, tickets: list[str], *, tls: ssl.SSLContext | None = None, address: str = "127.0.0.1") -> Hoard:
    """Open a visitor's stream with each of `tickets`, and hold what is not taken away."""
    return asyncio.run(_hoard(f"{url.replace('http', 'ws', 1)}/live/visit/stream", tickets, tls, address))


async def _hoard(url: str, tickets: list[str], tls: ssl.SSLContext | None, address: str) -> Hoard:
    found, gate = Hoard(), asyncio.Semaphore(AT_ONCE)
    connections: list[ClientConnection] = []

    async def open_one(ticket: str) -> None:
        async with gate:
            options = {"ssl": tls} if tls else {}
            with contextlib.suppress(WebSocketException, OSError):
                stream = await connect(url, proxy=None, open_timeout=10, local_addr=(address, 0), **options)
                connections.append(stream)
                with contextlib.suppress(ConnectionClosed):
                    await stream.send(json.dumps({"ticket": ticket, "since": "", "service": "offline"}))
                    await stream.recv()
                    found.told += 1

    await asyncio.gather(*map(open_one, tickets))
    await asyncio.sleep(SETTLED)
    for stream in connections:
        if stream.close_code is None:
            found.open += 1
        else:
            found.closed[stream.close_code] += 1
    await asyncio.gather(*(stream.close() for stream in connections))
    return found
