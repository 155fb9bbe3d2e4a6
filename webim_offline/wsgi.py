"""Django over WSGI: pages, admin and the visitor API. Production serves it by `webim_offline.asgi:web` (docs/deploy.md).

A plain WSGI server fits too, as long as it does not take X_Forwarded_For for X-Forwarded-For. granian's WSGI interface does
(the later line wins, and the environ does not tell): there nobody has rights by an address that a proxy tells.
"""

import os

from webim_offline.foundation.http.wsgi_handler import handler
from webim_offline.foundation.http.wsgi_proxies import trusting_proxies_alone

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webim_offline.settings")

application = trusting_proxies_alone(handler())

from webim_offline.startup import refuse_demo_passwords  # noqa: E402 - Django must be set up first

refuse_demo_passwords()
