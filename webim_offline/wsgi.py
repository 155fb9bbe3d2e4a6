"""Django over WSGI: pages, admin and the visitor API. Production serves it by `webim_offline.asgi:web` (docs/deploy.md).

A plain WSGI server fits too, as long as it does not take X_Forwarded_For for X-Forwarded-For. granian's WSGI interface does
(the later line wins, and the environ does not tell): there nobody has rights by an address that a proxy tells.
"""

import os
from collections.abc import Callable, Iterable
from typing import Any

from django.core.wsgi import get_wsgi_application

from webim_offline.client_address import NAMES_ARE_MERGED, WAS_FORWARDED, is_proxy_at

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webim_offline.settings")

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


application = trusting_proxies_alone(get_wsgi_application())

from webim_offline.startup import refuse_demo_passwords  # noqa: E402 - Django must be set up first

refuse_demo_passwords()
