"""The operator's page: the left panel, one open dialog, the visitor; page and fragment are one template (Q1 to Q6, Q9)."""

from typing import Any

from django.core.exceptions import ValidationError
from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from dialogs.actions.statuses import choose_status
from dialogs.reading.timeline import timeline
from dialogs.rules.sections import Section
from dialogs.views.access import operators_page, visible_dialog
from dialogs.views.dialog_page import dialog_answer, dialog_context, fragment, ticket_for
from dialogs.views.live_page import live_words
from dialogs.views.panels import list_context
from operators.models import ConditionReason, Operator, Status
from operators.requests import OperatorRequest
from webim_offline.foundation.database.clock import database_now
from webim_offline.foundation.numbers import whole_number


@require_GET
@operators_page
def workspace(request: OperatorRequest, number: int | None = None) -> HttpResponse:
    """The whole page, with one dialog open when the address names it. Reading is not picking up."""
    operator = request.user
    dialog = visible_dialog(operator, number) if number is not None else None
    context = {
        **list_context(operator, number),
        **dialog_context(operator, dialog),
        "statuses": _statuses(operator),
        "now": database_now(),
        "words": _words(operator),
        "page_languages": [("en", "English"), ("ru", "Русский")],
    }
    return render(request, "dialogs/workspace.html", context)


@require_GET
@operators_page
def panel(request: OperatorRequest) -> HttpResponse:
    """The left panel alone, for a live update: the cards that the page does not have (`has`, a cursor), and the places of all.

    How many cards of a section are wanted is said by a field of its name: `general=200`. What is no number means the first hundred.
    """
    current, under = whole_number(request.GET.get("open", "")), whole_number(request.GET.get("under", ""))
    given = {section: whole_number(request.GET.get(section.value, "")) for section in Section}
    windows = {section: size for section, size in given.items() if size is not None}
    context = list_context(request.user, current, windows=windows, under=under, has=request.GET.get("has", ""))
    response = fragment(request, render(request, "dialogs/_panel.html", context))
    response["X-Panel"] = context["cursor"]
    response["X-Status"] = request.user.status  # chosen in another tab, or by a supervisor
    return response


@require_GET
@operators_page
def dialog_fragment(request: OperatorRequest, number: int) -> HttpResponse:
    """The open dialog and its visitor alone, for a live update."""
    return dialog_answer(request, visible_dialog(request.user, number))


@require_GET
@operators_page
def history(request: OperatorRequest, number: int) -> HttpResponse:
    """How a dialog came where it is, from its beginning on or before a revision: pages of what the dialog's own leaves out."""
    dialog = visible_dialog(request.user, number)
    before = whole_number(request.GET.get("before", ""))
    told = timeline(dialog, request.user, before=before)
    return render(request, "dialogs/history.html", {"dialog": dialog, "timeline": told, "is_older": before is not None})


@require_GET
@operators_page
def ticket(request: OperatorRequest) -> HttpResponse:
    """A fresh ticket for the live app (X5): this request's login, account and right to the dialog are checked again."""
    current = whole_number(request.GET.get("open", ""))
    dialog = visible_dialog(request.user, current) if current is not None else None
    return JsonResponse({"ticket": ticket_for(request.user, dialog)})


@require_http_methods(["GET", "POST"])
@operators_page
def status(request: OperatorRequest) -> HttpResponse:
    """Choose one's status (A1). A GET tells the chosen one; `said` names the supervisor who chose it, if one did."""
    if request.method == "GET":
        return JsonResponse({"status": request.user.status, "said": _chosen_for(request.user)})
    try:
        choose_status(request.user, request.user, request.POST.get("status", ""))
    except ValidationError as refusal:
        return JsonResponse({"error": " ".join(refusal.messages)}, status=400)
    if request.headers.get("X-Requested-With") == "fetch":
        return JsonResponse({"status": request.user.status})
    return redirect("workspace")


def _chosen_for(operator: Operator) -> str:
    """Who set somebody else's status to what; empty for one's own choice."""
    last = operator.changes.filter(reason=ConditionReason.CHOSEN).select_related("actor").order_by("-pk").first()
    if last is None or last.actor is None or last.actor_id == operator.pk:
        return ""
    words = {"who": last.actor.name_for(operator), "status": last.get_status_display()}
    return _("%(who)s set your status to %(status)s") % words


def _welcome(operator: Operator) -> str:
    """A2: after an absence the chosen status stands again, and is said; empty for who was here all the time."""
    if not operator.was_away:
        return ""
    if operator.status == Status.ONLINE:
        return _("You are Online: visitors count on you.")
    return _("Your status is %(status)s: visitors do not see you online.") % {"status": operator.get_status_display()}


def _statuses(operator: Operator) -> list[tuple[str, list[tuple[str, str, bool]]]]:
    """The choices of the status control, grouped: («», online and invisible), (Break, reasons), («», offline)."""
    choice = {value: (value, str(label), value == operator.status) for value, label in Status.choices}
    breaks = [choice[s.value] for s in Status if s.name.startswith("BREAK_")]
    return [
        ("", [choice[Status.ONLINE], choice[Status.INVISIBLE]]),
        (_("Break"), breaks),
        ("", [choice[Status.OFFLINE]]),
    ]


def _words(operator: Operator) -> dict[str, Any]:
    """What the page's script says, in the page's language."""
    return {
        **live_words(),
        "sending": _("Sending…"),
        "notSent": _("Not sent."),
        "again": _("Send again"),
        "isYours": _("Dialog #%s is yours"),
        "closed": _("Dialog #%s is closed"),
        "gone": _("Not here any more"),
        "given": _("Dialog #%s is handed on"),
        "transfer": _("Transfer #%s"),
        "transferAnyway": _("Transfer anyway"),
        "sendAnyway": _("Send anyway"),
        "queued": _("Waits for the connection."),
        "tryAgain": _("Try again"),
        "newBelow": _("New messages below"),
        "welcome": _welcome(operator),
    }


urlpatterns = [
    path("workspace/", workspace, name="workspace"),
    path("workspace/panel/", panel, name="workspace-panel"),
    path("workspace/ticket/", ticket, name="workspace-ticket"),
    path("workspace/status/", status, name="workspace-status"),
    path("workspace/<int:number>/", workspace, name="dialog"),
    path("workspace/<int:number>/fragment/", dialog_fragment, name="dialog-fragment"),
    path("workspace/<int:number>/history/", history, name="dialog-history"),
]
