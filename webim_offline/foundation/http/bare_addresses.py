"""Paths that work without cookies: those of the widget, of scripts and files, and of probes.

What they answer is the same for everybody, so any cache on the way may keep it. And a customer's page must not get our cookies. So
sessions, the chosen language, CSRF tokens, sign-ins and Django's messages are neither read nor written there.
"""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import resolve
from django.utils import translation


def bare_addresses_middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Call the views of paths that begin with one of settings.BARE_ADDRESSES directly.

    The middleware that comes after this one in the settings therefore only sees requests for other paths.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith(settings.BARE_ADDRESSES):
            return get_response(request)
        request.COOKIES = {}
        # A cache gives the same answer to everybody, so it is in one language. Answers to a POST are in that of the browser.
        is_public = request.method in {"GET", "HEAD"}
        language = settings.LANGUAGE_CODE if is_public else translation.get_language_from_request(request)
        with translation.override(language):  # also ends a choice of language that the view makes
            request.resolver_match = match = resolve(request.path_info)
            response: Any = match.func(request, *match.args, **match.kwargs)
            if not getattr(response, "is_rendered", True):
                response.render()
        answer: HttpResponse = response
        return answer

    return middleware
