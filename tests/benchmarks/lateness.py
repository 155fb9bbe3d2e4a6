"""How late deadlines are written under P8's load: the whole service runs as `make run` starts it, on PostgreSQL and Redis.

A step counts as written when its transaction commits: a trigger that is deferred to the commit notes the database's clock
for each event of P4 and P5. Its lateness is that moment minus the one its rule names.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import psutil
from django.db import connection

from dialogs.models import Visit, Visitor
from operators.models import Account
from tests import people
from tests.benchmarks.filling import fill, make_places
from tests.benchmarks.servers import ROOT
from tests.running import Service
from webim_offline.foundation.database.clock import database_now

WAITING = 100_000  # dialogs that wait for a deadline, all the time
A_SECOND = 1000  # of them fall due, half for the message of P4 and half for P5
SECONDS = 60
ACCOUNTS = 20
ARRIVALS = 2000  # a second, and as many departures
STAY = 5.0  # seconds of a visit
VISITORS = 40_000  # who come and go; every tenth has an open dialog
UNTIL_DUE = timedelta(seconds=45)  # from before the filling to the first deadline
SETTLED = timedelta(seconds=10)  # so long, at least, the traffic on the side runs by then
PATIENCE = 60.0  # seconds after the last deadline

NOTE_COMMITS = """
CREATE TABLE bench_due (dialog_id bigint, kind text, at timestamptz, PRIMARY KEY (dialog_id, kind));
CREATE TABLE bench_written (dialog_id bigint, kind text, at timestamptz, written_at timestamptz);
CREATE FUNCTION bench_note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO bench_written VALUES (NEW.dialog_id, NEW.kind, NEW.at, clock_timestamp());
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER bench_note AFTER INSERT ON dialogs_dialogevent DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.kind IN ('left_notice', 'went_offline')) EXECUTE FUNCTION bench_note();
"""
NOTE_NO_MORE = "DROP TRIGGER bench_note ON dialogs_dialogevent; DROP FUNCTION bench_note; DROP TABLE bench_due, bench_written"
# the first dialogs are due in the window, at moments spread within their second as people's goodbyes are; the others later
ABSENCE = """
    SELECT noticed, due - CASE WHEN noticed THEN interval '1200 s' ELSE interval '120 s' END AS away
    FROM (SELECT n >= %(due)s OR n %% 2 = 0 AS noticed,
                 %(first)s::timestamptz + CASE WHEN n < %(due)s THEN (n / %(a_second)s + random()) * interval '1 s'
                                               ELSE interval '300 s' + random() * interval '600 s' END AS due
          OFFSET 0) d
"""
NAME_DUE = """
    INSERT INTO bench_due SELECT id, CASE WHEN left_notice_at IS NULL THEN 'left_notice' ELSE 'went_offline' END, wake_at
    FROM dialogs_dialog WHERE account_id = ANY(%s) AND wake_at < %s
"""
MISSING = """
    SELECT count(*) FROM bench_due due WHERE NOT EXISTS
    (SELECT FROM bench_written w WHERE w.dialog_id = due.dialog_id AND w.kind = due.kind)
"""
OUTCOME = """
    SELECT count(*), count(*) FILTER (WHERE times = 1), count(*) FILTER (WHERE times > 1), count(*) FILTER (WHERE times = 0),
           count(*) FILTER (WHERE written_at < at), count(*) FILTER (WHERE times > 0 AND named_at <> at),
           percentile_disc(ARRAY[0.5, 0.99, 1]) WITHIN GROUP (ORDER BY extract(epoch FROM written_at - at)::float)
    FROM (SELECT due.at, count(w.dialog_id) AS times, min(w.written_at) AS written_at, min(w.at) AS named_at
          FROM bench_due due LEFT JOIN bench_written w USING (dialog_id, kind) GROUP BY due.dialog_id, due.kind, due.at) steps
"""
MESSAGES = """
    SELECT count(*), count(DISTINCT m.dialog_id) FROM dialogs_message m JOIN bench_due due ON due.dialog_id = m.dialog_id
    WHERE m.code = CASE due.kind WHEN 'left_notice' THEN 'left' ELSE due.kind END
