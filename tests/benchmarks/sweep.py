"""The sweep over 10,000 due of 100,000 dialogs, against the statements it sends, sent again with recorded parameters."""

import statistics
import time
from typing import Any

from django.db import connection, transaction

from dialogs.actions import deadlines
from dialogs.models import Dialog, DialogEvent, Message
from tests import people

DIALOGS = 100_000
DUE = 10_000
ACCOUNTS = 20
ROUNDS = 7

Batches = list[list[tuple[str, Any]]]


def fill() -> None:
    """100,000 open dialogs of absent visitors; every tenth is due, half for the message of P4 and half for P5."""
    languages, departments = [], []
    for _ in range(ACCOUNTS):
        account = people.make_account()
        languages.append(account.languages.first())
        departments.append(account.departments.first())
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO dialogs_visitor (account_id, token_digest, name, email, phone, own_fields, is_present, left_at)
            SELECT (%s::bigint[])[i %% %s + 1], md5(i::text), 'Visitor ' || i, '', '', '{}', false, now()
            FROM generate_series(1, %s) AS i
            """,
            [[language.account_id for language in languages], ACCOUNTS, DIALOGS],
        )
        cursor.execute(
            """
            INSERT INTO dialogs_dialog
                (account_id, number, visitor_id, department_id, language_id, start_state, evidence, email_only, in_workspace,
                 state, created_at, is_offline, away_since, left_notice_at, wake_at, waiting_since, last_message_at, last_text,
                 last_is_visitors, page_url, page_title, revision)
            SELECT v.account_id, v.id, v.id, (%(departments)s::bigint[])[v.id %% %(accounts)s + 1],
                   (%(languages)s::bigint[])[v.id %% %(accounts)s + 1], 'online',
                   '{"at": "2026-01-01T00:00:00+00:00", "candidates": []}', false, true, 'queue', now() - interval '1 hour', false,
                   t.away, CASE WHEN t.noticed THEN t.away + interval '120 s' END, t.wake, now() - interval '1 hour',
                   now() - interval '1 hour', 'Where is my order?', true, 'https://shop.example/', 'Shop', 3
            FROM dialogs_visitor v
            CROSS JOIN LATERAL (
                SELECT v.id %% 20 < 10 AS noticed,
                       CASE WHEN v.id %% 10 = 0 THEN now() - make_interval(secs => CASE WHEN v.id %% 20 < 10 THEN 1201 ELSE 121 END)
                            ELSE now() + interval '1 hour' END AS away,
                       CASE WHEN v.id %% 10 = 0 THEN now() - interval '1 s' ELSE now() + interval '1 hour 2 minutes' END AS wake
            ) t
            """,
            {
                "departments": [department.pk for department in departments],
                "languages": [language.pk for language in languages],
                "accounts": ACCOUNTS,
            },
        )
        # a setting older than every absence, as in life
        cursor.execute("UPDATE operators_account SET timeouts_changed_at = now() - interval '1 day'")
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


def timed(work: Any, *arguments: Any) -> float:
    restore()
    began = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - began


def measure() -> tuple[float, str, str, float]:
    fill()
    restore()
    assert sweep() == DUE
    written = DialogEvent.objects.count(), Message.objects.count(), Dialog.objects.filter(is_offline=True).count()
    assert written == (DUE, DUE, DUE // 2)
    restore()
    batches = record()
    restore()
    replay(batches)
    assert (DialogEvent.objects.count(), Message.objects.count()) == (DUE, DUE), "the replay must write what the sweep writes"
    ours, raw = [], []
    for _ in range(ROUNDS):
        ours.append(timed(sweep))
        raw.append(timed(replay, batches))
    ours_ms, raw_ms = (statistics.median(times) * 1000 for times in (ours, raw))
    ratio = ours_ms / raw_ms
    note = f"sweep {ours_ms:.0f} ms, its {len(batches)} batches again {raw_ms:.0f} ms; medians of {ROUNDS} rounds"
    return ratio, "ratio", note, 3
