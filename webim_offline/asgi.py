"""`live`: the live app alone, for a production process of its own. `application`: the live app in front of Django (embedded)."""

import os

from webim_offline.pages import pages

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webim_offline.settings")
django_application = pages()

from a2wsgi import WSGIMiddleware  # noqa: E402 - Django must be set up first

from dialogs.live.app import LiveApp  # noqa: E402
from webim_offline.startup import refuse_demo_passwords  # noqa: E402

refuse_demo_passwords()
live = LiveApp()
_pages = WSGIMiddleware(django_application, workers=16)


async def application(scope, receive, send) -> None:
    """Everything on one port: `/live/` and the process's life to the live app, the rest to Django."""
    if scope["type"] == "lifespan" or scope["path"].startswith("/live/"):
        await live(scope, receive, send)
    else:
        await _pages(scope, receive, send)
