"""X1 in the admin: a supervisor's pages know of no account but the own one. Every admin class of ours builds on this."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import BaseModelAdmin
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import ERROR_FLAG
from django.core.exceptions import ValidationError
from django.db import IntegrityError, models
from django.forms import ModelForm
from django.forms.models import BaseInlineFormSet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.formats import date_format
from django.utils.functional import cached_property
from django.utils.text import capfirst
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from operators import security_events
from operators.admin.addresses import LONGEST_SEARCH, CheckedList, with_possible_keys
from operators.authentication import confirmation
from operators.authentication.confirmation import ConfirmedForm
from operators.forms import ScopedForm
from operators.models import Account, Operator
from operators.requests import operator_of
from webim_offline.foundation.http.errors import too_many
from webim_offline.foundation.logs.security import Event
from webim_offline.foundation.numbers import whole_number
from webim_offline.foundation.rate_limits import spend

MOST_CHOICES = 100  # rows offered by a filter
# what may follow the name of a filter's field in a list's address
LOOKUPS = {"", "exact", "isnull", "in", "isempty", "year", "month", "day", "gte", "lt", "id__exact", "id__in", "pk__exact"}


if TYPE_CHECKING:  # only the stubs of Django's admin classes take type arguments
    AnyAdmin = BaseModelAdmin[Any]
    AnyModelAdmin = admin.ModelAdmin[Any]
    AnyInline = admin.TabularInline[Any, Any]
    AnyFormSet = BaseInlineFormSet[Any, Any, Any]
else:
    AnyAdmin, AnyModelAdmin, AnyInline, AnyFormSet = BaseModelAdmin, admin.ModelAdmin, admin.TabularInline, BaseInlineFormSet


def _of(request: HttpRequest) -> Any:
    """The request, to replace its data: types call them fixed, and Django's admin replaces them itself."""
    return request


class ScopedChoices(AnyAdmin):
    """Choices of related rows are those that the reader's own admin of that model would list."""

    def get_field_queryset(self, db: str | None, db_field: "models.Field[Any, Any]", request: HttpRequest) -> models.QuerySet[Any]:
        related: Any = db_field.related_model
        if self.admin_site.is_registered(related):
            rows: models.QuerySet[Any] = self.admin_site.get_model_admin(related).get_queryset(request)
            return rows
        every: models.QuerySet[Any] = related._default_manager.all()
        return every if operator_of(request).is_support else every.none()


