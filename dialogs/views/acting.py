"""What an operator does with a dialog: take, hand on, answer, close (Q5, Q6, Q9, Q10, B1)."""

from collections.abc import Callable
from functools import wraps

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from dialogs.actions import assignment, conversation
from dialogs.actions.errors import NeedsConfirmation, Refused
from dialogs.models import LONGEST_KEY, LONGEST_TEXT, Dialog
from dialogs.views.access import operators_page, visible_dialog, whole_number
from dialogs.views.dialog_page import dialog_answer


def _acts(act: Callable[[HttpRequest, Dialog], None]) -> Callable[..., HttpResponse]:
    """A POST on one dialog: the action, then the dialog as it stands; a refusal is a sentence (409), text a 400."""

    @require_POST
    @operators_page
    @wraps(act)
    def view(request: HttpRequest, number: int) -> HttpResponse:
        live = request.headers.get("X-Requested-With") == "fetch"
        dialog = visible_dialog(request.user, number)
        try:
            act(request, dialog)
        except (Refused, ValidationError) as refusal:
            message = " ".join(refusal.messages) if isinstance(refusal, ValidationError) else str(refusal)
            status = 400 if isinstance(refusal, ValidationError) else 409
            asks = isinstance(refusal, NeedsConfirmation)
            if live:
                return JsonResponse({"error": message, "asks": asks}, status=status)
            context = {"refusal": message, "dialog": dialog, "asks": asks, "again": request.POST.items()}
            return render(request, "dialogs/refused.html", context, status=status)
        if not live:
            return redirect("dialog", number=number)
        return dialog_answer(request, visible_dialog(request.user, number))

    return view


@_acts
def take(request: HttpRequest, dialog: Dialog) -> None:
    """Take a waiting dialog (Q6); a supervisor takes one over from `instead_of`, whom the page named."""
    instead_of = whole_number(request.POST.get("instead_of", ""))
    assignment.take(dialog.pk, request.user, instead_of=instead_of, confirmed=_confirmed(request))


@_acts
def transfer(request: HttpRequest, dialog: Dialog) -> None:
    """Hand a dialog on (Q10). `to` is `operator-<id>`, `department-<id>` or `queue`."""
    kind, _dash, number = request.POST.get("to", "").partition("-")
    target = whole_number(number)
    if kind == "queue":
        assignment.return_to_queue(dialog.pk, request.user)
    elif kind == "operator" and target is not None:
        assignment.transfer_to_operator(dialog.pk, request.user, target, confirmed=_confirmed(request))
    elif kind == "department" and target is not None:
        assignment.transfer_to_department(dialog.pk, request.user, target)
    else:
        raise ValidationError(_("Choose who is to have the dialog."))


def _confirmed(request: HttpRequest) -> bool:
    return request.POST.get("confirmed") == "1"


@_acts
def answer(request: HttpRequest, dialog: Dialog) -> None:
    """Send an answer; the key made by the page makes it happen once (B1)."""
    text = request.POST.get("text", "").replace("\r\n", "\n").strip()
    key = request.POST.get("key", "")
    if not text:
        raise ValidationError(_("Write the answer first."))
    if len(text) > LONGEST_TEXT:
        raise ValidationError(_("The answer is too long: at most %(count)s characters.") % {"count": LONGEST_TEXT})
    if "\x00" in text or not key or len(key) > LONGEST_KEY:
        raise ValidationError(_("This page is out of date. Reload it and send again."))
    conversation.answer(dialog.pk, request.user, text, key=key, confirmed=_confirmed(request))


@_acts
def close(request: HttpRequest, dialog: Dialog) -> None:
    """Close a dialog (Q9)."""
    conversation.close_by_operator(dialog.pk, request.user)


urlpatterns = [
    path("workspace/<int:number>/take/", take, name="dialog-take"),
    path("workspace/<int:number>/answer/", answer, name="dialog-answer"),
    path("workspace/<int:number>/close/", close, name="dialog-close"),
    path("workspace/<int:number>/transfer/", transfer, name="dialog-transfer"),
]
