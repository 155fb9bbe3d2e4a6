"""Asking people for their own password again before a sensitive change.

Sensitive changes are those of somebody's password, email, role or activation, and of where left messages are sent. The password
is asked for unless the person has given it in this session within the last CONFIRMATION_LASTS (a setting); signing in counts as
giving it.

The moment at which it was given is kept in the session, whose data are in the database, together with the session's auth hash. So
it is of no use to another session or another person, nor after the person's password was changed or their sessions were ended.
"""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from operators import security_events
from operators.authentication.passwords import check_own_password
from operators.requests import operator_of
from webim_offline.foundation.database.clock import database_now
from webim_offline.foundation.logs.security import Event, Outcome

KEY = "confirmed"  # the key in a session's data; the value is {"at": ISO moment, "for": session auth hash}
FIELD = "own_password"
WHY = gettext_lazy("This needs your own password: some time has passed since you gave it.")
WHY_SAVING = gettext_lazy(
    "Passwords, emails, roles, activation and where left messages go are changed with your own password: some time has passed"
    " since you gave it. Nothing is saved yet, and what you have filled in is kept."
)


class Needed(Exception):
    """Raised when a change needs the actor's password and the session has no valid confirmation.

    Nothing has been written yet. The page asks for the password and then makes the change again.
    """


class NotConfirmed(ValidationError):
    """Raised when the actor's password is missing or wrong.

    `wait` is the number of seconds before another password will be checked, or 0 if the next one will be checked at once.
    """

    def __init__(self, message: str, wait: int = 0) -> None:
        super().__init__(message)
        self.wait = wait


def remember(request: HttpRequest) -> None:
    """Note in the session that `request.user` has just given their own password."""
    request.session[KEY] = {"at": database_now().isoformat(), "for": operator_of(request).get_session_auth_hash()}


def stands(request: HttpRequest) -> bool:
    """Return whether this session has a valid confirmation: the current password, given within CONFIRMATION_LASTS.

    A confirmation that lies in the future is not valid, so the password is asked for once more after the clock was set back (Z3).
    """
    given = request.session.get(KEY)
    if not given or not constant_time_compare(given["for"], operator_of(request).get_session_auth_hash()):
        return False
    return timedelta(0) <= database_now() - datetime.fromisoformat(given["at"]) < settings.CONFIRMATION_LASTS


def require(request: HttpRequest) -> None:
    """Raise Needed unless the session has a valid confirmation (see `stands`)."""
    if not stands(request):
        raise Needed


def asked(request: HttpRequest) -> None:
    """Write to the security log that somebody was asked for their password."""
    security_events.refused(request, Event.CONFIRMATION, reason="asked")


def confirm(request: HttpRequest, password: str) -> None:
    """Check the actor's own password and, if it is right, remember that it was given.

    Raises NotConfirmed when the password is empty or wrong, or when too many were tried. Either outcome is written to the
    security log.
    """
    if not password:
        asked(request)
        raise NotConfirmed(_("Write your own password, not that of the person on this page."))
    try:
        check_own_password(request, operator_of(request), password)
    except ValidationError as refusal:
        wait = getattr(refusal, "wait", 0)
        outcome = Outcome.LIMITED if wait else Outcome.REFUSED
        security_events.refused(request, Event.CONFIRMATION, reason="attempts" if wait else "wrong password", outcome=outcome)
        raise NotConfirmed(" ".join(refusal.messages), wait) from None
    remember(request)
    security_events.done(request, Event.CONFIRMATION)


def password_field() -> forms.CharField:
    """Return the form field in which the actor writes their own password."""
    return forms.CharField(
        label=gettext_lazy("Your password"),
        required=False,
        strip=False,
        max_length=4096,
        # The field only appears after the form was sent once, when everything else is filled in already. So it takes the focus.
        widget=forms.PasswordInput(
            attrs={"autocomplete": "current-password", "autofocus": True, "aria-describedby": "own-password-why"}
        ),
    )


class PasswordForm(forms.Form):
    """A form with the actor's own password and nothing else, for changes that have no form of their own.

    `request` is the request that wants to make the change. If the form is valid, its session has a confirmation.
    """

    own_password = password_field()
    why = WHY
    wait = 0

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request

    def clean(self) -> dict[str, Any]:
        if not self.errors:
            try:
                confirm(self.request, self.cleaned_data[FIELD])
            except NotConfirmed as refusal:
                self.wait = refusal.wait
                self.add_error(FIELD, refusal)
        return self.cleaned_data


if TYPE_CHECKING:  # only the stubs of Django's forms take type arguments
    ModelForm = forms.ModelForm[Any]
else:
    ModelForm = forms.ModelForm


class ConfirmedForm(ModelForm):
    """A model form that needs the actor's own password when one of `confirmed_fields` has changed.

    `request` is set by the admin (`AccountScopedAdmin.get_form`). After validation `asks_password` tells the page whether to show
    the password field, and `wait` is the number of seconds before another password will be checked.
    """

    request: HttpRequest
    confirmed_fields: frozenset[str] = frozenset()
    asks_password = False
    why = WHY_SAVING
    wait = 0

    own_password = password_field()

    @cached_property
    def changed_data(self) -> list[str]:
        """The names of the changed fields, without the password, which is not stored in the row."""
        return [name for name in super().changed_data if name != FIELD]

    def needs_password(self) -> bool:
        """Return whether a field has changed that may only be changed with the actor's password."""
        return not self.confirmed_fields.isdisjoint(self.changed_data)

    def full_clean(self) -> None:
        super().full_clean()
        if not self.is_bound or not self.needs_password() or stands(self.request):
            return
        self.asks_password = True
        if FIELD in self.errors:
            return
        try:
            confirm(self.request, self.cleaned_data.get(FIELD, ""))
        except NotConfirmed as refusal:
            self.wait = refusal.wait
            self.add_error(FIELD, refusal)
        else:
            self.asks_password = False


def with_wait(response: HttpResponse, form: Any) -> HttpResponse:
    """Make `response` a 429 with Retry-After if `form` has refused to check the password because of a limit (X3)."""
    if wait := getattr(form, "wait", 0):
        response.status_code = 429
        response.headers["Retry-After"] = str(wait)
    return response
