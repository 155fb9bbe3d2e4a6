"""How long somebody stays signed in.

A session ends SESSION_IDLE after its last request, and at the latest SESSION_LONGEST after signing in (docs/security.md).
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from time import monotonic

from django.conf import settings
from django.contrib.sessions.models import Session
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

SIGNED_IN_AT = "signed_in_at"  # the key in a session's data; the value is the moment of signing in, in ISO format
PROLONGED_EVERY = timedelta(hours=1)  # a session is a row in the database, which should not be written by every request
BATCH = 500  # rows that are deleted at once


def begin(request: HttpRequest) -> None:
    """Give the session its first end, because somebody has just signed in."""
    now = timezone.now()
    request.session[SIGNED_IN_AT] = now.isoformat()
    request.session.set_expiry(_end(now, now))


def _end(signed_in_at: datetime, now: datetime) -> datetime:
    return min(now + settings.SESSION_IDLE, signed_in_at + settings.SESSION_LONGEST)


def session_age_middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Move the end of the session that a request has used, but never past SESSION_LONGEST after signing in.

    Sessions that an earlier release has begun do not say when that was. They keep the end which that release gave them.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        session = getattr(request, "session", None)
        # Only a session that was read anyway is looked at. After a 5xx the database may be away, so it is not asked again.
        if session is not None and session.accessed and response.status_code < 500 and SIGNED_IN_AT in session:
            end = _end(datetime.fromisoformat(session[SIGNED_IN_AT]), timezone.now())
            if end - session.get_expiry_date() >= PROLONGED_EVERY:
                session.set_expiry(end)
        return response

    return middleware


def clear_expired() -> int:
    """Delete the rows of sessions that have ended, in batches of BATCH, and return how many were deleted.

    After 0.3 seconds the rest is left to the next call, because the same worker has other work to do each second.
    """
    until = monotonic() + 0.3
    cleared = 0
    while keys := list(Session.objects.filter(expire_date__lt=timezone.now()).values_list("pk", flat=True)[:BATCH]):
        cleared += Session.objects.filter(pk__in=keys, expire_date__lt=timezone.now()).delete()[0]
        if len(keys) < BATCH or monotonic() > until:
            break
    return cleared
