"""`/healthz`: is the service well, to the letter of interfaces.md?"""

from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from dialogs.models import Pulse
from webim_offline.foundation.database.clock import DatabaseNow
from webim_offline.foundation.http.client_address import client_of

# seconds since a part last ran; one letter may keep the mail worker busy for a network step's 20 s, thrice
OLDEST = {Pulse.BEAT: 5.0, Pulse.SWEEP: 5.0, Pulse.MAIL: 60.0}
PATIENCE = 1.5  # seconds; a prober gives up after 2
# one thread: while the database swallows a question, the next ones wait for it instead of piling up
_reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="health")


def ages() -> dict[str, float]:
    """How many seconds ago each part last ran, by the database's clock. One query."""
    rows = Pulse.objects.filter(name__in=OLDEST).annotate(now=DatabaseNow()).values_list("name", "at", "now")
    return {name: _seconds(at, now) for name, at, now in rows}


def _seconds(at: datetime, now: datetime) -> float:
    # a moment ahead of the clock (it was set back) is as bad as one long ago
    return round(abs((now - at).total_seconds()), 3)


def _read() -> dict[str, float]:
    try:
        return ages()
    finally:
        connection.close()  # a new connection each time: that one is accepted is part of the answer


@require_safe
@never_cache
def healthz(request: HttpRequest) -> JsonResponse:
    """200 when the database answers and beat, clock worker and mail worker have run lately; else 503. Never later than 2 s."""
    details: dict[str, Any] = {"database": True, "parts": {}}
    question = _reader.submit(_read)
    try:
        known = question.result(timeout=PATIENCE)
        details["parts"] = {
            name: {"age": known.get(name), "oldest": oldest, "ok": name in known and known[name] < oldest}
            for name, oldest in OLDEST.items()
        }
    except (DatabaseError, TooLate) as error:
        question.cancel()
        details |= {"database": False, "error": " ".join(str(error).split()) or "no answer in time"}
    ok = details["database"] and all(part["ok"] for part in details["parts"].values())
    may_see = client_of(request).is_within(settings.METRICS_ALLOW)
    return JsonResponse({"ok": ok} | (details if may_see else {}), status=200 if ok else 503)


urlpatterns = [path("healthz", healthz, name="healthz")]
