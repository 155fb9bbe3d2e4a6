"""Rate limits of what visitors write (X3): settings.RATE_LIMITS by name, sliding windows kept in the cache."""

import math

from django.conf import settings
from rest_framework.exceptions import Throttled
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle


class Limit(SimpleRateThrottle):
    """One limit of one client."""

    def __init__(self, scope: str, client: str) -> None:
        self.scope, self.client = scope, client
        super().__init__()

    def get_rate(self) -> str:
        return settings.RATE_LIMITS[self.scope]

    def get_cache_key(self, request: Request, view: object) -> str:
        return f"limit:{self.scope}:{self.client}"


def enforce(request: Request, scope: str, client: str) -> None:
    """Count one request of `client` against the limit. Raises Throttled, which tells when to come again."""
    limit = Limit(scope, client)
    if not limit.allow_request(request, None):
        raise Throttled(wait=max(1, math.ceil(limit.wait() or 1)))