class AccountScopedAdmin(ScopedChoices, AnyModelAdmin):
    """An admin of rows that belong to one account (X1).

    Supervisors see, choose, filter by and write rows of their own account only; another account's row is as if it did
    not exist. Support staff see all. `account_path` leads from the model to its account.
    """

    account_path = "account"
    form: type[ConfirmedForm] = ScopedForm
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    list_max_show_all = 50
    view_on_site = False
    support_columns: tuple[str, ...] = ("account",)  # the last columns of a list, for support staff

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        rows = super().get_queryset(request)
        if operator_of(request).is_support:
            return rows
        account_id = operator_of(request).account_id
        # never None: a role without an account would see the rows that have none
        return rows.filter(**{self.account_path: account_id}) if account_id else rows.none()

    def get_search_results(
        self, request: HttpRequest, queryset: models.QuerySet[Any], search_term: str
    ) -> tuple[models.QuerySet[Any], bool]:
        term = search_term.strip()
        if len(term) > LONGEST_SEARCH:
            return queryset.none(), False
        return self.search(request, queryset, term) if term else (queryset, False)

    def search(self, request: HttpRequest, queryset: models.QuerySet[Any], term: str) -> tuple[models.QuerySet[Any], bool]:
        """The rows that a search of at most LONGEST_SEARCH characters finds, and whether some of them came twice."""
        return super().get_search_results(request, queryset, term)

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        columns = super().get_list_display(request)
        return [*columns, *self.support_columns] if operator_of(request).is_support else list(columns)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[CheckedList]:
        return CheckedList

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> models.Model | None:
        """The row of an address; None for what is the key of none, too."""
        return None if whole_number(object_id) is None else super().get_object(request, object_id, from_field)

    def _get_obj_does_not_exist_redirect(self, request: HttpRequest, opts: Any, object_id: str) -> HttpResponse:
        """X1: another account's row is as missing as a missing one; only the security log knows better."""
        key = whole_number(unquote(object_id))
        if key is not None and self.model._base_manager.filter(pk=key).exists():
            security_events.refused(request, Event.DENIAL, reason="row of another account")
        answer: HttpResponse = super()._get_obj_does_not_exist_redirect(request, opts, object_id)  # type: ignore[misc]  # not in the stubs
        return answer

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        _of(request).GET = with_possible_keys(request.GET, self._relations)
        return super().get_changeform_initial_data(request)

    @property
    def _relations(self) -> list[str]:
        return [field.name for field in (*self.opts.fields, *self.opts.many_to_many) if field.is_relation]

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        filters = super().get_list_filter(request)
        return list(filters) if self.account_path == "pk" else [account_filter(self.account_path), *filters]

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Nothing is deleted in bulk: what is mentioned is archived (A5)."""
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        """A list's address may only ask what its filters ask, or it could be used to guess what no page shows."""
        items: list[Any] = [*self.get_list_filter(request), self.date_hierarchy]
        for item in items:
            if item is None:
                continue
            if isinstance(item, type):
                if lookup == getattr(item, "parameter_name", None):
                    return True
                continue
            name = item[0] if isinstance(item, (list, tuple)) else item
            if lookup == name or (lookup.startswith(f"{name}__") and lookup.removeprefix(f"{name}__") in LOOKUPS):
                return True
        return False

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> "type[ModelForm[Any]]":
        form = super().get_form(request, obj, change=change, **kwargs)
        actor = operator_of(request)
        return type(form.__name__, (form,), {"own_account": actor.account, "actor": actor, "request": request})

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """A row stays with its account."""
        fields = list(super().get_readonly_fields(request, obj))
        return [*fields, "account"] if obj is not None and self.account_path == "account" else fields

    def get_exclude(self, request: HttpRequest, obj: Any = None) -> list[str]:
        exclude = list(super().get_exclude(request, obj) or ())
        return exclude if operator_of(request).is_support else [*exclude, "account"]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Supervisors have one account: no page of theirs has a field for it."""
        return self.for_reader(request, super().get_fieldsets(request, obj))

    def for_reader(self, request: HttpRequest, fieldsets: Any) -> Any:
        """The fieldsets without the account, for supervisors."""
        if operator_of(request).is_support:
            return fieldsets
        return [
            (name, {**options, "fields": [field for field in options["fields"] if field != "account"]})
            for name, options in fieldsets
        ]

    def get_formset_kwargs(self, request: HttpRequest, obj: Any, inline: Any, prefix: str) -> dict[str, Any]:
        """Tables below a page are as stored, whatever was sent: a form shown once more has them whole."""
        sent = {"data", "files", "save_as_new"}
        return {name: value for name, value in super().get_formset_kwargs(request, obj, inline, prefix).items() if name not in sent}

    def save_related(self, request: HttpRequest, form: "ModelForm[Any]", formsets: Any, change: bool) -> None:
        """Nothing: tables below a page are read-only, and `save_model` calls an action that writes everything."""

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        return super().construct_change_message(request, form, [], add)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        # the first page asks for nothing
        if request.GET and (wait := spend("operator_search", str(operator_of(request).pk))):
            return too_many(request, wait, "operator_search")
        if request.method == "POST":
            _of(request).POST = with_possible_keys(request.POST, [ACTION_CHECKBOX_NAME])
        if ERROR_FLAG in request.GET:
            # where Django was sent back from a wrong address once; a second one it would take for a broken database
            _of(request).GET = without = request.GET.copy()
            del without[ERROR_FLAG]
        # the bare name: "Select … to change" cannot be declined in Russian
        return super().changelist_view(request, {"title": capfirst(self.opts.verbose_name_plural), **(extra_context or {})})

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if request.method == "POST":
            _of(request).POST = with_possible_keys(request.POST, self._relations)
        if object_id is not None:
            extra_context = {"title": capfirst(self.opts.verbose_name), **(extra_context or {})}
        response = self._or_refused(request, partial(super().changeform_view, request, object_id, form_url, extra_context))
        shown = (getattr(response, "context_data", None) or {}).get("adminform")
        return confirmation.with_wait(response, shown and shown.form)

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return self._or_refused(request, partial(super().delete_view, request, object_id, extra_context))

    def _or_refused(self, request: HttpRequest, view: Callable[[], HttpResponse]) -> HttpResponse:
        """Say what an action refused because something changed between the form's check and its writing; nothing is written."""
        try:
            return view()
        except ValidationError as refusal:
            for text in refusal.messages:
                messages.error(request, text)
        except IntegrityError:
            messages.error(request, _("Somebody else saved the same at this moment. Nothing was written: look and try again."))
        return redirect(request.get_full_path())


