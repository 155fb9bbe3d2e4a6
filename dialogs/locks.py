"""The locks of visitors and dialogs. `webim_offline.foundation.database.locks` says in which order locks are taken."""

from collections.abc import Iterable

from django.db.models import QuerySet
from django.db.models.functions import Collate

from dialogs.models import OPEN_STATES, Dialog, Visit, Visitor
from operators.models import Account
from webim_offline.foundation.database.dialect import Statement, dialect
from webim_offline.foundation.database.loading import columns_of
from webim_offline.foundation.database.locks import lock_keys, lock_rows


def lock_accounts_of(visitor_ids: set[int]) -> dict[int, Account]:
    """The accounts of these visitors under the shared lock, which comes before the visitors' own.

    Whoever begins an absence holds it: a change of timeouts finds the absence, or the absence begins with the change.
    """
    theirs, values = dialect().among("id", visitor_ids)
    sql = (
        f"SELECT * FROM operators_account WHERE id IN (SELECT account_id FROM dialogs_visitor WHERE {theirs})"  # noqa: S608
        f" ORDER BY id{dialect().for_share}"
    )
    return {account.pk: account for account in Account.objects.raw(sql, list(values))}


def lock_visitors(visitor_ids: set[int]) -> dict[int, Visitor]:
    """The visitors' rows under their locks, by id."""
    return {visitor.pk: visitor for visitor in lock_rows(Visitor.objects.filter(pk__in=visitor_ids))}


def lock_open_dialogs(visitors: Iterable[Visitor]) -> list[Dialog]:
    """The open dialogs of locked visitors under their locks."""
    return lock_rows(Dialog.objects.filter(visitor__in=[visitor.pk for visitor in visitors], state__in=OPEN_STATES))


def lock_visits(visits: QuerySet[Visit]) -> list[int]:
    """The ids of these visits, under their locks, in the one order in which visits are locked: by visitor and key.

    All visits that a transaction will change, at once. Whoever holds their visitors needs it, too: the end of an outage and a
    changed lease move visits without their visitors.
    """
    return lock_keys(visits, "visitor_id", Collate("key", dialect().bytewise))


def lock_dialog(dialog_id: int) -> Dialog:
    """The dialog's row under its lock. Raises Dialog.DoesNotExist.

    Nothing may be joined here: a row that waited for its lock is read anew, what is joined to it is not (decision 0004).
    """
    return Dialog.objects.select_for_update(no_key=True).get(pk=dialog_id)


def dialog_lock(dialog_id: int) -> Statement:
    """The statement of `lock_dialog`, to be sent with others. Its row is one of `columns_of(Dialog)`."""
    return f"SELECT {columns_of(Dialog)} FROM dialogs_dialog WHERE id = %s{dialect().for_no_key_update}", [dialog_id]  # noqa: S608
