"""The own password asked for again: to change it, and before acts that need it. Never guessed without end (X3)."""

from django.contrib.auth.hashers import check_password
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from operators.attempts import spend_all
from operators.hashers import HashingBusy
from operators.models import Operator
from webim_offline.client_address import client_network
from webim_offline.errors import DATABASE_AWAY
from webim_offline.rate_limits import forget, give_back


class TooManyAttempts(ValidationError):
    """The password was not even looked at. `wait`: the seconds until it may be tried again, for Retry-After."""

    def __init__(self, wait: int) -> None:
        text = ngettext(
            "Too many wrong passwords. Try again in %(seconds)s second.",
            "Too many wrong passwords. Try again in %(seconds)s seconds.",
            wait,
        )
        super().__init__(text, code="limited", params={"seconds": wait})
        self.wait = wait


def check_own_password(request: HttpRequest, operator: Operator, password: str) -> None:
    """Is this the password of `operator`, who is signed in?

    Raises TooManyAttempts (a ValidationError with `.wait`, to be answered with 429 and Retry-After) after ten wrong ones a
    minute from one network or a hundred from everywhere, and a plain ValidationError for a wrong one. Counted before the
    password is looked at; a right one forgets the wrong ones. The caller logs what it was asked for.
    """
    here, anywhere = ("own_password", f"{operator.pk}:{client_network(request)}"), ("own_password_anywhere", str(operator.pk))
    wait, _name = spend_all(here, anywhere)
    if wait:
        raise TooManyAttempts(wait)
    try:
        # never rehashed here: another hash would end the sessions of this person
        right = check_password(password, operator.password)
    except (HashingBusy, *DATABASE_AWAY):  # the first is a 429 of its own (`middleware.HashingLimit`); neither is an attempt
        for share in (here, anywhere):
            give_back(*share)
        raise
    if not right:
        raise ValidationError(_("That is not your password. Check the keyboard layout and Caps Lock."), code="wrong")
    forget(*here)
    give_back(*anywhere)
