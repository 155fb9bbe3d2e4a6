"""Accounts, their parts and their people in the admin. Writes go through named actions; X1 lives in `admin_scope`."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.admin import Group
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import models
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.dateparse import parse_datetime
from django.utils.decorators import method_decorator
from django.utils.formats import date_format
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.debug import sensitive_post_parameters

from operators import actions, configuration
from operators.admin_scope import AccountScopedAdmin, OwnRelatedFilter, ReadOnlyAdmin, ReadOnlyInline
from operators.forms import AccountForm, OperatorForm, PartForm
from operators.models import Account, ContactField, Department, Language, Operator, OperatorChange, SettingChange

__all__ = ["AccountScopedAdmin", "OwnRelatedFilter", "ReadOnlyAdmin", "ReadOnlyInline"]

admin.site.site_header = gettext_lazy("Settings of the service")
admin.site.site_title = gettext_lazy("Settings")
admin.site.index_title = gettext_lazy("What would you like to look at?")

admin.site.unregister(Group)  # rights follow from the role alone

# interfaces.md, "Settings of an account": what a customer's supervisor may change; the rest only support staff
SUPERVISORS_SETTINGS = frozenset(
    {
        "name",
        "time_zone",
        "left_messages_email",
        "assignment",
        "pickup_timeout",
        "close_after",
        "widget_offline_mode",
        "contact_name",
        "contact_email",
        "contact_phone",
        "privacy_url",
        "sites",
    }
)


def whom(person: Operator | None, *, reader: Operator) -> str:
    """A person as `reader` may know them: for a customer the support staff has no names."""
    return "" if person is None else person.name_for(reader)


class SettingChangeInline(ReadOnlyInline):
    """History of changes (M9)."""

    model = SettingChange
    fk_name = "account"
    verbose_name_plural = gettext_lazy("History of changes (the latest 50)")
    empty_text = gettext_lazy("No changes yet.")
    most = 50
    fields = readonly_fields = ("when", "who", "what", "old_value", "new_value")

    def get_queryset(self, request: HttpRequest) -> models.QuerySet:
        return super().get_queryset(request).select_related("actor")

    @admin.display(description=gettext_lazy("who"))
    def who(self, change: SettingChange) -> str:
        return whom(change.actor, reader=self.reader)

    @admin.display(description=gettext_lazy("what"))
    def what(self, change: SettingChange) -> str:
        """The setting's label; for a department, language or contact field its kind and name as well."""
        model, name, part = changed_setting(change)
        field = field_of(model, name)
        label = str(field.verbose_name if field else PART_CHANGES.get(name, name))
        return f"{model._meta.verbose_name} {part}: {label}" if part else label

    @admin.display(description=gettext_lazy("from"))
    def old_value(self, change: SettingChange) -> str:
        return in_words(change, change.old)

    @admin.display(description=gettext_lazy("to"))
    def new_value(self, change: SettingChange) -> str:
        return in_words(change, change.new)


def changed_setting(change: SettingChange) -> tuple[type[models.Model], str, str]:
    """Model, field and name of what changed: `field` of the account, or `kind.field.name` of one of its parts."""
    kind, _dot, rest = change.field.partition(".")
    model = {"department": Department, "language": Language, "contactfield": ContactField, "operator": Operator}.get(kind)
    if not rest or model is None:
        return Account, change.field, ""
    name, _dot, part = rest.partition(".")
    return model, name, part


def field_of(model: type[models.Model], name: str) -> Any:
    """The field of that name; None for what is none ("added")."""
    try:
        return model._meta.get_field(name)
    except FieldDoesNotExist:
        return None


def in_words(change: SettingChange, value: str) -> str:
    """A recorded value as the form shows it."""
    field = field_of(*changed_setting(change)[:2])
    if field is None or value in {"", "None"}:
        return "" if value == "None" else value
    if isinstance(field, models.BooleanField):
        return _("on") if value == "True" else _("off")
    if isinstance(field, models.DateTimeField) and (moment := parse_datetime(value)):
        return date_format(localtime(moment), "SHORT_DATETIME_FORMAT")
    return str(dict(field.flatchoices).get(value, value))


PART_CHANGES = {
    "added": gettext_lazy("added"),
    "archived": gettext_lazy("archived"),
    "restored": gettext_lazy("brought back"),
    "deleted": gettext_lazy("deleted"),
}