def whom(person: Operator | None, *, reader: Operator) -> str:
    """A person as `reader` may know them: for a customer the support staff has no names."""
    return "" if person is None else person.name_for(reader)


class ReadOnlyAdmin(AccountScopedAdmin):
    """Rows that the admin shows and never writes."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class LatestRows(AnyFormSet):
    """The latest rows of a long table, and never more (X3)."""

    most = 100
    newest_first = True

    def is_valid(self) -> bool:
        return True  # nothing is read from what was sent

    def get_queryset(self) -> Any:
        if not hasattr(self, "_latest"):
            rows = list(super().get_queryset().order_by("-pk")[: self.most])
            self._latest = rows if self.newest_first else rows[::-1]
        return self._latest


class ReadOnlyInline(ScopedChoices, AnyInline):
    """The latest rows of an append-only table below its page."""

    formset = LatestRows
    template = "admin/read_only_inline.html"
    most = 100
    newest_first = True
    extra = 0
    max_num = 0
    can_delete = False
    empty_text = gettext_lazy("Nothing yet.")

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        formset: Any = super().get_formset(request, obj, **kwargs)
        formset.most, formset.newest_first = self.most, self.newest_first
        self.reader = operator_of(request)  # an inline lives as long as its request
        return formset

    @admin.display(description=gettext_lazy("at"))
    def when(self, row: Any) -> str:
        """The moment to the second: rows of one minute are told apart by it."""
        at = localtime(row.at)
        return f"{date_format(at, 'DATE_FORMAT')}, {at:%H:%M:%S}"

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class OwnRelatedFilter(admin.RelatedFieldListFilter):
    """A filter by departments, languages or people: those of the reader's account, or of the account that is chosen."""

    def field_choices(self, field: "models.Field[Any, Any]", request: HttpRequest, model_admin: AnyModelAdmin) -> Any:
        related: Any = field.related_model
        rows = model_admin.admin_site.get_model_admin(related).get_queryset(request)
        if operator_of(request).is_support:
            chosen = whole_number(request.GET.get("account", ""))
            rows = rows.none() if chosen is None else rows.filter(account=chosen)
        return [(row.pk, str(row)) for row in rows[:MOST_CHOICES]]

    def has_output(self) -> bool:
        return bool(self.lookup_choices)


def account_filter(path: str) -> type[admin.SimpleListFilter]:
    """For support staff: one account's rows only. Offers the first accounts by name, and the chosen one."""

    class AccountFilter(admin.SimpleListFilter):
        title = gettext_lazy("account")
        parameter_name = "account"

        def lookups(self, request: HttpRequest, model_admin: AnyModelAdmin) -> list[tuple[str, str]]:
            if not operator_of(request).is_support:
                return []  # no choices: Django leaves the filter out and ignores what the address says
            found = {account.pk: account for account in Account.objects.order_by("name", "pk")[:MOST_CHOICES]}
            if self.chosen is not None and self.chosen not in found:
                found |= {account.pk: account for account in Account.objects.filter(pk=self.chosen)}
            return [(str(pk), str(account)) for pk, account in found.items()]

        @cached_property
        def chosen(self) -> int | None:
            return whole_number(self.value() or "")

        def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
            if self.value() is None:
                return queryset
            return queryset.none() if self.chosen is None else queryset.filter(**{path: self.chosen})

    return AccountFilter
