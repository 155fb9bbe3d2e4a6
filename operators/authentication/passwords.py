"""Checking the own password of somebody who is signed in, within limits (X3).

It is asked for before the password is changed, and before other sensitive changes (see `confirmation`).
"""

from django.contrib.auth.hashers import check_password
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from operators.authentication.hashers import HashingBusy
from operators.models import Operator
from webim_offline.foundation.http.client_address import client_network
from webim_offline.foundation.http.errors import DATABASE_AWAY
from webim_offline.foundation.rate_limits import forget, give_back, spend_all


class TooManyAttempts(ValidationError):
    """Raised when the password was not checked because too many wrong ones were tried.

    `wait` is the number of seconds until the next try, for the Retry-After header.
    """

    def __init__(self, wait: int) -> None:
        text = ngettext(
            "Too many wrong passwords. Try again in %(seconds)s second.",
            "Too many wrong passwords. Try again in %(seconds)s seconds.",
            wait,
        )
        super().__init__(text, code="limited", params={"seconds": wait})
        self.wait = wait


def check_own_password(request: HttpRequest, operator: Operator, password: str) -> None:
    """Check that `password` is that of `operator`, who is signed in.

    Raises ValidationError if it is wrong. Raises TooManyAttempts, a ValidationError that should be answered with 429 and
    Retry-After, when the limits `own_password` (for one network) or `own_password_anywhere` of settings.RATE_LIMITS are reached.
    An attempt is counted before its password is checked; a right password makes earlier wrong ones from its network forgotten.
    Nothing is written to the security log: that is up to the caller, who knows what the password was asked for.
    """
    here, anywhere = ("own_password", f"{operator.pk}:{client_network(request)}"), ("own_password_anywhere", str(operator.pk))
    wait, _name = spend_all(here, anywhere)
    if wait:
        raise TooManyAttempts(wait)
    try:
        # Without a `setter` the password is never rehashed here. Another hash would end all sessions of this person.
        right = check_password(password, operator.password)
    except (HashingBusy, *DATABASE_AWAY):  # the password was not checked, so this was no attempt; the middleware answers
        for share in (here, anywhere):
            give_back(*share)
        raise
    if not right:
        raise ValidationError(_("That is not your password. Check the keyboard layout and Caps Lock."), code="wrong")
    forget(*here)
    give_back(*anywhere)
