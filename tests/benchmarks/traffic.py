"""Pages that open and close, in a process of their own: a live process whose signs of life come from here, not from sockets.

    python -m tests.benchmarks.traffic ARRIVALS_A_SECOND STAY_SECONDS

Reads a JSON list of [visitor id, account id] from stdin, lets each in turn open a page, and say goodbye with it after its
stay, until stdin is closed. Rows are written by the live process's own loops, in its own batches.
"""

import asyncio
import itertools
import json
import os
import sys
from collections import deque

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webim_offline.settings")

import django

django.setup()

from dialogs.actions.presence import Arrival  # noqa: E402 - the models need Django set up
from dialogs.live.app import LiveApp  # noqa: E402

EVERY = 0.02  # seconds


async def main(rate: float, stay: float) -> None:
    visitors = itertools.cycle(json.loads(sys.stdin.readline()))
    app = LiveApp()
    app.upkeep.start()
    loop = asyncio.get_running_loop()
    told_to_stop = loop.run_in_executor(None, sys.stdin.read)
    began, opened = loop.time(), 0
    staying: deque[tuple[float, tuple[int, str]]] = deque()
    while not told_to_stop.done():
        await asyncio.sleep(EVERY)
        now = loop.time()
        while opened < (now - began) * rate:
            opened += 1
            visitor_id, account_id = next(visitors)
            key = f"page-{opened}"
            app.state.visits.sign(Arrival(visitor_id, account_id, key, "https://shop.example/tea?page=2", "Tea"))
            staying.append((now + stay, (visitor_id, key)))
        while staying and staying[0][0] <= now:
            app.state.visits.goodbye(staying.popleft()[1])
    await app.upkeep.stop()


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]), float(sys.argv[2])))
