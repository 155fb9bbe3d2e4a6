"""Signs of life a second at one live process, against a bare endpoint that checks an HMAC under the same server."""

import base64
import json
import statistics
from functools import lru_cache

from dialogs.models import Visit
from tests import people
from tests.benchmarks import bare
from tests.benchmarks.servers import LIVE, open_pages, post_for, posting, serving

VISITS = 10_000  # each well below the rate of one page (X3)
ROUNDS = 5
SECONDS = 2.0


@lru_cache(maxsize=1)
def rates() -> tuple[list[float], list[float]]:
    """(live, bare): beats a second of each round, in turns."""
    account = people.make_account()
    page = {"url": "https://shop.example/tea?page=2", "title": "Tea"}
    beats = [json.dumps({"ticket": opened.ticket(), "page": page}) for opened in open_pages(account, VISITS)]
    tokens = []
    for number in range(VISITS):
        packed = base64.urlsafe_b64encode(json.dumps({"v": number, "k": f"page-of-visitor-{number}", "p": "visit"}).encode())
        tokens.append((packed + b"." + bare.signature(packed)).decode())
    with (
        serving(LIVE) as (_, live_port),
        serving("tests.benchmarks.bare:app") as (_, bare_port),
        posting(live_port, "/live/visit/beat", beats) as ours,
        posting(bare_port, "/", tokens) as raw,
    ):
        for client in (ours, raw):
            post_for(client, 0.5)
        pairs = [(post_for(ours, SECONDS), post_for(raw, SECONDS)) for _ in range(ROUNDS)]
    assert Visit.objects.filter(account=account).count() == VISITS, "every page that was heard of is a visit"
    live_rates, bare_rates = zip(*pairs, strict=True)
    return list(live_rates), list(bare_rates)


def measure_ratio() -> tuple[float, str, str, float]:
    ours, raw = rates()
    note = f"bare endpoint {statistics.median(raw):.0f}/s; medians of {ROUNDS} rounds of {SECONDS:g} s, in turns"
    return statistics.median(ours) / statistics.median(raw), "ratio", note, 0.5


def measure_rate() -> tuple[float, str, str, None]:
    ours, _ = rates()
    return statistics.median(ours), "1/s", f"one live process, {VISITS} visits, 32 connections", None