class Archiving(AccountScopedAdmin):
    """A5: what anything mentions is archived; only what nothing mentions can be deleted."""

    actions = ("archive", "restore")

    @admin.action(description=gettext_lazy("Archive"), permissions=["archive"])
    def archive(self, request: HttpRequest, queryset: models.QuerySet) -> None:
        rows = queryset.filter(archived_at=None)
        if done := self._each(request, rows, partial(self.archive_one, actor=request.user), "archived"):
            messages.success(request, ngettext("%(count)s row archived.", "%(count)s rows archived.", done) % {"count": done})

    @admin.action(description=gettext_lazy("Bring back from the archive"), permissions=["archive"])
    def restore(self, request: HttpRequest, queryset: models.QuerySet) -> None:
        rows = queryset.exclude(archived_at=None)
        if done := self._each(request, rows, partial(self.restore_one, actor=request.user), "archived"):
            messages.success(
                request, ngettext("%(count)s row brought back.", "%(count)s rows brought back.", done) % {"count": done}
            )

    def _each(self, request: HttpRequest, rows: models.QuerySet, act: Callable[[Any], None], changed: str) -> int:
        """Do `act`, which changes the field `changed`, to each row on its own; returns how many were done.

        Those it refuses are named with the reason.
        """
        done = 0
        for row in rows:
            try:
                act(row)
            except ValidationError as refusal:
                messages.error(request, f"{row}: {' '.join(refusal.messages)}")
            else:
                self.log_change(request, row, [{"changed": {"fields": [changed]}}])
                done += 1
        return done

    def archive_one(self, row: Any, *, actor: Operator) -> None:
        configuration.archive_part(row, actor=actor)

    def restore_one(self, row: Any, *, actor: Operator) -> None:
        configuration.restore_part(row, actor=actor)

    def has_archive_permission(self, request: HttpRequest) -> bool:
        return self.has_change_permission(request)

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        allowed = super().has_delete_permission(request, obj)
        if not allowed or obj is None:
            return allowed
        if not hasattr(obj, "_may_go"):  # asked several times a page
            obj._may_go = not configuration.is_mentioned(obj)
        return obj._may_go


@admin.register(Account)
class AccountAdmin(Archiving):
    """An account's settings: supervisors change their part and read the rest; support staff change all (interfaces.md)."""

    account_path = "pk"
    support_columns = ()
    form = AccountForm
    list_display = ("name", "slug", "left_messages_email", "left_messages_in_workspace", "archived_at")
    list_filter = (("archived_at", admin.EmptyFieldListFilter), "left_messages_in_workspace")
    search_fields = ("name", "slug")
    formfield_overrides = {models.URLField: {"assume_scheme": "https"}}
    inlines = (SettingChangeInline,)
    readonly_fields = ("created_at", "archived_at", "parts")

    def get_fieldsets(self, request: HttpRequest, obj: Account | None = None) -> Any:
        own = ["name", "slug", "time_zone", "sites"]
        return [
            (None, {"fields": [*own, "parts", "created_at", "archived_at"] if obj else [*own, "language_codes"]}),
            (
                _("Left messages"),
                {"fields": ["left_messages_email", "left_messages_in_workspace"], "description": mail_warnings(obj) or None},
            ),
            (
                _("Widget while nobody is online"),
                {"fields": ["widget_offline_mode", "contact_name", "contact_email", "contact_phone", "privacy_url"]},
            ),
            (
                _("When visitors and operators are gone"),
                {
                    "fields": ["left_notice_after", "offline_after", "visit_lease", "operator_lease"],
                    "description": _("A change acts within two seconds, for visitors who have already left too."),
                },
            ),
            (
                _("Queues and assignment"),
                {
                    "fields": ["assignment", "pickup_timeout", "max_online_dialogs", "max_offline_dialogs"],
                    "description": _("Whoever takes a dialog by hand at the limit is warned, not stopped."),
                },
            ),
            (_("Closing of dialogs"), {"fields": ["close_after", "reopen_window"]}),
            (_("Workspace"), {"fields": ["visible_online_dialogs", "visible_offline_dialogs"]}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Account | None = None) -> Sequence[str]:
        fields = list(super().get_readonly_fields(request, obj))
        if request.user.is_support:
            return fields
        return fields + [field.name for field in Account._meta.fields if field.name not in {*SUPERVISORS_SETTINGS, *fields}]

    def get_inlines(self, request: HttpRequest, obj: Account | None) -> Sequence[type[ReadOnlyInline]]:
        return self.inlines if obj else ()

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"language_codes": settings.LANGUAGE_CODE, **super().get_changeform_initial_data(request)}

    @admin.display(description=gettext_lazy("people and parts"))
    def parts(self, account: Account) -> SafeString:
        pages = (
            (model._meta.verbose_name_plural, reverse(f"admin:operators_{model._meta.model_name}_changelist"))
            for model in (Department, Language, Operator, ContactField)
        )
        links = ((f"{page}?{urlencode({'account': account.pk})}", name) for name, page in pages)
        return format_html_join(" · ", '<a href="{}">{}</a>', links)

    def save_model(self, request: HttpRequest, obj: Account, form: ModelForm, change: bool) -> None:
        if change:
            changes = {name: form.cleaned_data[name] for name in form.changed_data}
            actions.change_settings(obj, changes, actor=request.user)
        else:
            configuration.create_account(obj, language_codes=form.cleaned_data["language_codes"], actor=request.user)
        if not obj.left_messages_email:
            messages.warning(request, NO_ADDRESS)

    def archive_one(self, row: Account, *, actor: Operator) -> None:
        configuration.archive_account(row, actor=actor)

    def restore_one(self, row: Account, *, actor: Operator) -> None:
        configuration.restore_account(row, actor=actor)

    def has_archive_permission(self, request: HttpRequest) -> bool:
        return request.user.is_support

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False


