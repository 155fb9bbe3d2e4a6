"""Accounts, their parts and their people in the admin. Writes go through named actions; X1 lives in `admin_scope`."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.admin import Group
from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.forms import ModelForm
from django.http import HttpRequest
from django.urls import reverse
from django.utils.dateparse import parse_datetime
from django.utils.formats import date_format
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from operators import actions, configuration, security
from operators.admin_archiving import Archiving
from operators.admin_people import OperatorAdmin
from operators.admin_scope import AccountScopedAdmin, OwnRelatedFilter, ReadOnlyAdmin, ReadOnlyInline, whom
from operators.forms import AccountForm, PartForm
from operators.models import Account, ContactField, Department, Language, Operator, SettingChange
from webim_offline.security_log import Event

__all__ = ["AccountScopedAdmin", "OperatorAdmin", "OwnRelatedFilter", "ReadOnlyAdmin", "ReadOnlyInline", "whom"]

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
        self.tell(request, obj, form)
        if not obj.left_messages_email:
            messages.warning(request, NO_ADDRESS)

    def archive_one(self, request: HttpRequest, row: Account) -> None:
        configuration.archive_account(row, actor=request.user)
        security.done(request, Event.ACTIVATION, to=row, reason="account archived")

    def restore_one(self, request: HttpRequest, row: Account) -> None:
        configuration.restore_account(row, actor=request.user)
        security.done(request, Event.ACTIVATION, to=row, reason="account restored")

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
        self.tell(request, obj.account, form)

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
