"""Headers that every answer carries, whoever makes it: pages, files, errors, the visitor API and the live app.

Pages have a content security policy of their own (settings); what is no page may load and frame nothing. The widget's script,
styles and API are for pages of other origins, everything else is for our own.
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
    """The headers of an answer that no page of Django is, as ASGI messages hold them."""
    return _for(path.startswith(FOR_OTHER_ORIGINS))


@lru_cache(maxsize=2)
def _for(cross_origin: bool) -> list[tuple[bytes, bytes]]:
    headers = _headers(FOR_OTHER_ORIGINS[0] if cross_origin else "/")
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


def middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """The outermost middleware: what an answer does not say yet is said here, whichever middleware refused the request."""

    def with_headers(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        for name, value in _headers(request.path_info).items():
            if name not in response:
                response[name] = value
        return response

    return with_headers
