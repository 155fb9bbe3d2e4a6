"""The security headers of every response: of pages, files, errors, the visitor API and the live app.

Pages have a Content Security Policy of their own (in the settings). Everything else gets one that allows nothing. Only what
the widget uses may be loaded by pages of other origins.
"""

from collections.abc import Callable
from functools import lru_cache

from django.conf import settings
from django.http import HttpRequest, HttpResponse

FOR_OTHER_ORIGINS = ("/widget/", "/live/visit/")
NOTHING = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"


def _headers(path: str) -> dict[str, str]:
    return {
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": settings.SECURE_REFERRER_POLICY,
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "cross-origin" if path.startswith(FOR_OTHER_ORIGINS) else "same-origin",
        "X-Frame-Options": "DENY",
        "Content-Security-Policy": NOTHING,
    }


def for_path(path: str) -> list[tuple[bytes, bytes]]:
    """Return the headers for a response that Django does not make, in the form of ASGI messages."""
    return _for(path.startswith(FOR_OTHER_ORIGINS))


@lru_cache(maxsize=2)
def _for(cross_origin: bool) -> list[tuple[bytes, bytes]]:
    headers = _headers(FOR_OTHER_ORIGINS[0] if cross_origin else "/")
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


def middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Add the headers that a response does not have yet.

    It must be the outermost middleware, so that responses of other middleware get the headers too.
    """

    def with_headers(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        for name, value in _headers(request.path_info).items():
            if name not in response:
                response[name] = value
        return response

    return with_headers
