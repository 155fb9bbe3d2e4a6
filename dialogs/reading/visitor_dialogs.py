"""The dialogs of a visitor that a message of theirs could go into (Q9, M10), as `rules.destination` asks for them."""

from datetime import datetime, timedelta

from dialogs.actions import visitors
from dialogs.models import OPEN_STATES, REOPENABLE_STATES, Dialog, Visitor
from dialogs.rules import presence
from dialogs.rules.destination import VisitorDialog
from operators.models import Account
from webim_offline.foundation.database.dialect import Statement, dialect
from webim_offline.foundation.database.loading import columns_of, instance_of
from webim_offline.foundation.database.statements import Rows, run_together


def open_or_reopenable(visitor: Visitor) -> list[Dialog]:
    """The visitor's dialogs that are open or were closed a short time ago, by id."""
    (rows,) = run_together(_open_or_reopenable("%s", visitor.pk))
    return dialogs_of(rows)


def lock_open_or_reopenable(visitor_id: int) -> Statement:
    """The statement that locks these dialogs and returns them; see `dialogs_of`."""
    sql, values = _open_or_reopenable("%s", visitor_id)
    return f"{sql}{dialect().for_no_key_update}", values


def asked_by_token(account: Account, token: str) -> tuple[Statement, Statement]:
    """The statements that read a visitor (`visitors.recognised`) and these dialogs of theirs, by the token.

    Behind a dialog's columns (`dialogs_of`) stands the present moment.
    """
    visitor = visitors.asked_by_token(account, token)
    theirs = "(SELECT id FROM dialogs_visitor WHERE account_id = %s AND token_digest = %s)"
    now, moment = dialect().now()
    sql, values = _open_or_reopenable(theirs, *visitor[1])
    return visitor, (sql.replace(" FROM ", f", {now} FROM ", 1), [*moment, *values])


def dialogs_of(rows: Rows) -> list[Dialog]:
    """The dialogs that one of these statements found."""
    return [instance_of(Dialog, values) for values in rows]


def _open_or_reopenable(visitor_id: str, *values: object) -> Statement:
    states = ", ".join(f"'{state.value}'" for state in (*OPEN_STATES, *REOPENABLE_STATES))
    sql = f"SELECT {columns_of(Dialog)} FROM dialogs_dialog WHERE visitor_id = {visitor_id} AND state IN ({states}) ORDER BY id"  # noqa: S608
    return sql, list(values)


def as_stored(dialog: Dialog) -> VisitorDialog:
    """The dialog as it is stored: for a caller who has written already what time has done to it (`close_overdue`)."""
    return VisitorDialog(
        id=dialog.pk,
        is_open=dialog.is_open,
        is_reopenable=dialog.is_reopenable,
        email_only=dialog.email_only,
        in_workspace=dialog.in_workspace,
        closed_at=dialog.closed_at,
    )


def as_of(dialog: Dialog, now: datetime, reopen_window: int) -> VisitorDialog:
    """The dialog as it stands at a moment, although the sweep may not have written yet that its time was over.

    `reopen_window` is the account's setting in seconds.
    """
    closing_alone = presence.Timeouts(left_notice=None, offline=None, reopen=timedelta(seconds=reopen_window))
    facts, steps = presence.advance(dialog.facts, closing_alone, now)
    return VisitorDialog(
        id=dialog.pk,
        is_open=facts.is_open,
        is_reopenable=not facts.is_open and facts.closes_at is not None and dialog.in_workspace,
        email_only=dialog.email_only,
        in_workspace=dialog.in_workspace,
        closed_at=dialog.closed_at or (steps[0][0] if steps else None),
    )
