"""How long a browser stays signed in (docs/security.md): SESSION_IDLE without a request, SESSION_LONGEST from signing in."""

from collections.abc import Callable
from datetime import datetime, timedelta
from time import monotonic

from django.conf import settings
from django.contrib.sessions.models import Session
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

SIGNED_IN_AT = "signed_in_at"  # of a session: the moment of signing in, ISO
PROLONGED_EVERY = timedelta(hours=1)  # a session is a row: not every request writes it
BATCH = 500  # rows deleted at once


def begin(request: HttpRequest) -> None:
    """Somebody has just signed in: from now on their session has an end."""
    now = timezone.now()
    request.session[SIGNED_IN_AT] = now.isoformat()
    request.session.set_expiry(_end(now, now))


def _end(signed_in_at: datetime, now: datetime) -> datetime:
    return min(now + settings.SESSION_IDLE, signed_in_at + settings.SESSION_LONGEST)


def session_age_middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Each request moves the end of the session it used, never past SESSION_LONGEST.

    Sessions of a release without these limits have no such moment: they end when that release said.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        session = getattr(request, "session", None)
        # asked only of a session that was read anyway; a failure may be the database's, which would be asked once more
        if session is not None and session.accessed and response.status_code < 500 and SIGNED_IN_AT in session:
            end = _end(datetime.fromisoformat(session[SIGNED_IN_AT]), timezone.now())
            if end - session.get_expiry_date() >= PROLONGED_EVERY:
                session.set_expiry(end)
        return response

    return middleware


def clear_expired() -> int:
    """Delete the rows of sessions that have ended, in batches; returns how many.

    After a third of a second the rest is left to the next time: the clocks of the same worker must not wait for it.
    """
    until = monotonic() + 0.3
    cleared = 0
    while keys := list(Session.objects.filter(expire_date__lt=timezone.now()).values_list("pk", flat=True)[:BATCH]):
        cleared += Session.objects.filter(pk__in=keys, expire_date__lt=timezone.now()).delete()[0]
        if len(keys) < BATCH or monotonic() > until:
            break
    return cleared
