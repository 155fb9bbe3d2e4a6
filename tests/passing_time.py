"""What is stored of dialogs' moments grows older at once, for tests of what time alone does."""

from datetime import timedelta

from dialogs.actions import deadlines
from dialogs.models import Dialog
from operators.models import SettingChange

MOMENTS = ("away_since", "wake_at", "left_notice_at", "went_offline_at", "closes_at", "closed_at", "last_message_at")


def fresh(row):
    """The row as it is stored now."""
    row.refresh_from_db()
    return row


def let_pass(seconds):
    """Move moments of dialogs and of changed settings into the past, as if `seconds` had passed; nobody has looked yet."""
    ago = timedelta(seconds=seconds)
    for row in Dialog.objects.all():
        for name in MOMENTS:
            if getattr(row, name):
                setattr(row, name, getattr(row, name) - ago)
        row.save()
    for change in SettingChange.objects.all():
        change.at -= ago
        change.save(update_fields=["at"])


def sweep():
    """Twice: what must not happen again has its chance to."""
    deadlines.advance_due_dialogs()
    deadlines.advance_due_dialogs()
