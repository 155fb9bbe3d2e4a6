"""Thousands of WebSocket clients in a process of their own: they answer pings and note when news come.

    python -m tests.benchmarks.sockets PORT PATH

Each line on stdin is a JSON list; each answer a line of JSON:
    ["open", [hello frames]]      opens one stream a frame: {"seconds": until all had their first news, "failed": count}
    ["listen"]                    forgets what came so far: {}
    ["heard", moment, seconds]    waits until all have news: {"after": [seconds since the monotonic moment, sorted]}
    ["again", [hello frames], spread, seconds]
                                  waits until all are cut off, and lets each come back as the widget does, the first
                                  try after at most `spread` seconds: {"cut_at": first cut, "back_at": [moments, sorted]}
"""

import asyncio
import base64
import json
import random
import sys
from time import monotonic

import uvloop

AT_ONCE = 64
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


def frame(opcode: int, payload: bytes) -> bytes:
    """A client's frame; its mask is four zeros, which leave the payload as it is."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else bytes([0x80 | 126]) + size.to_bytes(2, "big")
    return bytes([0x80 | opcode]) + length + bytes(4) + payload


class Client(asyncio.Protocol):
    """One stream."""

    def __init__(self, head: bytes, hello: bytes) -> None:
        self.head, self.hello = head, hello
        self.buffer = b""
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
            self.transport.write(frame(TEXT, self.hello))
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
            self.transport.close()
        elif payload == b"ping":
            self.transport.write(frame(TEXT, b"pong"))
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

    def __init__(self, port: int, path: str) -> None:
        self.port = port
        key = base64.b64encode(bytes(16)).decode()
        lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Upgrade: websocket", "Connection: Upgrade"]
        self.head = "\r\n".join([*lines, f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", "", ""]).encode()
        self.clients: list[Client] = []
        self.gate = asyncio.Semaphore(AT_ONCE)

    async def connect(self, hello: str) -> Client | None:
        loop = asyncio.get_running_loop()
        try:
            _, client = await loop.create_connection(lambda: Client(self.head, hello.encode()), "127.0.0.1", self.port)
        except OSError:
            return None
        return client if await client.first else None

    async def open(self, hellos: list[str]) -> dict:
        async def one(hello: str) -> Client | None:
            async with self.gate:
                return await self.connect(hello)

        began = monotonic()
        found = await asyncio.gather(*map(one, hellos))
        self.clients = [client for client in found if client]
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

    async def again(self, hellos: list[str], spread: float, seconds: float) -> dict:
        until = monotonic() + seconds
        while monotonic() < until and not all(client.cut_at for client in self.clients):
            await asyncio.sleep(0.02)

        async def one(hello: str) -> float:
            pause = spread
            while monotonic() < until:
                await asyncio.sleep(random.uniform(0, pause))
                if client := await self.connect(hello):
                    self.clients.append(client)
                    return client.heard_at
                pause = min(2 * pause, 10)
            return 0.0

        cut_at = min(client.cut_at for client in self.clients)
        self.clients = []
        back = await asyncio.gather(*map(one, hellos))
        return {"cut_at": cut_at, "back_at": sorted(filter(None, back))}


async def main(port: int, path: str) -> None:
    crowd = Crowd(port, path)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        what, *arguments = json.loads(line)
        print(json.dumps(await getattr(crowd, what)(*arguments)), flush=True)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2]))
