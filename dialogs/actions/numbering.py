"""New dialogs get their numbers: 1, 2, 3 and so on in each account, without gaps."""

from functools import cache
from typing import Any

from django.db import connection
from django.db.models.expressions import DatabaseDefault

from dialogs.models import Dialog
from webim_offline.foundation.database.dialect import Statement, dialect
from webim_offline.foundation.database.statements import run_together

NEXT = """
    INSERT INTO dialogs_numbering (account_id, last_number) VALUES (%s, 1)
    ON CONFLICT (account_id) DO UPDATE SET last_number = dialogs_numbering.last_number + 1 RETURNING last_number
"""


def key_ahead() -> list[str]:
    """The expression for the primary key of a new dialog; none where only the insertion gives it."""
    return [dialect().next_key(Dialog._meta.db_table)] if dialect().numbers_rows_ahead else []


def begin_to_store(dialog: Dialog) -> list[Statement]:
    """Give a new dialog its key, and return the statement that stores it with the account's next number, which is its one row.

    Where only the insertion gives the key (SQLite), the dialog is stored at once, and nothing is returned.
    """
    if not dialect().numbers_rows_ahead:
        (((dialog.number,),),) = run_together((NEXT, [dialog.account_id]))
        dialog.save(force_insert=True)
        return []
    if dialog.pk is None:
        (((dialog.pk,),),) = run_together((f"SELECT {dialect().next_key(Dialog._meta.db_table)}", []))
    fields = [field for field in Dialog._meta.concrete_fields if not _is_left_to_the_database(getattr(dialog, field.attname))]
    values = [field.get_db_prep_save(getattr(dialog, field.attname), connection) for field in fields if field.name != "number"]
    return [(_insert(tuple(str(field.column) for field in fields)), [dialog.account_id, *values])]


@cache
def _insert(columns: tuple[str, ...]) -> str:
    quote = connection.ops.quote_name
    marks = ", ".join("(SELECT last_number FROM numbered)" if column == "number" else "%s" for column in columns)
    names = ", ".join(quote(column) for column in columns)
    return f"WITH numbered AS ({NEXT}) INSERT INTO dialogs_dialog ({names}) VALUES ({marks}) RETURNING number"  # noqa: S608


def _is_left_to_the_database(value: Any) -> bool:
    return isinstance(value, DatabaseDefault)