NO_ADDRESS = gettext_lazy("No address is set for left messages: they are not mailed, they only arrive in the workspace.")


def mail_warnings(account: Account | None) -> SafeString:
    """M1: why left messages of this account go by no mail."""
    texts = []
    if account is not None and not account.left_messages_email:
        texts.append(NO_ADDRESS)
    if settings.MAIL_SERVER is None:
        texts.append(gettext_lazy("No mail server is configured (EMAIL_URL): letters are kept here and not sent anywhere."))
    return format_html_join("", '<p class="errornote">{}</p>', ((text,) for text in texts))


class PartAdmin(Archiving):
    """Departments, languages and own contact fields."""

    form = PartForm
    autocomplete_fields = ("account",)
    list_select_related = ("account",)

    def save_model(self, request: HttpRequest, obj: Any, form: ModelForm, change: bool) -> None:
        configuration.save_part(obj, actor=request.user)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        configuration.delete_part(obj, actor=request.user)


@admin.register(Department)
class DepartmentAdmin(PartAdmin):
    fields = ("account", "name", "slug", "left_messages_email", "pickup_timeout", "archived_at")
    readonly_fields = ("archived_at",)
    list_display = ("name", "slug", "left_messages_email", "archived_at")
    list_filter = (("archived_at", admin.EmptyFieldListFilter),)
    search_fields = ("name", "slug")


@admin.register(Language)
class LanguageAdmin(PartAdmin):
    fields = ("account", "code", "position", "offline_text", "archived_at")
    readonly_fields = ("archived_at",)
    list_display = ("code", "position", "offline_text", "archived_at")
    list_filter = (("archived_at", admin.EmptyFieldListFilter),)
    search_fields = ("code",)


@admin.register(ContactField)
class ContactFieldAdmin(PartAdmin):
    actions = None
    fields = ("account", "label", "requirement", "position")
    list_display = ("label", "requirement", "position")
    list_filter = ("requirement",)
    search_fields = ("label",)


