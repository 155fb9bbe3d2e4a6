"""What the runner of the queue `clock` does for the people. Every task is safe to run twice at once, or late."""

from celery import shared_task

from operators.actions import signs_of_life
from operators.authentication import session_ages
from webim_offline.foundation.database.due_work import looks_for


@shared_task
@looks_for(signs_of_life.any_expired)
def record_expiries() -> int:
    """Record whose workspace has fallen silent for longer than the lease (A4); returns how many."""
    return signs_of_life.record_expiries()


@shared_task
def clear_expired_sessions() -> int:
    """Delete what is left of sessions that have ended, every ten minutes; returns how many."""
    return session_ages.clear_expired()
