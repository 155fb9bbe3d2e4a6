"""What an address or a form of the admin may ask: keys, dates and switches that can be, or the whole list with a sentence why."""

from collections.abc import Iterable
from typing import Any

from django.contrib import messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import SEARCH_VAR, ChangeList, ChangeListSearchForm
from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.http import HttpRequest, QueryDict
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.translation import gettext as _

from webim_offline.foundation.numbers import whole_number

LONGEST_SEARCH = 200  # characters; databases refuse what thousands of words would make of a query
NO_KEY = "0"  # the key of no row
YEARS = range(2000, 2101)
PARTS_OF_A_DATE = {"year": YEARS, "month": range(1, 13), "day": range(1, 32)}
SWITCHES = {"0", "1", "true", "false"}


class SearchForm(ChangeListSearchForm):
    """The search of a list, of bounded length."""

    def clean(self) -> dict[str, Any]:
        if len(self.cleaned_data.get(SEARCH_VAR, "")) > LONGEST_SEARCH:
            self.add_error(SEARCH_VAR, _("The search is too long: at most %(count)s characters.") % {"count": LONGEST_SEARCH})
        return self.cleaned_data


class CheckedList(ChangeList):
    """A list whose address is read before the database is asked: what cannot be is refused the way Django refuses a lookup."""

    search_form_class = SearchForm

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> models.QuerySet[Any]:
        rows = super().get_queryset(request, exclude_parameters)
        # a search that was refused is not one for everything
        return rows.none() if request.GET.get(SEARCH_VAR) and not self.query else rows

    def get_filters(self, request: HttpRequest) -> Any:
        for name, values in self.get_filters_params().items():
            # one that is not allowed Django refuses below
            is_allowed = self.model_admin.lookup_allowed(name, values, request)
            if is_allowed and not all(can_be(self.model, name, one) for one in values):
                messages.error(request, _("That address asks for something that cannot be. This is the whole list."))
                raise IncorrectLookupParameters
        return super().get_filters(request)


def can_be(model: type[models.Model], name: str, value: str) -> bool:
    """Is this something that a lookup (`department__id__exact`, `created_at__year`) of a list could find?"""
    field, lookup = _asked(model, name)
    if lookup in PARTS_OF_A_DATE:
        return whole_number(value) in PARTS_OF_A_DATE[lookup]
    if lookup in {"isnull", "isempty"} or isinstance(field, models.BooleanField):
        return value.lower() in SWITCHES
    every = value.split(",") if lookup == "in" else [value]
    if field is not None and (field.is_relation or isinstance(field, models.IntegerField)):
        return all(whole_number(one) is not None for one in every)
    if isinstance(field, models.DateField):
        return all(_is_moment(one) for one in every)
    return True


def _asked(model: type[models.Model], name: str) -> "tuple[models.Field[Any, Any] | None, str]":
    """The field that a lookup is about, and its last word. The key of a related row is the relation itself."""
    field: Any = None
    words = name.split("__")
    for word in words:
        try:
            field = model._meta.pk if word == "pk" else model._meta.get_field(word)
        except FieldDoesNotExist:
            break
        if field.is_relation:
            model = field.related_model
    return field, words[-1]


def _is_moment(text: str) -> bool:
    try:
        moment = parse_datetime(text) or parse_date(text)
    except ValueError:
        return False
    return moment is not None and moment.year in YEARS


def with_possible_keys(data: QueryDict, names: Iterable[str]) -> QueryDict:
    """A form's or an address's data, with NO_KEY where one of `names` holds what is the key of no row in either database."""
    possible = data.copy()
    for name in names:
        if name in possible:
            possible.setlist(name, [one if not one or whole_number(one) is not None else NO_KEY for one in data.getlist(name)])
    return possible
