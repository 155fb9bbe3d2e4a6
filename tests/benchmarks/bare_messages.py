"""What a left message and an answer are measured against: a bare WSGI function that writes the same rows in one statement each.

It checks nothing and knows nobody. BARE_DATABASE names the database; BARE_ACCOUNT and BARE_LANGUAGE are ids.
"""

import json
import os
import secrets
from typing import Any

from psycopg_pool import ConnectionPool

LEAVE = """
    WITH visitor AS (
        INSERT INTO dialogs_visitor (id, account_id, token_digest, name, email, phone, own_fields, is_present, has_token)
        VALUES (%(visitor)s, %(account)s, %(token)s, '', 'marina@mail.example', '', '{}', TRUE, FALSE) RETURNING id
    ), visit AS (
        INSERT INTO dialogs_visit (visitor_id, account_id, key, began_at, expires_at, page_url, page_title)
        SELECT id, %(account)s, %(visit)s, clock_timestamp(), clock_timestamp() + interval '30 s', 'https://shop.example/', 'Shop'
        FROM visitor
    ), numbered AS (
        INSERT INTO dialogs_numbering (account_id, last_number) VALUES (%(account)s, 1)
        ON CONFLICT (account_id) DO UPDATE SET last_number = dialogs_numbering.last_number + 1 RETURNING last_number
    ), dialog AS (
        INSERT INTO dialogs_dialog (number, start_state, evidence, email_only, in_workspace, state, created_at, from_app,
            always_online, is_offline, waiting_since, last_message_at, last_text, last_is_visitors, page_url, page_title, revision,
            account_id, language_id, visitor_id, passed_over)
        SELECT last_number, 'offline', %(evidence)s, FALSE, TRUE, 'queue', now(), FALSE, FALSE, FALSE, now(), now(), %(text)s, TRUE,
            'https://shop.example/', 'Shop', 2, %(account)s, %(language)s, visitor.id, '{}'
        FROM visitor, numbered RETURNING id, number
    ), duty AS (
        INSERT INTO dialogs_duty (dialog_id, purpose, due_at, since, first_revision, last_revision)
        SELECT id, 'left_message_letters', now() + interval '15 s', now(), 1, 1 FROM dialog
    ), event AS (
        INSERT INTO dialogs_dialogevent (account_id, dialog_id, kind, at, data, revision)
        SELECT %(account)s, id, 'started', now(), '{"queue": "general"}', 1 FROM dialog
    ), message AS (
        INSERT INTO dialogs_message (dialog_id, kind, visitor_id, text, code, params, at, revision, client_key)
        SELECT dialog.id, 'visitor', visitor.id, %(text)s, '', '{}', now(), 2, %(key)s FROM dialog, visitor
    ) SELECT number FROM dialog
"""
ANSWER = """
    WITH person AS (
        UPDATE operators_operator SET acted_at = clock_timestamp() WHERE id = %(operator)s
    ), dialog AS (
        UPDATE dialogs_dialog SET waiting_since = NULL, last_message_at = now(), last_text = %(text)s, last_is_visitors = FALSE,
            closes_at = now() + interval '1 day', wake_at = now() + interval '1 day', revision = revision + 2
        WHERE account_id = %(account)s AND number = %(number)s RETURNING id, revision
    ), event AS (
        INSERT INTO dialogs_dialogevent (account_id, dialog_id, kind, at, actor_id, data, revision, handled_at)
        SELECT %(account)s, id, 'operator_wrote', now(), %(operator)s, '{}', revision, now() FROM dialog
    ) INSERT INTO dialogs_message (dialog_id, kind, author_id, text, code, params, at, revision, client_key)
    SELECT id, 'operator', %(operator)s, %(text)s, '', '{}', now(), revision - 1, %(key)s FROM dialog
"""
ACCOUNT, LANGUAGE = int(os.environ.get("BARE_ACCOUNT", "0")), int(os.environ.get("BARE_LANGUAGE", "0"))
EVIDENCE = json.dumps({"at": "2026-01-01T00:00:00+00:00", "department": None, "language": "en", "candidates": []})
pool: ConnectionPool | None = None


def connections() -> ConnectionPool:
    """One pool of the process, made when it is first needed: the server may fork."""
    global pool
    if pool is None:
        pool = ConnectionPool(
            os.environ["BARE_DATABASE"], min_size=8, max_size=8, kwargs={"autocommit": True, "prepare_threshold": 0}
        )
    return pool


def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """/widget/api/session tells a token, /widget/api/messages leaves a message, /workspace/N/answer/ answers dialog N."""
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    path = environ["PATH_INFO"]
    if path == "/widget/api/session":
        answer: dict[str, Any] = {"token": secrets.token_urlsafe(24), "service": "offline"}
    elif path == "/widget/api/messages":
        given = json.loads(body)
        values = {
            "visitor": secrets.randbits(62),
            "account": ACCOUNT,
            "language": LANGUAGE,
            "evidence": EVIDENCE,
            **{name: given[name] for name in ("token", "visit", "text", "key")},
        }
        with connections().connection() as connection:
            found = connection.execute(LEAVE, values).fetchone()
        answer = {"number": found[0] if found else 0}
    else:
        number, operator = path.split("/")[2], environ["HTTP_X_OPERATOR"]
        values = {"account": ACCOUNT, "number": int(number), "operator": int(operator), "text": "Yes.", "key": secrets.token_hex(8)}
        with connections().connection() as connection:
            connection.execute(ANSWER, values)
        answer = {}
    written = json.dumps(answer).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(written)))])
    return [written]
