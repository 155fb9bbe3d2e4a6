"""What the clock worker does for the people, each second or, where it says so, more seldom. Safe to run twice at once, or late."""

from celery import shared_task

from operators import actions, session_ages


@shared_task
def record_expiries() -> int:
    """Record whose workspace has fallen silent for longer than the lease (A4); returns how many."""
    return actions.record_expiries()


@shared_task
def clear_expired_sessions() -> int:
    """Delete what is left of sessions that have ended, every ten minutes; returns how many."""
    return session_ages.clear_expired()
