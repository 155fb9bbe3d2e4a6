"""Thousands of WebSocket clients in a process of their own: they answer pings and note when news come.

    python -m tests.benchmarks.sockets PATH

Each line on stdin is a JSON list; each answer a line of JSON:
    ["open", port, [hello frames]]
                                  opens one stream a frame: {"seconds": until all had their first news, "failed": count}
    ["listen"]                    forgets what came so far: {}
    ["heard", moment, seconds]    waits until all have news: {"after": [seconds since the monotonic moment, sorted]}
    ["again", keeps, port, [bodies], seconds]
                                  waits until all are cut off, and lets each come back as the widget does: with the ticket
                                  its stream gave it last, or, unless it `keeps` those, with the one it opened with first;
                                  for one that is refused it asks the web server at `port`, with its body:
                                  {"cut_at": first cut, "back_at": [moments, sorted], "asked": count}
"""

import asyncio
import base64
import json
import random
import sys
from time import monotonic

import uvloop

AT_ONCE = 64
RESTART_SPREAD = 10.0  # of the widget, like the pauses below
TICKET_REFUSED = 4401
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


def frame(opcode: int, payload: bytes) -> bytes:
    """A client's frame; its mask is four zeros, which leave the payload as it is."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else bytes([0x80 | 126]) + size.to_bytes(2, "big")
    return bytes([0x80 | opcode]) + length + bytes(4) + payload


class Client(asyncio.Protocol):
    """One stream."""

    def __init__(self, head: bytes, hello: dict) -> None:
        self.head, self.hello = head, hello
        self.given = ""  # the ticket the stream gave last
        self.buffer = b""
        self.code = 0
        self.is_open = False
        self.heard_at = self.cut_at = 0.0
        self.first = asyncio.get_running_loop().create_future()

    def connection_made(self, transport) -> None:
        self.transport = transport
        transport.write(self.head)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if not self.is_open:
            head, found, rest = self.buffer.partition(b"\r\n\r\n")
            if not found:
                return
            if b" 101 " not in head:
                self.transport.close()
                return
            self.is_open, self.buffer = True, rest
            self.transport.write(frame(TEXT, json.dumps(self.hello).encode()))
        while len(self.buffer) >= 2:
            size, start = self.buffer[1], 2
            if size == 126:
                size, start = int.from_bytes(self.buffer[2:4], "big"), 4
            if len(self.buffer) < start + size:
                return
            opcode, payload = self.buffer[0] & 15, self.buffer[start : start + size]
            self.buffer = self.buffer[start + size :]
            self.take(opcode, payload)

    def take(self, opcode: int, payload: bytes) -> None:
        if opcode == PING:
            self.transport.write(frame(PONG, payload))
        elif opcode == CLOSE:
            self.code = int.from_bytes(payload[:2], "big")
            self.transport.close()
        elif payload == b"ping":
            self.transport.write(frame(TEXT, b"pong"))
        elif payload.startswith(b'{"ticket"'):
            self.given = json.loads(payload)["ticket"]
        elif opcode == TEXT:
            self.heard_at = monotonic()
            if not self.first.done():
                self.first.set_result(True)

    def connection_lost(self, error) -> None:
        self.cut_at = monotonic()
        if not self.first.done():
            self.first.set_result(False)


class Crowd:
    """All clients."""

    def __init__(self, path: str) -> None:
        key = base64.b64encode(bytes(16)).decode()
        lines = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1", "Origin: http://127.0.0.1", "Upgrade: websocket", "Connection: Upgrade"]
        self.head = "\r\n".join([*lines, f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", "", ""]).encode()
        self.clients: list[Client] = []
        self.gate = asyncio.Semaphore(AT_ONCE)

    async def connect(self, hello: dict) -> Client | None:
        """A stream that has had its first news, or one that was closed before; None when nobody answers."""
        loop = asyncio.get_running_loop()
        try:
            _, client = await loop.create_connection(lambda: Client(self.head, hello), "127.0.0.1", self.port)
        except OSError:
            return None
        await client.first
        return client

    async def open(self, port: int, hellos: list[dict]) -> dict:
        self.port, self.hellos = port, hellos

        async def one(hello: dict) -> Client | None:
            async with self.gate:
                return await self.connect(hello)

        began = monotonic()
        found = await asyncio.gather(*map(one, hellos))
        self.clients = [client for client in found if client and client.heard_at]
        return {"seconds": monotonic() - began, "failed": len(hellos) - len(self.clients)}

    async def listen(self) -> dict:
        for client in self.clients:
            client.heard_at = 0.0
        return {}

    async def heard(self, moment: float, seconds: float) -> dict:
        until = monotonic() + seconds
        while monotonic() < until and not all(client.heard_at for client in self.clients):
            await asyncio.sleep(0.02)
        return {"after": sorted(client.heard_at - moment for client in self.clients if client.heard_at)}

    async def again(self, keeps: bool, port: int, bodies: list[dict], seconds: float) -> dict:
        until = monotonic() + seconds
        while monotonic() < until and not all(client.cut_at for client in self.clients):
            await asyncio.sleep(0.02)
        cut, self.asked = self.clients, 0

        async def one(before: Client, hello: dict, body: dict) -> Client | None:
            if keeps:
                hello = hello | {"ticket": before.given}
            failures, wait = 0, random.random() * RESTART_SPREAD
            while monotonic() < until:
                await asyncio.sleep(wait)
                client = await self.connect(hello)
                if client and client.heard_at:
                    return client
                failures += 1
                wait = min(30.0, 0.5 * 2 ** min(failures, 6)) * (0.5 + random.random())
                if client and client.code == TICKET_REFUSED and (ticket := await self.ask(port, body)):
                    hello, wait = hello | {"ticket": ticket}, 0.0
            return None

        back = await asyncio.gather(*map(one, cut, self.hellos, bodies))
        self.clients = [client for client in back if client]
        back_at = sorted(client.heard_at for client in self.clients)
        return {"cut_at": min(client.cut_at for client in cut), "back_at": back_at, "asked": self.asked}

    async def ask(self, port: int, body: dict) -> str:
        """A fresh ticket from the web server; "" when it gives none. Each client has an address of its own there."""
        self.asked += 1
        content = json.dumps(body).encode()
        address = f"10.{random.randrange(256)}.{random.randrange(256)}.{random.randrange(256)}"
        lines = ["POST /widget/api/ticket HTTP/1.1", f"Host: 127.0.0.1:{port}", f"X-Forwarded-For: {address}", "Connection: close"]
        head = "\r\n".join([*lines, "Content-Type: text/plain", f"Content-Length: {len(content)}", "", ""]).encode()
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(head + content)
            answer = await reader.read()
            writer.close()
        except OSError:
            return ""
        status, _, rest = answer.partition(b"\r\n")
        return json.loads(rest.partition(b"\r\n\r\n")[2])["ticket"] if b" 200" in status else ""


async def main(path: str) -> None:
    crowd = Crowd(path)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        what, *arguments = json.loads(line)
        print(json.dumps(await getattr(crowd, what)(*arguments)), flush=True)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
