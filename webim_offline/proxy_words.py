"""What proxies say in the environ of a WSGI request besides the address: whether the visitor came by TLS."""

from collections.abc import Callable, Iterable
from typing import Any

from webim_offline.client_address import NAMES_ARE_MERGED, WAS_FORWARDED, is_proxy_at

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]
MERGING_SERVERS = {"Granian"}
PROTO = "HTTP_X_FORWARDED_PROTO"


def trusting_proxies_alone(application: Application) -> Application:
    """`application` hears X-Forwarded-Proto of TRUSTED_PROXIES alone, and of several lines the one the nearest proxy added."""

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
