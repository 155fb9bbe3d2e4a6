"""What the clock worker does for the people each second. Safe to run twice at once, or late."""

from celery import shared_task

from operators import actions


@shared_task
def record_expiries() -> int:
    """Record whose workspace has fallen silent for longer than the lease (A4); returns how many."""
    return actions.record_expiries()
