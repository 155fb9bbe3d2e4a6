"""A load generator in a process of its own: posts prepared bodies over kept connections, one at a time on each.

    python -m tests.benchmarks.posts PORT PATH CONNECTIONS

Reads bodies from stdin, one a line, then at each line with a number posts for so many seconds and prints how many
answers came, and how many of them were no 204.
"""

import asyncio
import itertools
import sys
import time
from collections.abc import Iterator

import uvloop


class Connection(asyncio.Protocol):
    """One kept connection that posts the next request as soon as the last one is answered."""

    def __init__(self, requests: Iterator[bytes]) -> None:
        self.requests = requests
        self.answered = self.refused = 0
        self.until = 0.0
        self.idle = asyncio.Event()

    def connection_made(self, transport) -> None:
        self.transport = transport

    def post_until(self, moment: float) -> None:
        self.until = moment
        self.idle.clear()
        self.transport.write(next(self.requests))

    def data_received(self, data: bytes) -> None:
        # an answer without a body arrives whole: it is small and alone on its connection
        self.answered += 1
        self.refused += not data.startswith(b"HTTP/1.1 204")
        if time.perf_counter() < self.until:
            self.transport.write(next(self.requests))
        else:
            self.idle.set()

    def connection_lost(self, error) -> None:
        self.until = 0.0
        self.refused += not self.idle.is_set()
        self.idle.set()


async def main(port: int, path: str, connections: int) -> None:
    loop = asyncio.get_running_loop()
    bodies = list(iter(lambda: sys.stdin.readline().strip(), ""))
    head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: text/plain\r\ncontent-length: "
    requests = itertools.cycle([f"{head}{len(body)}\r\n\r\n{body}".encode() for body in bodies])
    clients = [(await loop.create_connection(lambda: Connection(requests), "127.0.0.1", port))[1] for _ in range(connections)]
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        before = sum(client.answered for client in clients), sum(client.refused for client in clients)
        until = time.perf_counter() + float(line)
        for client in clients:
            client.post_until(until)
        await asyncio.gather(*(client.idle.wait() for client in clients))
        print(sum(c.answered for c in clients) - before[0], sum(c.refused for c in clients) - before[1], flush=True)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
