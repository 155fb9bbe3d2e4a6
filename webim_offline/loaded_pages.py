"""The code of the web process besides that of the workers: see `loaded`.

`webim_offline.asgi` is not here: each web process makes its own live app, with a name of its own.
"""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webim_offline.settings")
django.setup()

import uvicorn.lifespan.on  # noqa: E402 - Django must be set up first
import uvicorn.loops.uvloop  # noqa: E402
import uvicorn.main  # noqa: E402
import uvicorn.protocols.websockets.websockets_sansio_impl  # noqa: E402, F401
from django.urls import get_resolver  # noqa: E402

import dialogs.live.app  # noqa: E402, F401
import webim_offline.foundation.http.pages  # noqa: E402
import webim_offline.foundation.http.wsgi_handler  # noqa: E402
import webim_offline.foundation.http.wsgi_proxies  # noqa: E402
import webim_offline.http_protocol  # noqa: E402, F401

get_resolver().url_patterns  # noqa: B018 - every page's module
