"""Believing only trusted proxies about whether a request came by TLS (X-Forwarded-Proto)."""

from collections.abc import Callable, Iterable
from typing import Any

from webim_offline.foundation.http.client_address import NAMES_ARE_MERGED, WAS_FORWARDED, is_proxy_at

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]
MERGING_SERVERS = {"Granian"}
PROTO = "HTTP_X_FORWARDED_PROTO"


def trusting_proxies_alone(application: Application) -> Application:
    """Wrap a WSGI application so that it sees X-Forwarded-Proto only if one of TRUSTED_PROXIES has sent it.

    If the header has several values, the application sees the last one, which the nearest proxy has added.
    """

    def judged(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        told = environ.pop(PROTO, None)
        if told is not None:
            environ[WAS_FORWARDED] = True
            if is_proxy_at(environ.get("REMOTE_ADDR", "")):
                environ[PROTO] = told.rsplit(",", 1)[-1].strip()
        if environ.get("SERVER_SOFTWARE") in MERGING_SERVERS:
            environ[NAMES_ARE_MERGED] = True
        return application(environ, start_response)

    return judged
