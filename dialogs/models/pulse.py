"""When each part of the service last ran."""

from django.db import models


class Pulse(models.Model):
    """When a part of the service last ran. /healthz reads it, and P9 measures an outage by it."""

    BEAT, SWEEP, LEASES, MAIL = "beat", "sweep", "leases", "mail"

    name = models.CharField(primary_key=True, max_length=20)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name}: {self.at}"
