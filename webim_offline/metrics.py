"""`/metrics`: what whoever runs the service watches, as Prometheus text; for METRICS_ALLOW only (interfaces.md).

It stands in this room because it alone knows all figures: those of dialogs and those of the outbox.
"""

from collections.abc import Iterator
from datetime import datetime

from django.conf import settings
from django.db.models import Count, Min
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden
from django.urls import path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from dialogs import metrics as dialogs
from notifications.models import OutgoingEmail
from webim_offline.foundation.database.clock import database_now
from webim_offline.foundation.http.client_address import client_of
from webim_offline.foundation.logs.security import Event, Outcome, record_request


def figures(now: datetime) -> Iterator[dialogs.Figure]:
    """Every gauge of the service."""
    yield from dialogs.figures(now)
    waiting = OutgoingEmail.objects.filter(next_try_at__isnull=False)  # index email_due
    found = waiting.aggregate(count=Count("pk"), oldest=Min("created_at"), due=Min("next_try_at"))
    yield "outbox_letters", "Letters that no mail server has accepted yet and that are still tried.", [("", found["count"])]
    yield "outbox_age_seconds", "Age of the oldest of them.", [("", dialogs.seconds_since(found["oldest"], now))]
    yield "outbox_lateness_seconds", "How late the next try is.", [("", dialogs.seconds_since(found["due"], now))]


@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus text, for METRICS_ALLOW; everyone else gets a 403."""
    if not client_of(request).is_within(settings.METRICS_ALLOW):
        record_request(request, Event.DENIAL, Outcome.REFUSED, reason="metrics")
        return HttpResponseForbidden("Only for METRICS_ALLOW.\n", content_type="text/plain; charset=utf-8")
    lines = []
    for name, explained, samples in figures(database_now()):
        lines += [f"# HELP webim_{name} {explained}", f"# TYPE webim_{name} gauge"]
        lines += [f"webim_{name}{labels} {value:g}" for labels, value in samples]
    return HttpResponse("\n".join(lines) + "\n", content_type="text/plain; version=0.0.4; charset=utf-8")


urlpatterns = [path("metrics", metrics, name="metrics")]