class OperatorChangeInline(ReadOnlyInline):
    """When this person was available, and why (A4)."""

    model = OperatorChange
    fk_name = "operator"
    verbose_name_plural = gettext_lazy("Availability (the latest 30 changes)")
    most = 30
    fields = readonly_fields = ("when", "reason", "status", "is_online", "by")

    def get_queryset(self, request: HttpRequest) -> models.QuerySet:
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
    readonly_fields = ("last_seen_at", "last_login", "created_at")
    inlines = (OperatorChangeInline,)

    def get_queryset(self, request: HttpRequest) -> models.QuerySet:
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
        password = {"fields": ["password1", "password2"]}
        if obj is None:
            # support staff choose the account first; its departments and languages come on the next page
            places = [] if request.user.is_support else [where]
            return self.for_reader(request, [(None, {"fields": [*who, "ui_language"]}), *places, (_("Password"), password)])
        limits = (
            _("Limits of this person"),
            {
                "fields": list(actions.LIMITS),
                "description": _("Empty: the account's. 0: no limit. Only support staff change them."),
            },
        )
        own_places = [where, (_("Availability"), {"fields": ["status", "last_seen_at"]}), limits] if obj.account_id else []
        return self.for_reader(
            request,
            [
                (None, {"fields": [*who, "is_active"]}),
                *own_places,
                (_("New password"), password | {"classes": ["collapse"]}),
                (_("Pages"), {"fields": ["ui_language", "last_login", "created_at"]}),
            ],
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Operator | None = None) -> Sequence[str]:
        fields = list(super().get_readonly_fields(request, obj))
        return fields if request.user.is_support else [*fields, *actions.LIMITS]

    def get_inlines(self, request: HttpRequest, obj: Operator | None) -> Sequence[type[ReadOnlyInline]]:
        return self.inlines if obj and obj.account_id else ()

    @method_decorator(sensitive_post_parameters())
    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return super().changeform_view(request, *args, **kwargs)

    def response_add(self, request: HttpRequest, obj: Operator, post_url_continue: str | None = None) -> HttpResponse:
        """Support staff go on to the departments and languages of the account they chose."""
        if request.user.is_support and obj.account_id and "_addanother" not in request.POST:
            request.POST = request.POST.copy()
            request.POST["_continue"] = "1"
        return super().response_add(request, obj, post_url_continue)

    def save_model(self, request: HttpRequest, obj: Operator, form: ModelForm, change: bool) -> None:
        given = form.cleaned_data
        if not change:
            configuration.create_operator(
                obj,
                password=given["password1"],
                departments=given.get("departments", ()),
                languages=given.get("languages", ()),
                actor=request.user,
            )
            return
        changed = set(form.changed_data)
        if described := [name for name in ("username", "name", "email", "role", "ui_language") if name in changed]:
            configuration.describe_operator(obj, described)
        if obj.account_id is None and "is_active" in changed:
            configuration.set_support_active(obj, active=given["is_active"])
        elif {"departments", "languages", "is_active"} & changed:
            actions.change_people(
                obj,
                departments=list(given["departments"]),
                languages=list(given["languages"]),
                active=given["is_active"],
                actor=request.user,
            )
        if limits := {name: given[name] for name in actions.LIMITS if name in changed}:
            actions.change_limits(obj, limits, actor=request.user)
        if "status" in changed:
            actions.set_status(obj, given["status"], actor=request.user)
        if given.get("password1"):
            configuration.set_password(obj, given["password1"])
            if obj.pk == request.user.pk:
                update_session_auth_hash(request, obj)

    def delete_model(self, request: HttpRequest, obj: Operator) -> None:
        configuration.delete_operator(obj)

    @admin.action(description=gettext_lazy("Deactivate: signed out at once, cannot sign in"), permissions=["archive"])
    def deactivate(self, request: HttpRequest, queryset: models.QuerySet) -> None:
        if queryset.filter(pk=request.user.pk).exists():
            messages.error(request, _("You cannot deactivate yourself."))
        people = queryset.filter(is_active=True).exclude(pk=request.user.pk)
        if done := self._each(request, people, partial(self._set_active, active=False, actor=request.user), "active"):
            messages.success(
                request, ngettext("%(count)s person deactivated.", "%(count)s people deactivated.", done) % {"count": done}
            )

    @admin.action(description=gettext_lazy("Activate"), permissions=["archive"])
    def activate(self, request: HttpRequest, queryset: models.QuerySet) -> None:
        people = queryset.filter(is_active=False)
        if done := self._each(request, people, partial(self._set_active, active=True, actor=request.user), "active"):
            messages.success(
                request, ngettext("%(count)s person activated.", "%(count)s people activated.", done) % {"count": done}
            )

    def _set_active(self, operator: Operator, *, active: bool, actor: Operator) -> None:
        if operator.account_id is None:
            configuration.set_support_active(operator, active=active)
            return
        departments, languages = list(operator.departments.all()), list(operator.languages.all())
        actions.change_people(operator, departments=departments, languages=languages, active=active, actor=actor)
