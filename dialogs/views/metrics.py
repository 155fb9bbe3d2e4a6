"""`/metrics`: what whoever runs the service watches, as Prometheus text; for METRICS_ALLOW only (interfaces.md).

Each figure is one query over a partial index: a scrape costs the same with any number of closed dialogs.
"""

from collections.abc import Iterator
from datetime import datetime

from django.conf import settings
from django.db.models import Count, Min
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden
from django.urls import path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from dialogs.models import Dialog, DialogEvent, LiveProcess, Pulse, State, Visit
from webim_offline.client_address import client_address
from webim_offline.database_clock import database_now

Sample = tuple[str, float]  # labels as they are written, and the value


def figures(now: datetime) -> Iterator[tuple[str, str, list[Sample]]]:
    """(name, help, samples) of each gauge."""

    def age(at: datetime | None) -> float:
        return max(0.0, (now - at).total_seconds()) if at else 0.0

    pulses = Pulse.objects.values_list("name", "at")
    yield "pulse_age_seconds", "Since a part last ran.", [(f'{{part="{name}"}}', age(at)) for name, at in pulses.order_by("name")]
    renewed = LiveProcess.objects.filter(expires_at__gt=now).aggregate(count=Count("pk"), oldest=Min("renewed_at"))
    yield "live_processes", "Live processes whose lease holds.", [("", renewed["count"])]
    yield "live_lease_age_seconds", "Since the lease renewed longest ago was renewed.", [("", age(renewed["oldest"]))]
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


@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus text, for METRICS_ALLOW; everyone else gets a 403."""
    address = client_address(request)
    if address is None or not any(address in network for network in settings.METRICS_ALLOW):
        return HttpResponseForbidden("Only for METRICS_ALLOW.\n", content_type="text/plain; charset=utf-8")
    lines = []
    for name, explained, samples in figures(database_now()):
        lines += [f"# HELP webim_{name} {explained}", f"# TYPE webim_{name} gauge"]
        lines += [f"webim_{name}{labels} {value:g}" for labels, value in samples]
    return HttpResponse("\n".join(lines) + "\n", content_type="text/plain; version=0.0.4; charset=utf-8")


urlpatterns = [path("metrics", metrics, name="metrics")]
