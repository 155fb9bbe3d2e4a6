"""Accounts and their parts in the admin. Actions write everything; `operators.admin.scope` says what a supervisor sees (X1)."""

from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth import admin as auth_admin  # noqa: F401 - registers Group, which is taken off below
from django.contrib.auth.models import Group
from django.db import models
from django.http import HttpRequest
from django.urls import reverse
from django.utils.dateparse import parse_datetime
from django.utils.formats import date_format
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from operators import security_events
from operators.actions.accounts import archive_account, create_account, restore_account
from operators.actions.parts import delete_part, save_part
from operators.actions.settings import change_settings
from operators.admin.archiving import Archiving
from operators.admin.scope import ReadOnlyInline, whom
from operators.forms import AccountForm, PartForm
from operators.models import Account, ContactField, Department, Language, Lifetime, Operator, SettingChange, SettingTarget
from operators.requests import operator_of
from webim_offline.foundation.logs.security import Event

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


class SettingChangeInline(ReadOnlyInline):
    """History of changes (M9)."""

    model = SettingChange
    fk_name = "account"
    verbose_name_plural = gettext_lazy("History of changes (the latest 50)")
    empty_text = gettext_lazy("No changes yet.")
    most = 50
    fields = readonly_fields = ("when", "who", "what", "old_value", "new_value")

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        return super().get_queryset(request).select_related("actor")

    @admin.display(description=gettext_lazy("who"))
    def who(self, change: SettingChange) -> str:
        return whom(change.actor, reader=self.reader)

    @admin.display(description=gettext_lazy("what"))
    def what(self, change: SettingChange) -> str:
        """The setting's label; for a department, language or contact field its kind and name as well."""
        label = _setting_label(change)
        return f"{_kind_label(change)} {change.target_name}: {label}" if change.target_name else label

    @admin.display(description=gettext_lazy("from"))
    def old_value(self, change: SettingChange) -> str:
        return in_words(change, change.before)

    @admin.display(description=gettext_lazy("to"))
    def new_value(self, change: SettingChange) -> str:
        return in_words(change, change.after)


MODELS: dict[str, type[models.Model]] = {
    SettingTarget.ACCOUNT: Account,
    SettingTarget.DEPARTMENT: Department,
    SettingTarget.LANGUAGE: Language,
    SettingTarget.CONTACT_FIELD: ContactField,
    SettingTarget.OPERATOR: Operator,
}


def _kind_label(change: SettingChange) -> str:
    """What kind of row changed, as its pages call it; a kind that this version does not know, as it is stored."""
    model = MODELS.get(change.kind)
    return change.kind if model is None else str(model._meta.verbose_name)


def _setting_label(change: SettingChange) -> str:
    """The changed field's label; where no field of that name is known, what happened to the whole row, or the name as stored."""
    field = _field(change)
    if field is not None:
        return str(field.verbose_name)
    return str(dict(Lifetime.choices).get(change.setting, change.setting))


def _field(change: SettingChange) -> "models.Field[Any, Any] | None":
    """The changed field; None where the whole row was added or deleted, and for one that this version does not know."""
    model = MODELS.get(change.kind)
    fields = {} if model is None else {field.name: field for field in model._meta.concrete_fields}
    return fields.get(change.setting)


def in_words(change: SettingChange, value: object) -> str:
    """A recorded value as the form shows it; empty for none."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return _("on") if value else _("off")
    field = _field(change)
    if isinstance(field, models.DateTimeField) and (moment := parse_datetime(str(value))):
        return date_format(localtime(moment), "SHORT_DATETIME_FORMAT")
    choices = [] if field is None else field.flatchoices
    return next((str(label) for choice, label in choices if choice == value), str(value))


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
    asks_password = True

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

    def get_readonly_fields(self, request: HttpRequest, obj: Account | None = None) -> list[str]:
        fields = list(super().get_readonly_fields(request, obj))
        if operator_of(request).is_support:
            return fields
        return fields + [field.name for field in Account._meta.fields if field.name not in {*SUPERVISORS_SETTINGS, *fields}]

    def get_inlines(self, request: HttpRequest, obj: Account | None) -> list[Any]:
        return list(self.inlines) if obj else []

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

    def save_model(self, request: HttpRequest, obj: Account, form: Any, change: bool) -> None:
        if change:
            changes = {name: form.cleaned_data[name] for name in form.changed_data}
            change_settings(obj, changes, actor=operator_of(request))
        else:
            create_account(obj, language_codes=form.cleaned_data["language_codes"], actor=operator_of(request))
        self.tell(request, obj, form)
        if not obj.left_messages_email:
            messages.warning(request, NO_ADDRESS)

    def archive_one(self, request: HttpRequest, row: Account) -> None:
        archive_account(row, actor=operator_of(request))
        security_events.done(request, Event.ACTIVATION, to=row, reason="account archived")

    def restore_one(self, request: HttpRequest, row: Account) -> None:
        restore_account(row, actor=operator_of(request))
        security_events.done(request, Event.ACTIVATION, to=row, reason="account restored")

    def has_archive_permission(self, request: HttpRequest) -> bool:
        return operator_of(request).is_support

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

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        save_part(obj, actor=operator_of(request))
        self.tell(request, obj.account, form)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        delete_part(obj, actor=operator_of(request))


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
