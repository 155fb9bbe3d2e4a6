"""Time goes by at once: what is stored grows older. For tests of what time alone does."""

from datetime import datetime, timedelta

from django.db.models import F, Model

from dialogs.actions import deadlines
from dialogs.models import Delivery, Device, Dialog, DialogEvent, Duty, LiveProcess, Message, Pulse, Visit, Visitor
from notifications.models import DeliveryAttempt, OutgoingEmail
from operators.models import Account, Department, Language, Operator, OperatorChange, SettingChange, WorkspacesHeard

Columns = dict[type[Model], tuple[str, ...]]

# what happened, and what is due: all of it moves into the past
HISTORY: Columns = {
    Account: ("created_at", "timeouts_changed_at", "archived_at"),
    Department: ("archived_at",),
    Language: ("archived_at",),
    Operator: ("last_login", "created_at", "tickets_valid_from", "acted_at"),
    OperatorChange: ("at",),
    SettingChange: ("at", "handled_at"),
    Visitor: ("created_at", "left_at"),
    Device: ("updated_at",),
    Visit: ("began_at", "ended_at"),
    Dialog: (
        *("created_at", "picked_up_at", "assigned_at", "pickup_by", "pickup_from", "closed_at", "away_since", "left_notice_at"),
        *("went_offline_at", "away_not_before", "closes_at", "wake_at", "waiting_since", "last_message_at"),
    ),
    Message: ("at",),
    DialogEvent: ("at", "handled_at"),
    Duty: ("due_at", "since"),
    Delivery: ("queued_at", "updated_at"),
    OutgoingEmail: ("created_at", "next_try_at", "give_up_at", "sent_at"),
    DeliveryAttempt: ("at",),
}
# who gives signs of life goes on giving them while time passes, unless a test wants silence
SIGNS_OF_LIFE: Columns = {
    Operator: ("last_seen_at",),
    WorkspacesHeard: ("at",),
    LiveProcess: ("renewed_at", "expires_at"),
    Visit: ("expires_at",),
    Pulse: ("at",),
}


# what belongs to one dialog, and by which look-up it is found
OF_A_DIALOG: dict[type[Model], str] = {
    Dialog: "pk",
    Message: "dialog",
    DialogEvent: "dialog",
    Duty: "dialog",
    Delivery: "dialog",
    OutgoingEmail: "dialog",
    DeliveryAttempt: "email__dialog",
}


def fresh(row):
    """The row as it is stored now."""
    row.refresh_from_db()
    return row


def let_pass(seconds: float, *, in_silence: bool = False, dialog: Dialog | None = None) -> None:
    """Make everything stored `seconds` older; nobody has looked yet.

    `in_silence`: nobody gave a sign of life meanwhile. `dialog`: only what belongs to this dialog grows older.
    """
    ago = timedelta(seconds=seconds)
    for columns in (HISTORY, SIGNS_OF_LIFE) if in_silence else (HISTORY,):
        for model, names in columns.items():
            if dialog is None or model in OF_A_DIALOG:
                rows = model._base_manager.filter(**{OF_A_DIALOG[model]: dialog.pk} if dialog else {})
                rows.update(**{name: F(name) - ago for name in names})
    for row in Dialog.objects.exclude(passed_over={}).filter(**{"pk": dialog.pk} if dialog else {}):
        passed_over = {pk: (datetime.fromisoformat(at) - ago).isoformat() for pk, at in row.passed_over.items()}
        Dialog.objects.filter(pk=row.pk).update(passed_over=passed_over)


def sweep():
    """Twice: what must not happen again has its chance to."""
    deadlines.advance_due_dialogs()
    deadlines.advance_due_dialogs()
