"""Choosing who is to have a dialog next: a list in the workspace, a page of its own without script (Q10)."""

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import path
from django.views.decorators.http import require_GET

from dialogs.reading.rights import acting_person, facts_of
from dialogs.reading.targets import LONGEST_SEARCH, targets_for
from dialogs.rules.permissions import may_transfer
from dialogs.views.access import operators_page, visible_dialog
from operators.requests import OperatorRequest
from webim_offline.foundation.database.clock import database_now
from webim_offline.foundation.text import fitting_line

SEARCHABLE_FROM = 9  # fewer choices are seen at a glance


@require_GET
@operators_page
def choices(request: OperatorRequest, number: int) -> HttpResponse:
    """Operators, departments and the queue; `q` finds people and departments by name."""
    operator = request.user
    dialog = visible_dialog(operator, number)
    search = fitting_line(request.GET.get("q", ""), LONGEST_SEARCH)
    found = targets_for(dialog, operator, database_now(), search=search)
    live = request.headers.get("X-Requested-With") == "fetch"
    context = {
        "dialog": dialog,
        "level": 3 if live else 2,  # of its headings: in the workspace they stand below the title of a box
        "targets": found,
        "search": search,
        "may_transfer": may_transfer(acting_person(operator, dialog), facts_of(dialog)),
        "is_searchable": bool(search) or len(found.people) + len(found.departments) >= SEARCHABLE_FROM,
    }
    return render(request, "dialogs/_targets.html" if live else "dialogs/transfer.html", context)


urlpatterns = [path("workspace/<int:number>/transfer/to/", choices, name="dialog-targets")]
