"""What an operator does with a dialog: take, hand on, answer, close (Q5, Q6, Q9, Q10, B1)."""

from collections.abc import Callable
from functools import wraps

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from dialogs import queues
from dialogs.actions import assignment, conversation
from dialogs.actions.errors import NeedsConfirmation, Refused
from dialogs.models import LONGEST_KEY, LONGEST_TEXT, Dialog
from dialogs.views.access import operators_page, visible_dialog
from dialogs.views.dialog_page import dialog_answer
from operators.models import Operator
from webim_offline.numbers import whole_number

# the button of a confirmation, by what is confirmed
ANYWAY = {
    "take": gettext_lazy("Take anyway"),
    "transfer": gettext_lazy("Transfer anyway"),
    "answer": gettext_lazy("Send anyway"),
}


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
            again = [(name, value) for name, value in request.POST.items() if name not in {"csrfmiddlewaretoken", "confirmed"}]
            context = {"refusal": message, "dialog": dialog, "asks": asks, "again": again, "anyway": ANYWAY.get(act.__name__)}
            return render(request, "dialogs/refused.html", context, status=status)
        is_visible = queues.visible_to(request.user).filter(pk=dialog.pk).exists()  # or it went where this operator sees nothing
        if not live:
            return redirect("dialog", number=number) if is_visible else redirect("workspace")
        return dialog_answer(request, visible_dialog(request.user, number) if is_visible else None)

    return view


@_acts
def take(request: HttpRequest, dialog: Dialog) -> None:
    """Take a waiting dialog (Q6); a supervisor takes one over from `instead_of`, whom the page named, after being asked."""
    instead_of, confirmed = whole_number(request.POST.get("instead_of", "")), _confirmed(request)
    if instead_of is not None and not confirmed and _takes_over(request.user, dialog, instead_of):
        has_it = _("%(who)s has this dialog. If you take it, it moves to you.") % {"who": dialog.operator}
        warnings = assignment.warnings_of_taking(request.user.account, request.user, dialog)
        raise NeedsConfirmation([has_it, *warnings.values()])
    assignment.take(dialog.pk, request.user, instead_of=instead_of, confirmed=confirmed)


def _takes_over(operator: Operator, dialog: Dialog, instead_of: int) -> bool:
    return operator.is_supervisor and dialog.is_open and dialog.operator_id == instead_of != operator.pk


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
    if not key or len(key) > LONGEST_KEY:
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
