"""When each part of the service ran last, so that /healthz can tell which of them stands still."""

from django.db import connection, transaction

from dialogs.models import Pulse
from webim_offline.foundation.database.dialect import dialect
from webim_offline.foundation.database.locks import lock_keys


def beat(name: str) -> None:
    """Note that a part of the service has just run (/healthz)."""
    sql = (
        f"INSERT INTO {Pulse._meta.db_table} (name, at) VALUES (%(name)s, {dialect().latest})"  # noqa: S608
        " ON CONFLICT (name) DO UPDATE SET at = excluded.at"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, dialect().moment_values() | {"name": name})


def forget_beats() -> None:
    """A new start: what an earlier one noted proves nothing now. The sweep of visits needs its last run (P9) and keeps it."""
    with transaction.atomic():
        Pulse.objects.filter(name__in=lock_keys(Pulse.objects.exclude(name=Pulse.LEASES))).delete()
