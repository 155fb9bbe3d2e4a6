"""Rate limits of what visitors ask and write (X3)."""

from rest_framework.exceptions import APIException, Throttled

from webim_offline.errors import too_much
from webim_offline.rate_limits import spend


class TooMuch(Throttled):
    """DRF's own, with a sentence of ours: its own one is half English in every language."""

    def __init__(self, wait: int, code: str) -> None:
        APIException.__init__(self, too_much(wait), code)
        self.wait = wait


def enforce(scope: str, client: str) -> None:
    """Count one request of `client` against the limit. Raises TooMuch, which tells when to come again, and by which limit."""
    if wait := spend(scope, client):
        raise TooMuch(wait, scope)
