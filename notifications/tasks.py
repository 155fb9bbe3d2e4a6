"""Letters: written by the clock worker, sent by the mail worker. Each is safe to run twice at once, or late."""

from celery import shared_task

from notifications.actions import delivery, writing


@shared_task
def write_letters() -> int:
    """Put what has become due into the outbox (M1, M2); returns how many dialogs were looked at."""
    done = 0
    while (count := writing.write_due_letters()) == writing.BATCH:
        done += count
    return done + count


@shared_task
def send_letters() -> int:
    """Send what is due (M3); returns how many letters were accepted."""
    return delivery.send_due_letters()
