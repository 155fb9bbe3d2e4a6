"""A load generator in a process of its own: visitors who leave messages, or operators who answer.

    python -m tests.benchmarks.talkers PORT

Reads one line of JSON from stdin that says what to do (`Left` or `Answers`), then at each line with a number does it for so many
seconds, and prints how many times it was done, how many requests were refused, and the median time of one in milliseconds.
"""

import asyncio
import itertools
import json
import statistics
import sys
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import uvloop

_serial = itertools.count(1)


class Client:
    """One kept connection on which one request after the other is made."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def open(self) -> None:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)

    async def post(self, path: str, body: str, head: str) -> tuple[int, bytes]:
        """The status and the body of the answer."""
        data = body.encode()
        request = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{self.port}\r\n{head}content-length: {len(data)}\r\n\r\n"
        self.writer.write(request.encode() + data)
        status = int((await self.reader.readline()).split()[1])
        length, chunked = 0, False
        while (line := await self.reader.readline()) != b"\r\n":
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
            chunked |= name.lower() == b"transfer-encoding"
        if not chunked:
            return status, await self.reader.readexactly(length)
        found = b""
        while size := int(await self.reader.readline(), 16):
            found += await self.reader.readexactly(size)
            await self.reader.readline()
        await self.reader.readline()
        return status, found


class Left:
    """Visitors of a site's pages, each of another network, who leave one message: a session and a message."""

    def __init__(self, client: Client, job: dict[str, Any]) -> None:
        self.client, self.account = client, job["account"]

    async def once(self) -> bool:
        number = next(_serial)
        network = f"x-forwarded-for: 10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}\r\n"
        head = f"content-type: text/plain\r\n{network}"
        mine = {"account": self.account, "visit": f"page-{time.monotonic_ns()}", "language": "en", "languages": ["en"]}
        mine |= {"page": {"url": "https://shop.example/", "title": "Shop"}}
        status, body = await self.client.post("/widget/api/session", json.dumps(mine | {"token": ""}), head)
        if status != 200:
            return False
        message = {
            "token": json.loads(body)["token"],
            "text": "Where is my order? It should have come on Monday.",
            "key": f"key-{time.monotonic_ns()}-{number}",
            "contacts": {"email": "marina@mail.example"},
            "from_form": True,
            "number": 0,
            "after": 0,
        }
        status, body = await self.client.post("/widget/api/messages", json.dumps(mine | message), head)
        return status in {200, 201}


class Answers:
    """An operator who answers one dialog after the other."""

    def __init__(self, client: Client, job: dict[str, Any]) -> None:
        person = job["people"].pop()
        self.client, self.head = client, person["head"]
        self.numbers: Iterator[int] = itertools.cycle(person["numbers"])

    async def once(self) -> bool:
        form = urlencode({"text": "Yes, it left yesterday.", "key": f"key-{time.monotonic_ns()}-{next(_serial)}"})
        head = f"{self.head}content-type: application/x-www-form-urlencoded\r\nx-requested-with: fetch\r\n"
        status, _ = await self.client.post(f"/workspace/{next(self.numbers)}/answer/", form, head)
        return status == 200


async def main(port: int) -> None:
    loop = asyncio.get_running_loop()
    job = json.loads(sys.stdin.readline())
    kind = {"Left": Left, "Answers": Answers}[job["kind"]]
    talkers = []
    for _ in range(job["clients"]):
        client = Client(port)
        await client.open()
        talkers.append(kind(client, job))
    print("ready", flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        until = time.perf_counter() + float(line)
        times: list[float] = []
        refused = 0

        async def talk(talker: Left | Answers, until: float, times: list[float]) -> None:
            nonlocal refused
            while (began := time.perf_counter()) < until:
                if await talker.once():
                    times.append(time.perf_counter() - began)
                else:
                    refused += 1

        await asyncio.gather(*(talk(talker, until, times) for talker in talkers))
        print(len(times), refused, round(statistics.median(times) * 1000, 2) if times else 0, flush=True)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
