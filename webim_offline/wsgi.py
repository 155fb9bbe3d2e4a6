"""Django over WSGI: pages, admin and the visitor API."""

import os

from webim_offline.pages import pages

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webim_offline.settings")

application = pages()

from webim_offline.startup import refuse_demo_passwords  # noqa: E402 - Django must be set up first

refuse_demo_passwords()
