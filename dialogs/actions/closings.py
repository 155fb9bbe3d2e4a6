"""When dialogs close by time, as the settings that are stored say: `close_after` and `reopen_window` (Q9, Q11, Z2).

`closes_at` is written by who answers or closes. A changed setting moves it for all, in batches (`move_closings`); until then
whoever works on a locked dialog moves it there (`bring_up_to_date`), so that nobody acts by a time that is no more.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import transaction

from dialogs.bulk import update_rows
from dialogs.models import OPEN_STATES, REOPENABLE_STATES, Dialog
from operators.actions import lock_account_shared
from operators.models import SettingChange

CLOSE_AFTER, REOPEN_WINDOW = "close_after", "reopen_window"
CLOSINGS = (CLOSE_AFTER, REOPEN_WINDOW)
AT_ONCE = 2000  # rows locked together


def bring_up_to_date(dialogs: Iterable[Dialog]) -> None:
    """Move `closes_at` of these locked dialogs by changes that `move_closings` has not come to yet; saves nothing. One query."""
    rows = list(dialogs)
    if not rows:
        return
    waiting = SettingChange.objects.filter(handled_at=None, field__in=CLOSINGS, account__in={dialog.account_id for dialog in rows})
    latest = {(change.account_id, change.field): change for change in waiting.order_by("pk")}
    for dialog in rows:
        field = _field_of(dialog)
        if field and (change := latest.get((dialog.account_id, field))):
            dialog.closes_at = _moved(dialog, field, change)


def move_closings(account_id: int, field: str) -> None:
    """The same for every dialog of an account, written in batches; safe to run twice at once."""
    rows = Dialog.objects.filter(account=account_id)
    if field == CLOSE_AFTER:
        rows = rows.filter(state__in=OPEN_STATES, in_workspace=True, last_is_visitors=False)
    else:
        rows = rows.filter(state__in=REOPENABLE_STATES)
    after = 0
    while ids := list(rows.filter(pk__gt=after).order_by("pk").values_list("pk", flat=True)[:AT_ONCE]):
        after = ids[-1]
        with transaction.atomic():
            lock_account_shared(account_id)  # whoever answers or closes reads the setting under it
            change = SettingChange.objects.filter(account=account_id, field=field).order_by("-pk")[0]
            moved = []
            for dialog in rows.filter(pk__in=ids).select_for_update(no_key=True).order_by("pk"):
                closes_at = _moved(dialog, field, change)
                wake_at = min((at for at in (dialog.wake_at, closes_at) if at is not None), default=None)
                moved.append((dialog.pk, closes_at, wake_at))
            update_rows(Dialog, ("closes_at", "wake_at"), moved)


def _field_of(dialog: Dialog) -> str:
    """The setting that says when this dialog closes; empty: none does."""
    if dialog.state in REOPENABLE_STATES:
        return REOPEN_WINDOW
    return CLOSE_AFTER if dialog.is_open and dialog.in_workspace and not dialog.last_is_visitors else ""


def _moved(dialog: Dialog, field: str, change: SettingChange) -> datetime | None:
    """`closes_at` by a changed setting: not before it was stored, and what was over by the old time is over (Z2)."""
    if dialog.closes_at is not None and dialog.closes_at <= change.at:
        return dialog.closes_at
    length = int(change.new)
    since = dialog.last_message_at if field == CLOSE_AFTER else dialog.closed_at
    if since is None or (field == CLOSE_AFTER and not length):
        return None
    return max(since + timedelta(seconds=length), change.at)
