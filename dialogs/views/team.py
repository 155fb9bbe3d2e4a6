"""Everyone's load, and setting somebody's status: a page for supervisors, of their own account only (Q3, A1, X1)."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpResponse, HttpResponseBadRequest, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from dialogs.actions.statuses import choose_status
from dialogs.reading import archive
from dialogs.reading.rights import person_of
from dialogs.reading.team import members
from dialogs.rules.permissions import may_supervise
from dialogs.views.access import operators_page
from dialogs.views.dialog_page import fragment
from dialogs.views.live_page import live_context
from operators.models import Operator, Status
from operators.requests import OperatorRequest
from webim_offline.foundation.database.clock import database_now


def supervisors_page(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """`operators_page` for supervisors alone; an operator gets 403."""

    @operators_page
    @wraps(view)
    def guarded(request: OperatorRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not may_supervise(person_of(request.user, with_routes=False), request.user.account_id):
            raise PermissionDenied
        return view(request, *args, **kwargs)

    return guarded


def _context(supervisor: Operator) -> dict[str, Any]:
    now = database_now()
    found, in_all = members(supervisor.own_account, now)
    return {"members": found, "more": in_all - len(found), "statuses": Status.choices, "now": now, "open": archive.OPEN}


@require_GET
@supervisors_page
def team(request: OperatorRequest) -> HttpResponse:
    """The whole page."""
    return render(request, "dialogs/team.html", _context(request.user) | live_context(request.user))


@require_GET
@supervisors_page
def team_table(request: OperatorRequest) -> HttpResponse:
    """The table alone, for a live update."""
    return fragment(request, render(request, "dialogs/_team.html", _context(request.user)))


@require_POST
@supervisors_page
def team_status(request: OperatorRequest, operator_id: int) -> HttpResponse:
    """Set somebody's status (A1). 404 for who does not work in this account, 400 with a sentence for no status."""
    person = get_object_or_404(Operator, pk=operator_id, account=request.user.account_id, is_active=True)
    live = request.headers.get("X-Requested-With") == "fetch"
    try:
        choose_status(request.user, person, request.POST.get("status", ""))
    except ValidationError as refusal:
        text = " ".join(refusal.messages)
        return JsonResponse({"error": text}, status=400) if live else HttpResponseBadRequest(text, content_type="text/plain")
    if not live:
        return redirect("team")
    return JsonResponse(
        {"said": _("%(who)s: the status is %(status)s now") % {"who": person, "status": person.get_status_display()}}
    )


urlpatterns = [
    path("workspace/team/", team, name="team"),
    path("workspace/team/table/", team_table, name="team-table"),
    path("workspace/team/<int:operator_id>/status/", team_status, name="team-status"),
]
