"""The figures of dialogs, presence and their clocks for `/metrics`, which `notifications` serves.

Each figure is one query over a partial index: a scrape costs the same with any number of closed dialogs.
"""

from collections.abc import Iterator
from datetime import datetime

from django.db.models import Count, Min, Sum

from dialogs.models import Dialog, DialogEvent, LiveProcess, Pulse, State, Visit

Sample = tuple[str, float]  # labels as they are written, and the value
Figure = tuple[str, str, list[Sample]]  # of a gauge: name, help, samples


def seconds_since(at: datetime | None, now: datetime) -> float:
    """An age for a gauge: 0 when there is nothing, and never negative."""
    return max(0.0, (now - at).total_seconds()) if at else 0.0


def figures(now: datetime) -> Iterator[Figure]:
    """Every gauge of this room."""

    def age(at: datetime | None) -> float:
        return seconds_since(at, now)

    pulses = Pulse.objects.values_list("name", "at")
    yield "pulse_age_seconds", "Since a part last ran.", [(f'{{part="{name}"}}', age(at)) for name, at in pulses.order_by("name")]
    live = LiveProcess.objects.filter(expires_at__gt=now)
    renewed = live.aggregate(count=Count("pk"), oldest=Min("renewed_at"), streams=Sum("streams"), polls=Sum("polls"))
    yield "live_processes", "Live processes whose lease holds.", [("", renewed["count"])]
    yield "live_lease_age_seconds", "Since the lease renewed longest ago was renewed.", [("", age(renewed["oldest"]))]
    held = [('{kind="stream"}', renewed["streams"] or 0), ('{kind="poll"}', renewed["polls"] or 0)]
    yield "connections_held", "Streams and polls the live processes hold, as of their last renewal.", held
    alive = Visit.objects.filter(ended_at=None)
    held, unheld = alive.filter(process__isnull=False).count(), alive.filter(process=None, expires_at__isnull=False).count()
    yield "visits_alive", "Visits, by whether a live process holds them.", [('{held="yes"}', held), ('{held="no"}', unheld)]
    first = Dialog.objects.filter(wake_at__isnull=False).aggregate(first=Min("wake_at"))["first"]
    yield "deadline_lateness_seconds", "How late the oldest deadline that is due is.", [("", age(first))]
    queued = Dialog.objects.filter(state=State.QUEUE, operator=None, in_workspace=True)
    queues = list(queued.values_list("is_offline").annotate(Count("pk"), Min("created_at")).order_by("is_offline"))
    names = {False: '{queue="general"}', True: '{queue="offline"}'}
    yield "queue_dialogs", "Dialogs that wait unassigned.", [(names[offline], count) for offline, count, _ in queues]
    yield "queue_age_seconds", "Age of a queue's oldest dialog.", [(names[offline], age(at)) for offline, _, at in queues]
    events = DialogEvent.objects.filter(handled_at=None).order_by("pk").values_list("at", flat=True).first()
    yield "unhandled_event_age_seconds", "Age of the oldest event no letter was considered for.", [("", age(events))]
