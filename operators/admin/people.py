"""People in the admin: who they are, where they answer, whether they may sign in. Whatever opens a door is confirmed."""

from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.db import models
from django.http import HttpRequest, HttpResponse, QueryDict
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.debug import sensitive_post_parameters

from operators import security_events
from operators.actions.people import (
    change_people,
    create_operator,
    delete_operator,
    describe_operator,
    set_password,
    set_support_active,
)
from operators.actions.settings import LIMITS, change_limits
from operators.actions.status import set_status
from operators.admin.archiving import Archiving
from operators.admin.scope import OwnRelatedFilter, ReadOnlyInline, whom
from operators.authentication import confirmation
from operators.forms import OperatorForm
from operators.models import Operator, OperatorChange
from operators.requests import operator_of
from webim_offline.foundation.logs.security import Event


class OperatorChangeInline(ReadOnlyInline):
    """When this person was available, and why (A4)."""

    model = OperatorChange
    fk_name = "operator"
    verbose_name_plural = gettext_lazy("Availability (the latest 30 changes)")
    most = 30
    fields = readonly_fields = ("when", "reason", "status", "is_online", "by")

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        return super().get_queryset(request).select_related("actor")

    @admin.display(description=gettext_lazy("by"))
    def by(self, change: OperatorChange) -> str:
        return whom(change.actor, reader=self.reader)


