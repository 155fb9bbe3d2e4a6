"""What the runner of the queue `clock` does each second, or less often. Every task is safe to run twice at once, or late."""

from time import monotonic

from celery import shared_task

from dialogs.actions import automatic_assignment, deadlines, presence, pulse, setting_changes, unpicked, visitors
from dialogs.models import Pulse
from webim_offline.foundation.database.due_work import looks_for


@shared_task
@looks_for(deadlines.any_due, pulse=Pulse.SWEEP)
def advance_dialogs() -> int:
    """Ring the alarms that are due (P4, P5); returns how many dialogs were looked at.

    After two seconds the rest is left to the next turn: the other tasks must not stand still behind a large backlog (P9).
    """
    until = monotonic() + 2.0
    done = 0
    while (count := deadlines.advance_due_dialogs()) == deadlines.BATCH and monotonic() < until:
        done += count
    pulse.beat(Pulse.SWEEP)
    return done + count


@shared_task
@looks_for(presence.any_lost, pulse=Pulse.LEASES)
def end_lost_visits() -> int:
    """End visits that no live process holds (P2 b, P9); returns how many."""
    return presence.end_lost_visits()


@shared_task
@looks_for(setting_changes.any_unapplied)
def apply_setting_changes() -> int:
    """Make changed timeouts act on visitors who are already gone, at once; returns how many changes were handled."""
    if handled := setting_changes.apply_setting_changes():
        advance_dialogs()
    return handled


def _any_to_assign() -> str:
    return f"{unpicked.any_assigned()} OR {automatic_assignment.any_waiting()}"


@shared_task
@looks_for(_any_to_assign)
def assign_dialogs() -> int:
    """Take back what nobody picked up (Q8), then give what waits in accounts that assign automatically (Q7); returns how many.

    An outage is noticed first: it lets nobody be late (P9).
    """
    unpicked.return_unpicked(presence.end_outage())
    return automatic_assignment.assign_waiting()


@shared_task
def forget_visitors() -> int:
    """Delete visitors who never began a dialog and were not seen for 30 days; returns how many were looked at.

    After a third of a second the rest is left to the next time, because the tasks of each second wait for this one.
    """
    until = monotonic() + 0.3
    done = 0
    while (count := visitors.forget_visitors()) and monotonic() < until:
        done += count
    return done + count
