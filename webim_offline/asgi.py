"""`web`: Django alone, `live`: the live app alone, for production processes of their own. `application`: both (embedded)."""

import os
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webim_offline.settings")
django.setup()

from dialogs.live.app import LiveApp  # noqa: E402 - Django must be set up first
from webim_offline.foundation.http.pages import Pages  # noqa: E402
from webim_offline.wsgi import application as django_application  # noqa: E402 - it refuses demo passwords

EMBEDDED_THREADS = 16
THREADS = 8  # of a web process: each keeps a connection to the database, more of them make nothing faster

live = LiveApp()
web = Pages(django_application, threads=THREADS)
_pages = Pages(django_application, threads=EMBEDDED_THREADS)


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Everything on one port: `/live/` and the process's life to the live app, the rest to Django."""
    if scope["type"] == "lifespan" or scope["path"].startswith("/live/"):
        await live(scope, receive, send)
    else:
        await _pages(scope, receive, send)
