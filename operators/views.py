"""Signing in and out, the way to one's own page, and the language of the pages."""

from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.auth import REDIRECT_FIELD_NAME, logout
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView, PasswordChangeView
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from operators import actions, confirmation, login_attempts, security, session_ages
from operators.configuration import choose_page_language
from operators.forms import LoginForm, OwnPasswordForm
from operators.models import Operator
from webim_offline.errors import DATABASE_AWAY
from webim_offline.security_log import Event


def own_page(operator: Operator) -> str:
    """Where somebody lands: support staff in the admin, everyone else in the workspace (interfaces.md)."""
    return reverse("admin:index") if operator.is_support else reverse("workspace")


def safe_next(request: HttpRequest) -> str:
    """The page asked for in `next`; empty for none, and for one on another site."""
    page = request.POST.get(REDIRECT_FIELD_NAME, request.GET.get(REDIRECT_FIELD_NAME, ""))
    safe = url_has_allowed_host_and_scheme(page, allowed_hosts={request.get_host()}, require_https=request.is_secure())
    return page if safe else ""


class Login(LoginView):
    """The one login of all staff. Ten failures a name and minute, then 429 (X3)."""

    form_class = LoginForm

    def get(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        # with `next` the form is shown even to somebody signed in: that page has just sent them here
        if request.user.is_authenticated and not self.get_redirect_url():
            return redirect(own_page(request.user))
        return super().get(request, *args, **kwargs)

    def post(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        wait = login_attempts.begin(request.POST.get("username", ""))
        if not wait:
            try:
                return super().post(request, *args, **kwargs)
            except DATABASE_AWAY:
                login_attempts.not_judged(request.POST.get("username", ""))
                raise
        form = LoginForm(request, initial={"username": request.POST.get("username", "")[:64]})
        response = self.render_to_response(self.get_context_data(form=form, wait=wait))
        response.status_code = 429
        response.headers["Retry-After"] = str(wait)
        return response

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        login_attempts.succeeded(self.request.POST.get("username", ""))
        response = super().form_valid(form)
        session_ages.begin(self.request)
        confirmation.remember(self.request)
        return response

    def get_default_redirect_url(self) -> str:
        return own_page(self.request.user)


@never_cache
@require_GET
def to_login(request: HttpRequest) -> HttpResponse:
    """The admin's own login address leads to the one login. Whoever is signed in and comes here may not open the admin."""
    if request.user.is_authenticated and not request.user.is_staff:
        security.refused(request, Event.DENIAL, reason="admin")
    page = safe_next(request) or reverse("admin:index")
    return redirect(f"{reverse('login')}?{urlencode({REDIRECT_FIELD_NAME: page})}")


@require_POST
def log_out(request: HttpRequest) -> HttpResponse:
    """Sign out; availability ends at once (A2)."""
    if request.user.is_authenticated:
        actions.sign_out(request.user)
    logout(request)
    return redirect("login")


@never_cache
@require_GET
def home(request: HttpRequest) -> HttpResponse:
    """The way to one's own page."""
    return redirect(own_page(request.user) if request.user.is_authenticated else reverse("login"))


@login_required
@require_POST
def set_language(request: HttpRequest) -> HttpResponse:
    """Choose the language of one's own pages (`language`: en, ru, or empty for the browser's)."""
    try:
        choose_page_language(request.user, request.POST.get("language", ""))
    except ValidationError as error:
        return HttpResponseBadRequest(error.message)
    return redirect(safe_next(request) or own_page(request.user))


def change_own_password(request: HttpRequest) -> HttpResponse:
    """One's own password, for whoever may open the admin; the admin's page, our action."""
    view = PasswordChangeView.as_view(
        form_class=OwnPasswordForm,
        success_url=reverse("admin:password_change_done"),
        extra_context=admin.site.each_context(request),
    )
    return admin.site.admin_view(view)(request)
