"""What signs of life of 1,000 operators' workspaces cost: a live process writes those of half a second in one go (A2)."""

import statistics
import time
from collections.abc import Mapping
from datetime import datetime

import psutil
from django.db import connection

from dialogs.live.streams import PING_EVERY
from dialogs.live.workspace_upkeep import WORKSPACES_EVERY
from operators.actions.signs_of_life import workspaces_seen
from operators.models import Operator
from tests import people

OPERATORS = 1000
ACCOUNTS = 20
WRITES = 120  # a minute of them
ALL_AT_ONCE = 30
STATISTICS_AFTER = 1.2  # seconds until PostgreSQL's counters of this connection are told

Tickets = Mapping[int, datetime]


def query(sql: str) -> tuple:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()


def updates() -> tuple[int, int]:
    """(updates, those among them that touched no index) of the operators' table so far."""
    time.sleep(STATISTICS_AFTER)
    query("SELECT 1")
    return query("SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'operators_operator'")


def write(turns: list[Tickets]) -> tuple[float, float, float]:
    """(median milliseconds of a write, seconds of a core each write takes here and in PostgreSQL)."""
    processes = [psutil.Process(), psutil.Process(query("SELECT pg_backend_pid()")[0])]
    before = [sum(process.cpu_times()[:2]) for process in processes]
    times = []
    for tickets in turns:
        began = time.perf_counter()
        assert len(workspaces_seen(tickets)) == len(tickets)
        times.append((time.perf_counter() - began) * 1000)
    took = [(sum(process.cpu_times()[:2]) - earlier) / len(turns) for process, earlier in zip(processes, before, strict=True)]
    return statistics.median(times), *took


def measure() -> tuple[float, str, str, None]:
    accounts = [people.make_account() for _ in range(ACCOUNTS)]
    operators = [people.make_operator(accounts[place % ACCOUNTS], online=True) for place in range(OPERATORS)]
    valid_from = dict(Operator.objects.filter(pk__in=[one.pk for one in operators]).values_list("pk", "tickets_valid_from"))
    tickets = list(valid_from.items())
    shifts = int(PING_EVERY / WORKSPACES_EVERY)
    workspaces_seen(valid_from)
    all_before, hot_before = updates()
    a_write, here, there = write([dict(tickets[turn % shifts :: shifts]) for turn in range(WRITES)])
    all_at_once, *_ = write([valid_from] * ALL_AT_ONCE)
    every, hot = (after - before for after, before in zip(updates(), (all_before, hot_before), strict=True))
    signs = WRITES * OPERATORS / shifts + ALL_AT_ONCE * OPERATORS
    cores = f"{here / WORKSPACES_EVERY:.1%} of a core here and {there / WORKSPACES_EVERY:.1%} in PostgreSQL"
    note = (
        f"{OPERATORS // shifts} of {OPERATORS} operators each {WORKSPACES_EVERY:g} s, {cores}; all {OPERATORS} at once"
        f" {all_at_once:.0f} ms; {every / signs:.2f} row versions a sign, {hot / every:.0%} of them HOT"
    )
    return a_write, "ms", note, None
