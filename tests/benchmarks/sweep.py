"""The sweep over 10,000 due dialogs among many: against the statements it sends, sent again with recorded parameters; against
one hand-written statement that does the same writes; and with nothing due.
"""

import statistics
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from django.db import connection, transaction

from dialogs import tasks
from dialogs.actions import deadlines
from dialogs.models import Dialog, DialogEvent, Message
from tests.benchmarks.filling import fill, make_places

DUE = 10_000
ACCOUNTS = 20
ROUNDS = 7
IDLE_ROUNDS = 300
MILLION = 1_000_000

Batches = list[list[tuple[str, Any]]]

# one in %(every)s is due, half of them for the message of P4 and half for P5
ABSENCE = """
    SELECT n / %(every)s %% 2 = 0 AS noticed,
           now() + CASE WHEN n %% %(every)s > 0 THEN interval '1 hour'
                        WHEN n / %(every)s %% 2 = 0 THEN interval '-1201 s' ELSE interval '-121 s' END AS away
"""
ONE_STATEMENT = """
WITH due AS MATERIALIZED (
    SELECT d.id, d.account_id, d.revision, d.away_since, d.left_notice_at, d.went_offline_at, d.closes_at, d.is_offline
    FROM dialogs_dialog d WHERE d.wake_at <= %(now)s ORDER BY d.wake_at FOR NO KEY UPDATE SKIP LOCKED
), alarms AS (
    SELECT due.*,
           CASE WHEN a.left_notice_after > 0 AND due.left_notice_at IS NULL THEN
               greatest(due.away_since + make_interval(secs => a.left_notice_after), a.timeouts_changed_at) END AS notice,
           CASE WHEN a.offline_after > 0 AND due.went_offline_at IS NULL THEN
               greatest(due.away_since + make_interval(secs => a.offline_after), a.timeouts_changed_at) END AS offline
    FROM due JOIN operators_account a ON a.id = due.account_id
), steps AS MATERIALIZED (
    SELECT *, (notice <= %(now)s) IS TRUE AS notices, (offline <= %(now)s) IS TRUE AS goes FROM alarms
), changed AS (
    UPDATE dialogs_dialog d
    SET left_notice_at = CASE WHEN s.notices THEN s.notice ELSE s.left_notice_at END,
        went_offline_at = CASE WHEN s.goes THEN s.offline ELSE s.went_offline_at END,
        is_offline = s.is_offline OR s.goes,
        revision = s.revision + 2 * s.notices::int + 2 * s.goes::int,
        wake_at = least(CASE WHEN NOT s.notices THEN s.notice END, CASE WHEN NOT s.goes THEN s.offline END, s.closes_at)
    FROM steps s WHERE d.id = s.id
), taken AS (
    SELECT id, account_id, 'left_notice' AS kind, 'left' AS code, notice AS at, revision FROM steps WHERE notices
    UNION ALL
    SELECT id, account_id, 'went_offline', 'went_offline', offline, revision + 2 * notices::int FROM steps WHERE goes
), told AS (
    INSERT INTO dialogs_dialogevent (account_id, dialog_id, kind, at, data, revision, handled_at)
    SELECT account_id, id, kind, at, '{}', revision + 1, %(now)s FROM taken
)
INSERT INTO dialogs_message (dialog_id, kind, text, code, params, at, revision, client_key)
SELECT id, 'system', '', code, '{}', at, revision + 2, '' FROM taken
"""
WRITTEN = """
    SELECT md5(string_agg(line, '|' ORDER BY line)) FROM (
        SELECT concat_ws(',', id, left_notice_at, went_offline_at, is_offline, revision, wake_at) AS line
        FROM dialogs_dialog WHERE id IN (SELECT id FROM dialogs_before)
        UNION ALL SELECT concat_ws(',', dialog_id, kind, at, revision) FROM dialogs_dialogevent
        UNION ALL SELECT concat_ws(',', dialog_id, kind, code, at, revision) FROM dialogs_message
    ) written
"""


