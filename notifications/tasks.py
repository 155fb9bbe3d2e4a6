"""Letters: written by the runner of `clock`, sent by the runner of `mail`. Every task is safe to run twice at once, or late."""

from celery import shared_task

from dialogs.models import Pulse
from notifications.outgoing import delivery, duties
from webim_offline.foundation.database.due_work import looks_for


@shared_task
@looks_for(duties.any_due)
def write_letters() -> int:
    """Put what has become due into the outbox (M1, M2); returns how many dialogs were looked at."""
    looked_at = 0
    while (count := duties.write_due_letters()) == duties.BATCH:
        looked_at += count
    return looked_at + count


@shared_task
@looks_for(delivery.any_due, pulse=Pulse.MAIL)
def send_letters() -> int:
    """Send what is due (M3); returns how many letters were accepted."""
    return delivery.send_due_letters()
