"""The language of a page: the operator's choice, else ?lang=, the cookie, the browser's (interfaces.md); its time zone."""

from collections.abc import Callable
from zoneinfo import ZoneInfo

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone, translation


def page_middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    supported = {code for code, _ in settings.LANGUAGES}

    def middleware(request: HttpRequest) -> HttpResponse:
        asked = request.GET.get("lang", "")
        asked = asked if asked in supported else ""
        user = request.user if request.session.session_key else None
        chosen = getattr(user, "ui_language", "") or asked or translation.get_language_from_request(request)
        # every clock of an account's pages is the account's, as in its letters; support staff keep the installation's
        zone = ZoneInfo(user.account.time_zone) if getattr(user, "account", None) else None
        with translation.override(chosen), timezone.override(zone):
            request.LANGUAGE_CODE = translation.get_language()
            response = get_response(request)
        response.headers.setdefault("Content-Language", chosen)
        if asked:
            response.set_cookie(settings.LANGUAGE_COOKIE_NAME, asked, max_age=365 * 86400, samesite="Lax")
        return response

    return middleware