"""


def execute(sql: str, *parameters: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters or None)


def row(sql: str) -> tuple:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()


def fill_deadlines(first: datetime) -> None:
    """The waiting dialogs; bench_due says which steps have to be written, and the moments their rules name."""
    places, due = make_places(ACCOUNTS), A_SECOND * SECONDS
    # those who go offline wait no longer: as many more wait at the beginning
    fill(places, WAITING + due // 2, ABSENCE, first=first, due=due, a_second=A_SECOND)
    execute(NAME_DUE, places.accounts, first + timedelta(seconds=SECONDS))


def passers_by() -> list[tuple[int, int]]:
    """(visitor, account) of people who come and go; every tenth has an open dialog, whose deadlines each return undoes."""
    places = make_places(ACCOUNTS)
    fill(places, VISITORS // 10, "SELECT now() AS away, false AS noticed")
    for account in Account.objects.filter(pk__in=places.accounts):
        people.make_visitors(account, VISITORS * 9 // 10 // ACCOUNTS)
    return list(Visitor.objects.filter(account__in=places.accounts).order_by("token_digest").values_list("pk", "account_id"))


@contextlib.contextmanager
def coming_and_going(visitors: list[tuple[int, int]]) -> Iterator[psutil.Popen]:
    """The traffic on the side; see `traffic`."""
    command = [sys.executable, "-m", "tests.benchmarks.traffic", str(ARRIVALS), str(STAY)]
    traffic = psutil.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, text=True)
    try:
        traffic.stdin.write(json.dumps(visitors) + "\n")
        traffic.stdin.flush()
        yield traffic
        traffic.stdin.close()
        traffic.wait(30)
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            traffic.kill()
        traffic.wait(10)


def wait_until(moment: datetime) -> None:
    """Sleep until the database's clock says so."""
    while (left := (moment - database_now()).total_seconds()) > 0:
        time.sleep(left)


@lru_cache(maxsize=1)
def outcome() -> dict[str, Any]:
    """One minute of P8's load: how many steps were due and written, how late, and what the processes took meanwhile."""
    execute(NOTE_COMMITS)
    try:
        return _minute(passers_by())
    finally:
        execute(NOTE_NO_MORE)


def _minute(visitors: list[tuple[int, int]]) -> dict[str, Any]:
    environment = {name: os.environ[name] for name in ("DATABASE_URL", "REDIS_URL", "SECRET_KEY")}
    with tempfile.TemporaryDirectory(prefix="webim-offline-bench-", ignore_cleanup_errors=True) as folder:
        service = Service(Path(folder), **environment).start(within=120)
        try:
            first = database_now() + UNTIL_DUE
            last = first + timedelta(seconds=SECONDS)
            fill_deadlines(first)
            with coming_and_going(visitors) as traffic:
                assert database_now() < first - SETTLED, "the filling took so long that the traffic could not settle"
                wait_until(first)
                processes = service.children() | {"traffic": traffic}
                before = {name: sum(process.cpu_times()[:2]) for name, process in processes.items()}
                psutil.cpu_percent()
                wait_until(last)
                busy = psutil.cpu_percent()
                cores = {name: (sum(process.cpu_times()[:2]) - before[name]) / SECONDS for name, process in processes.items()}
                patience = time.monotonic() + PATIENCE
                while row(MISSING)[0] and time.monotonic() < patience:
                    time.sleep(1)
        finally:
            service.stop()
    names = ("due", "once", "doubled", "missing", "early", "misdated", "lateness")
    visits = Visit.objects.filter(account__in={account_id for _, account_id in visitors})
    return dict(zip(names, row(OUTCOME), strict=True)) | {
        "messages": row(MESSAGES),
        "cores": cores,
        "busy": busy,
        "arrivals": visits.filter(began_at__range=(first, last)).count() / SECONDS,
        "departures": visits.filter(ended_at__range=(first, last)).count() / SECONDS,
    }


def measure_lateness() -> tuple[float, str, str, float]:
    found = outcome()
    steps = A_SECOND * SECONDS
    counts = f"{found['due']} due, {found['once']} written once, {found['doubled']} doubled, {found['missing']} missing"
    written = (found["due"], found["once"], found["messages"])
    assert written == (steps, steps, (steps, steps)), f"{counts}, messages of all and of different dialogs {found['messages']}"
    assert found["misdated"] == 0, f"{found['misdated']} steps carry another moment than their rule's"
    middle, late, latest = found["lateness"]
    cores = ", ".join(f"{name} {share:.2f}" for name, share in found["cores"].items())
    note = (
        f"{counts}; median {middle:.2f}, latest {latest:.2f}; {WAITING} wait, {found['arrivals']:.0f} arrivals and"
        f" {found['departures']:.0f} departures a second beside; cores: {cores}; machine {found['busy']:.0f} % busy"
    )
    return late, "s", note, 2


def measure_early() -> tuple[float, str, str, float]:
    found = outcome()
    return found["early"], "count", f"of {found['once']} steps of P8's load, by the database's clock at their commit", 0
