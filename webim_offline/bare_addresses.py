"""Addresses that know no cookies: the widget's, scripts, files and probes. What they answer is the same for everybody.

Their answers may be kept by any cache on the way, and a customer's page must not get cookies of ours, so no session, language,
form token, login or message is read or written there.
"""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import resolve
from django.utils import translation


def bare_addresses_middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Calls the views of settings.BARE_ADDRESSES itself: the middleware below is for all other addresses."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith(settings.BARE_ADDRESSES):
            return get_response(request)
        request.COOKIES = {}
        # a cache cannot tell whom a public answer was for; what is posted is answered in the browser's language
        is_public = request.method in {"GET", "HEAD"}
        language = settings.LANGUAGE_CODE if is_public else translation.get_language_from_request(request)
        with translation.override(language):  # whatever the view chooses ends with it
            request.resolver_match = match = resolve(request.path_info)
            response = match.func(request, *match.args, **match.kwargs)
            if not getattr(response, "is_rendered", True):
                response.render()
        return response

    return middleware
