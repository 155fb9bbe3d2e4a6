"""The figures of dialogs, presence, their clocks and their duties for `/metrics` (interfaces.md).

Each is a query over rows that go away again or over a partial index: a scrape costs the same with any number of closed dialogs.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime

from django.db.models import Count, Min, Sum

from dialogs.models import WAITS_IN_QUEUE, Dialog, Duty, LiveProcess, Pulse, Purpose, Visit

Sample = tuple[str, float]  # labels as they are written, and the value
Figure = tuple[str, str, list[Sample]]  # of a gauge: name, help, samples


def seconds_since(at: datetime | None, now: datetime) -> float:
    """An age for a gauge: 0 when there is nothing, and never negative."""
    return max(0.0, (now - at).total_seconds()) if at else 0.0


def figures(now: datetime) -> Iterator[Figure]:
    """Every gauge that this app knows, ages in seconds as of `now`."""

    def age(at: datetime | None) -> float:
        return seconds_since(at, now)

    pulses = Pulse.objects.values_list("name", "at")
    yield "pulse_age_seconds", "Since a part last ran.", [(f'{{part="{name}"}}', age(at)) for name, at in pulses.order_by("name")]
    live = LiveProcess.objects.filter(expires_at__gt=now)
    renewed = live.aggregate(count=Count("pk"), oldest=Min("renewed_at"), streams=Sum("streams"), polls=Sum("polls"))
    yield "live_processes", "Live processes whose lease holds.", [("", renewed["count"])]
    yield "live_lease_age_seconds", "Since the lease renewed longest ago was renewed.", [("", age(renewed["oldest"]))]
    connections = [('{kind="stream"}', renewed["streams"] or 0), ('{kind="poll"}', renewed["polls"] or 0)]
    yield "connections_held", "Streams and polls the live processes hold, as of their last renewal.", connections
    alive = Visit.objects.filter(ended_at=None)
    held, unheld = alive.filter(process__isnull=False).count(), alive.filter(process=None, expires_at__isnull=False).count()
    yield "visits_alive", "Visits, by whether a live process holds them.", [('{held="yes"}', held), ('{held="no"}', unheld)]
    first = Dialog.objects.filter(wake_at__isnull=False).aggregate(first=Min("wake_at"))["first"]
    yield "deadline_lateness_seconds", "How late the oldest deadline that is due is.", [("", age(first))]
    queued = Dialog.objects.filter(WAITS_IN_QUEUE)
    queues = list(queued.values_list("is_offline").annotate(Count("pk"), Min("created_at")).order_by("is_offline"))
    names = {False: '{queue="general"}', True: '{queue="offline"}'}
    yield "queue_dialogs", "Dialogs that wait unassigned.", [(names[offline], count) for offline, count, _ in queues]
    yield "queue_age_seconds", "Age of a queue's oldest dialog.", [(names[offline], age(at)) for offline, _, at in queues]
    yield from _duties(now)


def _duties(now: datetime) -> Iterator[Figure]:
    """What waits of each purpose: of those this release knows, and of those that a later release left behind."""
    found = Duty.objects.values_list("purpose").annotate(Count("pk"), Min("since"), Min("due_at"))
    waiting: dict[str, tuple[int, datetime | None, datetime | None]] = {purpose.value: (0, None, None) for purpose in Purpose}
    waiting |= {purpose: (count, oldest, due) for purpose, count, oldest, due in found.order_by()}

    def by_purpose(values: Iterable[float]) -> list[Sample]:
        return [(f'{{purpose="{_label(purpose)}"}}', value) for purpose, value in zip(waiting, values, strict=True)]

    counts = by_purpose(count for count, _, _ in waiting.values())
    ages = by_purpose(seconds_since(oldest, now) for _, oldest, _ in waiting.values())
    lateness = by_purpose(seconds_since(due, now) for _, _, due in waiting.values())
    yield "duties", "What still has to be done because of an event.", counts
    yield "duty_age_seconds", "Since the event that the oldest of them is about.", ages
    yield "duty_lateness_seconds", "How late the one is that has been due longest.", lateness


def _label(value: str) -> str:
    """A label's value as the format has it: the database may hold what no release of ours writes."""
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
