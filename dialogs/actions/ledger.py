"""Writing the delivery ledger: what became of each letter about a dialog (B2).

`notifications` calls this, because it may import `dialogs` but not the other way round.
"""

from collections.abc import Iterable

from dialogs.actions.record import Record, dialog_channel, seconds
from dialogs.events import LetterStatus, LetterStatusChanged
from dialogs.models import Delivery, Dialog
from webim_offline.foundation.database.transactions import atomic

READ = ("account_id", "visitor_id", "in_workspace", "revision")


@atomic
def record_deliveries(lines: Iterable[Delivery]) -> None:
    """Write these lines of the ledger. A line whose dialog and key are stored already overwrites the stored one.

    A line that is new, or has another status than before, is recorded as an event of its dialog as well. The dialogs are locked in
    the order of their ids.
    """
    rows = list(lines)
    if not rows:
        return
    ids = {row.dialog_id for row in rows}
    locked = Dialog.objects.filter(pk__in=ids).only(*READ).select_for_update(no_key=True).order_by("pk")
    dialogs = {dialog.pk: dialog for dialog in locked}
    stored = Delivery.objects.filter(dialog__in=ids, key__in=[row.key for row in rows]).values_list("dialog_id", "key", "status")
    before = {(dialog_id, key): status for dialog_id, key, status in stored}
    record = Record(max(row.updated_at for row in rows))
    changed = [row for row in rows if before.get((row.dialog_id, row.key)) != row.status]
    for row in changed:
        record.event(dialogs[row.dialog_id], _event_of(row), row.updated_at)
    Delivery.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["dialog", "key"],
        update_fields=["status", "detail", "updated_at"],
    )
    # No card shows letters, so only the pages of these dialogs look again, and not all left panels of the account.
    record.channels = {dialog_channel(dialog_id) for dialog_id in ids}
    record.write()


def _event_of(row: Delivery) -> LetterStatusChanged:
    return LetterStatusChanged(
        key=row.key,
        recipient=row.recipient,
        status=LetterStatus(row.status),
        after=seconds(row.updated_at - row.queued_at),
        detail=row.detail,
    )
