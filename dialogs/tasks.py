"""What the clock worker does each second, or now and then. Every task is safe to run twice at once, or late."""

from time import monotonic

from celery import shared_task

from dialogs.actions import assigner, deadlines, presence, visitors
from dialogs.models import Pulse


@shared_task
def advance_dialogs() -> int:
    """Ring the alarms that are due (P4, P5); returns how many dialogs were looked at.

    After two seconds the rest is left to the next tick: the other clocks must not stand still behind a large backlog (P9).
    """
    until = monotonic() + 2.0
    done = 0
    while (count := deadlines.advance_due_dialogs()) == deadlines.BATCH and monotonic() < until:
        done += count
    deadlines.beat(Pulse.SWEEP)
    return done + count


@shared_task
def end_lost_visits() -> int:
    """End visits that no live process holds (P2 b, P9); returns how many."""
    return presence.end_lost_visits()


@shared_task
def apply_setting_changes() -> int:
    """Make changed timeouts act on visitors who are already gone, at once; returns how many changes were handled."""
    if handled := deadlines.apply_setting_changes():
        advance_dialogs()
    return handled


@shared_task
def assign_dialogs() -> int:
    """Take back what nobody picked up (Q8), then give what waits in accounts that assign automatically (Q7); returns how many.

    An outage is noticed first: it lets nobody be late (P9).
    """
    assigner.return_unpicked(presence.end_outage())
    return assigner.assign_waiting()


@shared_task
def forget_visitors() -> int:
    """Delete visitors who never began a dialog and were not seen for 30 days; returns how many were looked at.

    After a third of a second the rest is left to the next time: the clocks of the same worker must not wait for it.
    """
    until = monotonic() + 0.3
    done = 0
    while (count := visitors.forget_visitors()) and monotonic() < until:
        done += count
    return done + count
