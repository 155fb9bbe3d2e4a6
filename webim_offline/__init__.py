"""The project's frame: settings, addresses, processes and the transport of hints. No domain words live here."""

from webim_offline.celery import app as celery_app

__all__ = ["celery_app"]
