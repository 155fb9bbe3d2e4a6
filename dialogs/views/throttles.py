"""Rate limits of what visitors ask and write (X3)."""

from rest_framework.exceptions import APIException, Throttled

from webim_offline.foundation.http.errors import too_much
from webim_offline.foundation.rate_limits import spend_all


class TooMuch(Throttled):
    """DRF's own, with a sentence of ours: its own one is half English in every language."""

    def __init__(self, wait: int, code: str) -> None:
        APIException.__init__(self, too_much(wait), code)
        self.wait = wait


def enforce(*limits: tuple[str, str]) -> None:
    """Count one request against all of these limits, each a name and a client, or against none.

    Raises TooMuch, which tells when to come again, and by which limit.
    """
    wait, scope = spend_all(*limits, late=True)
    if wait:
        raise TooMuch(wait, scope)
