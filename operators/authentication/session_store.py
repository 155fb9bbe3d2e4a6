"""Django's sessions in the database, with the query of every request put together once."""

from datetime import datetime
from typing import Any

from django.contrib.sessions.backends import db
from django.contrib.sessions.models import Session
from django.db.models import QuerySet
from django.utils import timezone

from webim_offline.foundation.database.prepared import prepared


class SessionStore(db.SessionStore):
    """The engine of settings.SESSION_ENGINE."""

    def _get_session_from_db(self) -> Any:
        """The stored session; a key that is not known, or whose time is over, is forgotten, as in Django's own."""
        found = _stored(self.session_key or "", timezone.now())
        if not found:
            self._session_key = None
        return found[0] if found else None


@prepared
def _stored(key: str, now: datetime) -> QuerySet[Session]:
    return Session.objects.filter(session_key=key, expire_date__gt=now)