@lru_cache(maxsize=1)
def filled(dialogs: int) -> None:
    """So many open dialogs of absent visitors, all of them waiting for a deadline; 10,000 are due."""
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS dialogs_before")
        cursor.execute("TRUNCATE dialogs_visitor, dialogs_dialog CASCADE")
        fill(make_places(ACCOUNTS), dialogs, ABSENCE, every=dialogs // DUE)
        cursor.execute("CREATE TABLE dialogs_before AS SELECT * FROM dialogs_dialog WHERE wake_at <= now()")
        cursor.execute("SELECT count(*) FROM dialogs_before")
        assert cursor.fetchone()[0] == DUE


def restore() -> None:
    """Everything as it was, with no dead rows that would slow the next round."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE dialogs_dialog d SET left_notice_at = b.left_notice_at, went_offline_at = b.went_offline_at,"
            " is_offline = b.is_offline, wake_at = b.wake_at, revision = b.revision FROM dialogs_before b WHERE d.id = b.id"
        )
        cursor.execute("TRUNCATE dialogs_dialogevent, dialogs_message")
        cursor.execute("VACUUM ANALYZE dialogs_dialog")
        cursor.execute("CHECKPOINT")


def sweep() -> int:
    done = 0
    while count := deadlines.advance_due_dialogs():
        done += count
    return done


def record() -> Batches:
    """One sweep's statements with their parameters, batch by batch."""
    batches: Batches = []

    def keep(execute: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        batches[-1].append((sql, parameters))
        return execute(sql, parameters, many, context)

    with connection.execute_wrapper(keep):
        while True:
            batches.append([])
            if not deadlines.advance_due_dialogs():
                return batches


def replay(batches: Batches) -> None:
    """The same statements in the same transactions; rows are fetched and thrown away."""
    for batch in batches:
        with transaction.atomic(), connection.connection.cursor() as cursor:
            for sql, parameters in batch:
                cursor.execute(sql, parameters)
                if cursor.description:
                    cursor.fetchall()


def one_statement() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        cursor.execute(ONE_STATEMENT, {"now": cursor.fetchone()[0]})


def written() -> str:
    """A digest of everything a sweep writes."""
    with connection.cursor() as cursor:
        cursor.execute(WRITTEN)
        return cursor.fetchone()[0]


def timed(work: Callable[..., object], *arguments: Any) -> float:
    restore()
    began = time.perf_counter()
    work(*arguments)
    return (time.perf_counter() - began) * 1000


@lru_cache(maxsize=1)
def compared(dialogs: int) -> tuple[float, float, float, int]:
    """Milliseconds of the sweep, of its statements sent again and of one statement, in turns; and the sweep's batches."""
    filled(dialogs)
    restore()
    assert sweep() == DUE
    counts = DialogEvent.objects.count(), Message.objects.count(), Dialog.objects.filter(is_offline=True).count()
    assert counts == (DUE, DUE, DUE // 2)
    expected = written()
    restore()
    batches = record()
    for work in (lambda: replay(batches), one_statement):
        restore()
        work()
        assert written() == expected, "what is compared must write the same"
    rounds = [(timed(sweep), timed(replay, batches), timed(one_statement)) for _ in range(ROUNDS)]
    ours, raw, single = (statistics.median(times) for times in zip(*rounds, strict=True))
    return ours, raw, single, len(batches)


def against_raw(dialogs: int, limit: float) -> tuple[float, str, str, float]:
    ours, raw, _, batches = compared(dialogs)
    return ours / raw, "ratio", f"sweep {ours:.0f} ms, its {batches} batches again {raw:.0f} ms; medians of {ROUNDS} rounds", limit


def measure() -> tuple[float, str, str, float]:
    return against_raw(100_000, 3)


def measure_million() -> tuple[float, str, str, float]:
    return against_raw(MILLION, 2)


def measure_one_statement() -> tuple[float, str, str, float]:
    ours, _, single, _ = compared(MILLION)
    return ours / single, "ratio", f"sweep {ours:.0f} ms, one statement {single:.0f} ms; medians of {ROUNDS} rounds, in turns", 6


def measure_idle() -> tuple[float, str, str, float]:
    filled(MILLION)
    restore()
    sweep()

    def once(work: Callable[[], object]) -> float:
        began = time.perf_counter()
        work()
        return (time.perf_counter() - began) * 1000

    pairs = [(once(deadlines.advance_due_dialogs), once(tasks.advance_dialogs)) for _ in range(IDLE_ROUNDS)]
    call, task = (statistics.median(times) for times in zip(*pairs, strict=True))
    note = f"{MILLION} dialogs wait, none is due; with its pulse the whole task takes {task:.2f} ms; medians of {IDLE_ROUNDS}"
    return call, "ms", note, 1
