"""The delivery ledger of each dialog (B2), handed down by `notifications`."""

from collections.abc import Iterable

from dialogs.actions.record import Record, dialog_channel, seconds
from dialogs.models import Delivery, Dialog, EventKind
from webim_offline.transactions import atomic

READ = ("account_id", "visitor_id", "in_workspace", "revision")


@atomic
def record_deliveries(lines: Iterable[Delivery]) -> None:
    """Write lines of the ledger; a known (dialog, key) is overwritten. A line that is new or changed its status is an event too.

    Locks the lines' dialogs by id.
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
        record.event(dialogs[row.dialog_id], EventKind.DELIVERY, row.updated_at, data=_what_became(row))
    Delivery.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["dialog", "key"],
        update_fields=["status", "detail", "updated_at"],
    )
    record.channels = {dialog_channel(dialog_id) for dialog_id in ids}  # no card shows letters: left panels need not look again
    record.write([dialogs[dialog_id] for dialog_id in sorted({row.dialog_id for row in changed})])


def _what_became(row: Delivery) -> dict[str, str | int]:
    data: dict[str, str | int] = {
        "key": row.key,
        "recipient": row.recipient,
        "status": row.status,
        "after": seconds(row.updated_at - row.queued_at),
    }
    return data | {"detail": row.detail} if row.detail else data