@admin.register(Operator)
class OperatorAdmin(Archiving):
    """People. Supervisors see those of their account, and make them operators or supervisors, nothing else."""

    actions = ("activate", "deactivate")
    form = OperatorForm
    list_display = ("name", "username", "role", "is_active", "status", "last_seen_at", "their_departments", "their_languages")
    list_select_related = ("account",)
    list_filter = (
        "is_active",
        "role",
        "status",
        ("departments", OwnRelatedFilter),
        ("languages", OwnRelatedFilter),
    )
    search_fields = ("name", "username", "email")
    autocomplete_fields = ("account",)
    readonly_fields = ("own_password_page", "last_seen_at", "last_login", "created_at")
    inlines = (OperatorChangeInline,)

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        return super().get_queryset(request).prefetch_related("departments", "languages")

    @admin.display(description=gettext_lazy("departments"))
    def their_departments(self, operator: Operator) -> str:
        return ", ".join(str(department) for department in operator.departments.all())

    @admin.display(description=gettext_lazy("languages"))
    def their_languages(self, operator: Operator) -> str:
        return ", ".join(str(language) for language in operator.languages.all())

    def get_fieldsets(self, request: HttpRequest, obj: Operator | None = None) -> Any:
        who = ["name", "username", "email", "role", "account"]
        where = (
            _("Where this person answers"),
            {
                "fields": ["departments", "languages"],
                "description": _("A dialog starts online when somebody online has its department and its language."),
            },
        )
        if obj is None:
            # support staff choose the account first; its departments and languages come on the next page
            places = [] if operator_of(request).is_support else [where]
            password = (_("Password"), {"fields": ["password1", "password2"]})
            return self.for_reader(request, [(None, {"fields": [*who, "ui_language"]}), *places, password])
        limits = (
            _("Limits of this person"),
            {
                "fields": list(LIMITS),
                "description": _("Empty: the account's. 0: no limit. Only support staff change them."),
            },
        )
        own_places = [where, (_("Availability"), {"fields": ["status", "last_seen_at"]}), limits] if obj.account_id else []
        return self.for_reader(
            request,
            [
                (None, {"fields": [*who, "is_active"]}),
                *own_places,
                self._password(of_oneself=obj.pk == operator_of(request).pk),
                (_("Pages"), {"fields": ["ui_language", "last_login", "created_at"]}),
            ],
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Operator | None = None) -> list[str]:
        fields = list(super().get_readonly_fields(request, obj))
        return fields if operator_of(request).is_support else [*fields, *LIMITS]

    def _password(self, *, of_oneself: bool) -> tuple[str, dict[str, Any]]:
        """The own password is changed on a page of its own, which asks for the old one, and nowhere else."""
        if of_oneself:
            return _("Password"), {"fields": ["own_password_page"]}
        return _("New password"), {"fields": ["password1", "password2"], "classes": ["collapse"]}

    @admin.display(description=gettext_lazy("password"))
    def own_password_page(self, operator: Operator) -> SafeString:
        return format_html('<a href="{}">{}</a>', reverse("password"), _("Change your password"))

    def get_inlines(self, request: HttpRequest, obj: Operator | None) -> list[Any]:
        return list(self.inlines) if obj and obj.account_id else []

    @method_decorator(sensitive_post_parameters())
    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return super().changeform_view(request, *args, **kwargs)

    def response_add(self, request: HttpRequest, obj: Operator, post_url_continue: str | None = None) -> HttpResponse:
        """Support staff go on to the departments and languages of the account they chose."""
        if operator_of(request).is_support and obj.account_id and "_addanother" not in request.POST:
            data: Any = request.POST.copy()
            data["_continue"] = "1"
            request.POST = data
        return super().response_add(request, obj, post_url_continue)

    def save_model(self, request: HttpRequest, obj: Operator, form: Any, change: bool) -> None:
        given = form.cleaned_data
        if not change:
            create_operator(
                obj,
                password=given["password1"],
                departments=given.get("departments", ()),
                languages=given.get("languages", ()),
                actor=operator_of(request),
            )
            security_events.done(request, Event.ROLE, to=obj, reason=f"added as {obj.role}")
            return
        changed = set(form.changed_data)
        if described := [name for name in ("username", "name", "email", "role", "ui_language") if name in changed]:
            describe_operator(obj, described, actor=operator_of(request))
        if obj.account_id is None and "is_active" in changed:
            set_support_active(obj, active=given["is_active"])
        elif {"departments", "languages", "is_active"} & changed:
            change_people(
                obj,
                departments=list(given["departments"]),
                languages=list(given["languages"]),
                active=given["is_active"],
                actor=operator_of(request),
            )
        if limits := {name: given[name] for name in LIMITS if name in changed}:
            change_limits(obj, limits, actor=operator_of(request))
        if "status" in changed:
            set_status(obj, given["status"], actor=operator_of(request))
        if given.get("password1"):
            set_password(obj, given["password1"])
        self._tell_of(request, obj, form)

    def _tell_of(self, request: HttpRequest, person: Operator, form: Any) -> None:
        """The security log: what changed of somebody that asks for a confirmation."""
        changed = set(form.changed_data)
        if "role" in changed:
            security_events.done(request, Event.ROLE, to=person, reason=person.role)
        if "is_active" in changed:
            self._tell_active(request, person, active=form.cleaned_data["is_active"])
        if "email" in changed:
            security_events.done(request, Event.SETTING, to=person, reason="email")
        if form.cleaned_data.get("password1"):
            security_events.done(request, Event.PASSWORD, to=person, reason="set by another")

    def _tell_active(self, request: HttpRequest, person: Operator, *, active: bool) -> None:
        security_events.done(request, Event.ACTIVATION, to=person, reason="activated" if active else "deactivated")

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Asks for the actor's password like what changes a person; what may not be deleted says so first."""
        if request.method == "POST":
            try:
                return super().delete_view(request, object_id, extra_context)
            except confirmation.Needed:
                form: confirmation.PasswordForm | None = confirmation.PasswordForm(request, request.POST)
            if form is not None and form.is_valid():
                return super().delete_view(request, object_id, extra_context)
            request.method, request.POST = "GET", QueryDict()
        else:
            form = None if confirmation.stands(request) else confirmation.PasswordForm(request)
        page = super().delete_view(request, object_id, {"password_form": form, **(extra_context or {})})
        return confirmation.with_wait(page, form)

    def delete_model(self, request: HttpRequest, obj: Operator) -> None:
        confirmation.require(request)
        security_events.done(request, Event.ACTIVATION, to=obj, reason="deleted")
        delete_operator(obj)

    @admin.action(description=gettext_lazy("Deactivate: signed out at once, cannot sign in"), permissions=["archive"])
    def deactivate(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> HttpResponse | None:
        if page := self.password_page(request, queryset, _("Deactivate")):
            return page
        if queryset.filter(pk=operator_of(request).pk).exists():
            messages.error(request, _("You cannot deactivate yourself."))
        people = queryset.filter(is_active=True).exclude(pk=operator_of(request).pk)
        if done := self._each(request, people, partial(self._set_active, request, active=False), "active"):
            messages.success(
                request, ngettext("%(count)s person deactivated.", "%(count)s people deactivated.", done) % {"count": done}
            )
        return None

    @admin.action(description=gettext_lazy("Activate"), permissions=["archive"])
    def activate(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> HttpResponse | None:
        if page := self.password_page(request, queryset, _("Activate")):
            return page
        people = queryset.filter(is_active=False)
        if done := self._each(request, people, partial(self._set_active, request, active=True), "active"):
            messages.success(
                request, ngettext("%(count)s person activated.", "%(count)s people activated.", done) % {"count": done}
            )
        return None

    def _set_active(self, request: HttpRequest, operator: Operator, *, active: bool) -> None:
        if operator.account_id is None:
            set_support_active(operator, active=active)
        else:
            departments, languages = list(operator.departments.all()), list(operator.languages.all())
            change_people(operator, departments=departments, languages=languages, active=active, actor=operator_of(request))
        self._tell_active(request, operator, active=active)
