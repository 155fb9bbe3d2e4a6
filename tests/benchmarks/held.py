"""Streams one live process holds: their memory, a hint to many of them, and all of them coming back after a restart."""

import json
import statistics
import time
from functools import lru_cache

from django.db.models import Count

from dialogs.live import tickets
from dialogs.models import Visit, Visitor
from operators.actions import workspace_channel
from tests import people
from tests.benchmarks.servers import LIVE, Crowd, allow_many_files, serving, visit_tickets
from webim_offline import realtime

STREAMS = 5000
WORKSPACES = 1000
ROUNDS = 20
PINGED = 12.0  # seconds after which each stream has been asked for a sign of life
SPREAD = 4.0  # seconds within which pages come back


def hellos(issued: list[str]) -> list[str]:
    page = {"url": "https://shop.example/tea?page=2", "title": "Tea"}
    return [json.dumps({"ticket": ticket, "page": page, "since": None, "service": "offline"}) for ticket in issued]


@lru_cache(maxsize=1)
def held() -> dict[str, float]:
    """Hold the streams, kill the process, start it again: KiB a stream and seconds until all are back."""
    allow_many_files(STREAMS + 1000)
    account = people.make_account()
    issued = visit_tickets(account, STREAMS)
    with serving(LIVE) as (process, port), Crowd(port, "/live/visit/stream") as crowd:
        time.sleep(2)
        before = process.memory_info().rss
        opened = crowd.ask("open", hellos(issued))
        assert opened["failed"] == 0, opened
        time.sleep(PINGED)
        each = (process.memory_info().rss - before) / STREAMS / 1024
        assert Visit.objects.filter(account=account, ended_at=None).count() == STREAMS
        process.kill()
        crowd.begin("again", hellos([tickets.issue(tickets.VISIT, tickets.read(tickets.VISIT, one)) for one in issued]), SPREAD, 60)
        process.wait(10)
        with serving(LIVE, port):
            back = crowd.answer()
            assert len(back["back_at"]) == STREAMS, f"only {len(back['back_at'])} came back"
            over = back["back_at"][-1] - back["cut_at"]
            time.sleep(2)
            holders = Visit.objects.filter(account=account, ended_at=None).values_list("process").annotate(Count("pk"))
            assert [held for _, held in holders] == [STREAMS], "all visits are held by the new process"
        assert Visitor.objects.filter(account=account, is_present=False).count() == 0
    return {"each": each, "opened": opened["seconds"], "over": over}


def measure_memory() -> tuple[float, str, str, float]:
    found = held()
    return found["each"], "KiB", f"{STREAMS} held, opened at {STREAMS / found['opened']:.0f}/s; growth of the resident memory", 24


def measure_storm() -> tuple[float, str, str, float]:
    note = f"{STREAMS} streams; from the kill of the process to the last one's first news, a new process started at once"
    return held()["over"], "s", note, 15


def measure_hint() -> tuple[float, str, str, float]:
    account = people.make_account()
    operators = [people.make_operator(account) for _ in range(10)]
    claims = [{"o": operators[i % 10].pk, "a": account.pk, "d": None, "lease": 60} for i in range(WORKSPACES)]
    frames = [json.dumps({"ticket": tickets.issue(tickets.WORKSPACE, claim), "since": ""}) for claim in claims]
    worst = []
    allow_many_files(WORKSPACES + 1000)
    with serving(LIVE) as (_, port), Crowd(port, "/live/workspace/stream") as crowd:
        assert crowd.ask("open", frames)["failed"] == 0
        time.sleep(2)
        for _ in range(ROUNDS):
            crowd.ask("listen")
            moment = time.monotonic()
            realtime.publish(workspace_channel(account.pk))
            after = crowd.ask("heard", moment, 5)["after"]
            assert len(after) == WORKSPACES, f"{WORKSPACES - len(after)} heard nothing"
            worst.append(after[int(WORKSPACES * 0.99)] * 1000)
            time.sleep(0.1)
    note = f"{WORKSPACES} workspaces, hint through Redis; the median of {ROUNDS} rounds' p99, the worst {max(worst):.0f}"
    return statistics.median(worst), "ms", note, 100
