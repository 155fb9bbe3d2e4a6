"""The language of a page: the operator's choice, else ?lang=, the cookie, the browser's (interfaces.md); its time zone.

And what a page answers when no more passwords may be hashed at the moment.
"""

from collections.abc import Callable
from zoneinfo import ZoneInfo

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone, translation

from operators.authentication.hashers import RETRY_AFTER, HashingBusy
from webim_offline.foundation.logs.security import Event, Outcome, record_request


def page_middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    supported = {code for code, _ in settings.LANGUAGES}

    def middleware(request: HttpRequest) -> HttpResponse:
        asked = request.GET.get("lang", "")
        asked = asked if asked in supported else ""
        user = request.user if request.session.session_key else None
        chosen = getattr(user, "ui_language", "") or asked or translation.get_language_from_request(request)
        # every clock of an account's pages is the account's, as in its letters; support staff keep the installation's
        account = getattr(user, "account", None)
        zone = ZoneInfo(account.time_zone) if account else None
        with translation.override(chosen), timezone.override(zone):
            request.LANGUAGE_CODE = translation.get_language()
            response = get_response(request)
        response.headers.setdefault("Content-Language", chosen)
        if asked:
            response.set_cookie(settings.LANGUAGE_COOKIE_NAME, asked, max_age=365 * 86400, samesite="Lax")
        return response

    return middleware


class HashingLimit:
    """A 429 for whatever page would hash one password too many (`hashers`); its transaction has been undone."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, HashingBusy):
            return None
        record_request(request, Event.LIMIT, Outcome.LIMITED, reason="hashing")
        response = render(request, "429.html", status=429)
        response.headers["Retry-After"] = str(RETRY_AFTER)
        response.headers["Cache-Control"] = "no-store"
        return response
