"""The own password asked for again before what opens or shuts a door: others' passwords, e-mails, roles, activation, mail's way.

Asked for unless it was given in this session within CONFIRMATION_LASTS; signing in counts as giving it. The moment is kept
in the session, which stands in the database, and is bound to the password and rights that the session was given for: no
other session, no other person and no later password profits from it.
"""

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from operators import security
from operators.passwords import check_own_password
from webim_offline.database_clock import database_now
from webim_offline.security_log import Event, Outcome

KEY = "confirmed"  # of a session: {"at": ISO moment, "for": hash of the session}
FIELD = "own_password"
WHY = gettext_lazy("This needs your own password: some time has passed since you gave it.")
WHY_SAVING = gettext_lazy(
    "Passwords, emails, roles, activation and where left messages go are changed with your own password: some time has passed"
    " since you gave it. Nothing is saved yet, and what you have filled in is kept."
)


class Needed(Exception):
    """A deed was begun that asks for the actor's password, and none stands. Nothing is written: the page asks, and tries again."""


class NotConfirmed(ValidationError):
    """The actor's password was not given or is not right. `wait`: seconds until the next try is looked at, 0 for now."""

    def __init__(self, message: str, wait: int = 0) -> None:
        super().__init__(message)
        self.wait = wait


def remember(request: HttpRequest) -> None:
    """`request.user` has just given the own password."""
    request.session[KEY] = {"at": database_now().isoformat(), "for": request.user.get_session_auth_hash()}


def stands(request: HttpRequest) -> bool:
    """Was the password that is valid now given in this session, and lately? A clock set back makes it ask once more (Z3)."""
    given = request.session.get(KEY)
    if not given or not constant_time_compare(given["for"], request.user.get_session_auth_hash()):
        return False
    return timedelta(0) <= database_now() - datetime.fromisoformat(given["at"]) < settings.CONFIRMATION_LASTS


def require(request: HttpRequest) -> None:
    """Raises Needed unless the actor's password stands."""
    if not stands(request):
        raise Needed


def asked(request: HttpRequest) -> None:
    """Tell the security log that the password was asked for."""
    security.refused(request, Event.CONFIRMATION, reason="asked")


def confirm(request: HttpRequest, password: str) -> None:
    """Let the actor's password stand from now on. Raises NotConfirmed, and says so in the security log."""
    if not password:
        asked(request)
        raise NotConfirmed(_("Write your own password, not that of the person on this page."))
    try:
        check_own_password(request, request.user, password)
    except ValidationError as refusal:
        wait = getattr(refusal, "wait", 0)
        outcome = Outcome.LIMITED if wait else Outcome.REFUSED
        security.refused(request, Event.CONFIRMATION, reason="attempts" if wait else "wrong password", outcome=outcome)
        raise NotConfirmed(" ".join(refusal.messages), wait) from None
    remember(request)
    security.done(request, Event.CONFIRMATION)


def password_field() -> forms.CharField:
    """Where the actor writes the own password."""
    return forms.CharField(
        label=gettext_lazy("Your password"),
        required=False,
        strip=False,
        max_length=4096,
        # the field appears on a page that was sent once already: what is still missing has the focus
        widget=forms.PasswordInput(
            attrs={"autocomplete": "current-password", "autofocus": True, "aria-describedby": "own-password-why"}
        ),
    )


class PasswordForm(forms.Form):
    """Nothing but the own password: for a page that asks it before a deed without a form. `request`: of the deed."""

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


class ConfirmedForm(forms.ModelForm):
    """A form some of whose changes (`confirmed_fields`) are only valid with the actor's password.

    `request` is set by the admin (`AccountScopedAdmin.get_form`). After validation `asks_password` says whether the page has
    to show the field, and `wait` for how long no password is looked at.
    """

    request: HttpRequest
    confirmed_fields: frozenset[str] = frozenset()
    asks_password = False
    why = WHY_SAVING
    wait = 0

    own_password = password_field()

    @cached_property
    def changed_data(self) -> list[str]:
        """Without the password: it is no change of the row."""
        return [name for name in super().changed_data if name != FIELD]

    def needs_password(self) -> bool:
        """Is something in this form that asks for the actor's password?"""
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
    """X3: the page that refused one guess too many says so in its status, too."""
    if wait := getattr(form, "wait", 0):
        response.status_code = 429
        response.headers["Retry-After"] = str(wait)
    return response
