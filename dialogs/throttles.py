"""Rate limits of what visitors ask and write (X3)."""

from rest_framework.exceptions import Throttled

from webim_offline.rate_limits import spend


def enforce(scope: str, client: str) -> None:
    """Count one request of `client` against the limit. Raises Throttled, which tells when to come again, and by which limit."""
    if wait := spend(scope, client):
        raise Throttled(wait=wait, code=scope)
