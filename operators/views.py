"""Signing in and out, the own password, the way to one's own page, and the language of the pages."""

from typing import Any
from urllib.parse import urlencode

from django.contrib.auth import REDIRECT_FIELD_NAME, logout
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView, PasswordChangeView
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect, render
from django.urls import reverse, reverse_lazy
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from operators import security_events
from operators.actions.people import choose_page_language
from operators.actions.status import sign_out
from operators.authentication import confirmation, known_browsers, login_attempts, session_ages
from operators.authentication.hashers import RETRY_AFTER, HashingBusy
from operators.forms import LoginForm, OwnPasswordForm
from operators.models import Operator
from operators.requests import OperatorRequest, operator_of
from webim_offline.foundation.http.client_address import client_network
from webim_offline.foundation.http.errors import DATABASE_AWAY
from webim_offline.foundation.logs.security import Event, Outcome
from webim_offline.foundation.text import cut


def own_page(operator: Operator) -> str:
    """Where somebody lands: support staff in the admin, everyone else in the workspace (interfaces.md)."""
    return reverse("admin:index") if operator.is_support else reverse("workspace")


def safe_next(request: HttpRequest) -> str:
    """The page asked for in `next`; empty for none, and for one on another site."""
    page = request.POST.get(REDIRECT_FIELD_NAME, request.GET.get(REDIRECT_FIELD_NAME, ""))
    safe = url_has_allowed_host_and_scheme(page, allowed_hosts={request.get_host()}, require_https=request.is_secure())
    return page if safe else ""


class Login(LoginView):
    """The one login of all staff; so many attempts and no more (X3, `login_attempts`), then 429."""

    form_class = LoginForm

    def get(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        # with `next` the form is shown even to somebody signed in: that page has just sent them here
        if request.user.is_authenticated and not self.get_redirect_url():
            return redirect(own_page(request.user))
        return super().get(request, *args, **kwargs)

    def post(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        name, network = request.POST.get("username", ""), client_network(request)
        self.attempt = login_attempts.begin(name, network=network, browser=known_browsers.known_as(request, name))
        if self.attempt.wait:
            return self._limited(self.attempt.wait, self.attempt.limit)
        try:
            return super().post(request, *args, **kwargs)
        except HashingBusy:
            self.attempt.not_judged()
            return self._limited(RETRY_AFTER, "hashing")
        except DATABASE_AWAY:
            self.attempt.not_judged()
            raise

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        self.attempt.succeeded()
        response = super().form_valid(form)
        session_ages.begin(self.request)
        confirmation.remember(self.request)
        known_browsers.remember(self.request, response, form.get_user())
        self._log(Outcome.DONE, form.get_user())
        return response

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        self._log(Outcome.REFUSED, self._person(), "demo password" if form.has_error(NON_FIELD_ERRORS, "demo") else "")
        return super().form_invalid(form)

    def get_default_redirect_url(self) -> str:
        return own_page(operator_of(self.request))

    def _limited(self, wait: int, limit: str) -> HttpResponse:
        self._log(Outcome.LIMITED, self._person(), limit)
        form = LoginForm(self.request, initial={"username": cut(self.request.POST.get("username", ""), 64)})
        response = self.render_to_response(self.get_context_data(form=form, refusal=_too_many(wait, limit)), status=429)
        response.headers["Retry-After"] = str(wait)
        return response

    def _person(self) -> Operator | None:
        """Whose login was typed, for the log alone; asked for names that exist and names that do not."""
        return Operator.objects.with_login(self.request.POST.get("username", ""))

    def _log(self, outcome: Outcome, person: Operator | None, reason: str = "") -> None:
        security_events.happened(self.request, Event.SIGN_IN, outcome, person, reason=reason)


def _too_many(wait: int, limit: str) -> str:
    if limit == "hashing":
        return _("Many people are signing in at this moment. Try again in a few seconds.")
    if limit == "login_network":
        text = ngettext(
            "Too many failed attempts to sign in from your network. Try again in %(seconds)s second.",
            "Too many failed attempts to sign in from your network. Try again in %(seconds)s seconds.",
            wait,
        )
    else:
        text = ngettext(
            "Too many failed attempts with this login. Try again in %(seconds)s second.",
            "Too many failed attempts with this login. Try again in %(seconds)s seconds.",
            wait,
        )
    return text % {"seconds": wait}


@never_cache
@require_GET
def to_login(request: HttpRequest) -> HttpResponse:
    """The admin's own login address leads to the one login. Whoever is signed in and comes here may not open the admin."""
    if request.user.is_authenticated and not request.user.is_staff:
        security_events.refused(request, Event.DENIAL, reason="admin")
    page = safe_next(request) or reverse("admin:index")
    return redirect(f"{reverse('login')}?{urlencode({REDIRECT_FIELD_NAME: page})}")


@require_POST
def log_out(request: HttpRequest) -> HttpResponse:
    """Sign out; availability ends at once (A2)."""
    if request.user.is_authenticated:
        sign_out(request.user)
        security_events.happened(request, Event.SIGN_OUT, Outcome.DONE, request.user)
    logout(request)
    return redirect("login")


@never_cache
@require_GET
def home(request: HttpRequest) -> HttpResponse:
    """The way to one's own page."""
    return redirect(own_page(request.user) if request.user.is_authenticated else reverse("login"))


@login_required
@require_POST
def set_language(request: OperatorRequest) -> HttpResponse:
    """Choose the language of one's own pages (`language`: en, ru, or empty for the browser's)."""
    try:
        choose_page_language(request.user, request.POST.get("language", ""))
    except ValidationError as error:
        return HttpResponseBadRequest(error.message)
    return redirect(safe_next(request) or own_page(request.user))


@method_decorator(never_cache, name="dispatch")
class OwnPassword(PasswordChangeView):
    """The one page on which people of every role change their own password: other browsers are signed out, this one stays."""

    form_class = OwnPasswordForm
    template_name = "registration/own_password.html"
    success_url = reverse_lazy("password-changed")

    def get_form_kwargs(self) -> dict[str, Any]:
        return super().get_form_kwargs() | {"request": self.request}

    def form_valid(self, form: Any) -> HttpResponse:
        response = super().form_valid(form)
        known_browsers.remember(self.request, response, form.user)
        confirmation.remember(self.request)
        security_events.happened(self.request, Event.PASSWORD, Outcome.DONE, form.user)
        return response

    def form_invalid(self, form: Any) -> HttpResponse:
        response = super().form_invalid(form)
        if form.wait:
            security_events.happened(self.request, Event.PASSWORD, Outcome.LIMITED, form.user)
            response.status_code = 429
            response.headers["Retry-After"] = str(form.wait)
        else:
            security_events.happened(self.request, Event.PASSWORD, Outcome.REFUSED, form.user, reason=form.reason)
        return response


@never_cache
@login_required
@require_GET
def password_changed(request: HttpRequest) -> HttpResponse:
    """What has come of it."""
    return render(request, "registration/password_changed.html")


@require_GET
def to_own_password(request: HttpRequest) -> HttpResponse:
    """The admin's own addresses of a password lead to the one page."""
    return redirect("password")
