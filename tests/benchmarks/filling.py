"""Many open dialogs of absent visitors, each waiting for a deadline, made in a few statements."""

from dataclasses import dataclass
from typing import Any

from django.db import connection, models
from django.db.models.fields import NOT_PROVIDED

from dialogs.models import Dialog, Visitor
from tests import people


@dataclass(frozen=True)
class Places:
    """Accounts with one of their departments and their first language each, by position."""

    accounts: list[int]
    departments: list[int]
    languages: list[int]


def make_places(count: int) -> Places:
    """Fresh accounts with the default timeouts (P4, P5), set long before any absence, as in life."""
    made = [people.make_account() for _ in range(count)]
    accounts = [account.pk for account in made]
    with connection.cursor() as cursor:
        cursor.execute("UPDATE operators_account SET timeouts_changed_at = now() - interval '1 day' WHERE id = ANY(%s)", [accounts])
    departments = [account.departments.first().pk for account in made]
    return Places(accounts, departments, [account.languages.first().pk for account in made])


def fill(places: Places, count: int, absence: str, **parameters: Any) -> None:
    """`count` visitors who are away, an open dialog each, spread over the places.

    `absence` is SQL for the columns (away timestamptz, noticed boolean: P4's message is written) of the dialog number `n`,
    counted from 0.
    """
    given: dict[str, Any] = vars(places) | parameters | {"places": len(places.accounts), "count": count}
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(id), 0) FROM dialogs_visitor")
        given["base"] = cursor.fetchone()[0]
    insert_made(
        Visitor,
        {
            "account_id": "(%(accounts)s::bigint[])[n %% %(places)s + 1]",
            "token_digest": "md5((%(base)s + n)::text)",
            "name": "'Visitor ' || n",
            "is_present": "false",
            "left_at": "now()",
        },
        "generate_series(0, %(count)s - 1) AS n",
        given,
    )
    insert_made(
        Dialog,
        {
            "account_id": "v.account_id",
            "number": "v.id",
            "visitor_id": "v.id",
            "department_id": "(%(departments)s::bigint[])[n %% %(places)s + 1]",
            "language_id": "(%(languages)s::bigint[])[n %% %(places)s + 1]",
            "start_state": "'online'",
            "evidence": """'{"at": "2026-01-01T00:00:00+00:00", "candidates": []}'""",
            "created_at": "now() - interval '1 hour'",
            "away_since": "away",
            "left_notice_at": "CASE WHEN noticed THEN away + make_interval(secs => a.left_notice_after) END",
            "wake_at": "away + make_interval(secs => CASE WHEN noticed THEN a.offline_after ELSE a.left_notice_after END)",
            "waiting_since": "now() - interval '1 hour'",
            "last_message_at": "now() - interval '1 hour'",
            "last_text": "'Where is my order?'",
            "page_url": "'https://shop.example/'",
            "page_title": "'Shop'",
            "revision": "3",
        },
        "(SELECT id - (SELECT min(id) FROM dialogs_visitor WHERE id > %(base)s) AS n, id, account_id FROM dialogs_visitor"
        f" WHERE id > %(base)s) v JOIN operators_account a ON a.id = v.account_id CROSS JOIN LATERAL ({absence}) t",
        given,
    )
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE dialogs_visitor, dialogs_dialog")


def insert_made(model: type[models.Model], columns: dict[str, str], source: str, parameters: dict[str, Any]) -> None:
    """INSERT ... SELECT of SQL expressions by attribute name; every other column gets the model's default."""
    given, values = dict(parameters), dict(columns)
    for field in model._meta.concrete_fields:
        if field.attname not in columns and not field.primary_key and field.db_default is NOT_PROVIDED:
            given[f"default_{field.attname}"] = field.get_db_prep_save(field.get_default(), connection)
            values[field.attname] = f"%(default_{field.attname})s"
    names = ", ".join(model._meta.get_field(name.removesuffix("_id")).column for name in values)
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {model._meta.db_table} ({names}) SELECT {', '.join(values.values())} FROM {source}", given)
