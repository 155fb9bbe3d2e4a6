"""When dialogs close by time, as the settings that are stored say: `close_after` and `reopen_window` (Q9, Q11, Z2).

`closes_at` is written by who answers or closes. A changed setting moves it for all, in batches (`move_closings`); until then
whoever works on a locked dialog moves it there (`bring_up_to_date`), so that nobody acts by a time that is no more.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet

from dialogs.models import OPEN_STATES, REOPENABLE_STATES, Dialog
from operators.locks import lock_account_shared
from operators.models import SettingChange
from webim_offline.foundation.database.bulk import update_rows
from webim_offline.foundation.database.prepared import prepared

CLOSE_AFTER, REOPEN_WINDOW = "close_after", "reopen_window"
CLOSINGS = (CLOSE_AFTER, REOPEN_WINDOW)
AT_ONCE = 2000  # rows locked together


@prepared
def closings_to_follow(account_id: int) -> QuerySet[SettingChange]:
    """The account's changes that `move_closings` has not come to yet, in the order of storing."""
    return SettingChange.objects.filter(handled_at=None, setting__in=CLOSINGS, account=account_id).order_by("pk")


def bring_up_to_date(dialogs: Iterable[Dialog], changes: Iterable[SettingChange] | None = None) -> None:
    """Move `closes_at` of these locked dialogs by changes that `move_closings` has not come to yet; saves nothing.

    One query, unless the caller gives the `changes` of all their accounts (`closings_to_follow`).
    """
    rows = list(dialogs)
    if not rows:
        return
    if changes is None:
        waiting = SettingChange.objects.filter(
            handled_at=None, setting__in=CLOSINGS, account__in={dialog.account_id for dialog in rows}
        )
        changes = waiting.order_by("pk")
    latest = {(change.account_id, change.setting): change for change in changes}
    for dialog in rows:
        setting = _setting_that_closes(dialog)
        if setting and (change := latest.get((dialog.account_id, setting))):
            dialog.closes_at = _moved(dialog, change)


def move_closings(account_id: int, setting: str) -> None:
    """Move `closes_at` of every dialog of an account by the newest change of one of CLOSINGS, in batches.

    Safe to run twice at once.
    """
    rows = Dialog.objects.filter(account=account_id)
    if setting == CLOSE_AFTER:
        rows = rows.filter(state__in=OPEN_STATES, in_workspace=True, last_is_visitors=False)
    else:
        rows = rows.filter(state__in=REOPENABLE_STATES)
    after = 0
    while ids := list(rows.filter(pk__gt=after).order_by("pk").values_list("pk", flat=True)[:AT_ONCE]):
        after = ids[-1]
        with transaction.atomic():
            lock_account_shared(account_id)  # whoever answers or closes reads the setting under it
            change = SettingChange.objects.filter(account=account_id, setting=setting).order_by("-pk")[0]
            moved = []
            for dialog in rows.filter(pk__in=ids).select_for_update(no_key=True).order_by("pk"):
                closes_at = _moved(dialog, change)
                wake_at = min((at for at in (dialog.wake_at, closes_at) if at is not None), default=None)
                moved.append((dialog.pk, closes_at, wake_at))
            update_rows(Dialog, ("closes_at", "wake_at"), moved)


def _setting_that_closes(dialog: Dialog) -> str:
    """The setting that says when this dialog closes; empty: none does."""
    if dialog.state in REOPENABLE_STATES:
        return REOPEN_WINDOW
    return CLOSE_AFTER if dialog.is_open and dialog.in_workspace and not dialog.last_is_visitors else ""


def _moved(dialog: Dialog, change: SettingChange) -> datetime | None:
    """`closes_at` by a changed setting: not before it was stored, and what was over by the old time is over (Z2)."""
    if dialog.closes_at is not None and dialog.closes_at <= change.at:
        return dialog.closes_at
    length = int(change.after or 0)
    since = dialog.last_message_at if change.setting == CLOSE_AFTER else dialog.closed_at
    if since is None or (change.setting == CLOSE_AFTER and not length):
        return None
    return max(since + timedelta(seconds=length), change.at)
