"""Django over WSGI: pages, admin and the visitor API."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webim_offline.settings")

application = get_wsgi_application()

from webim_offline.startup import refuse_demo_passwords  # noqa: E402 - Django must be set up first

refuse_demo_passwords()
