"""What an operator does with a dialog: take, hand on, answer, close (Q5, Q6, Q9, Q10, B1)."""

from collections.abc import Callable
from functools import wraps

from django.core.exceptions import ValidationError
from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from dialogs.actions import assignment_by_hand, conversation
from dialogs.actions.errors import NeedsConfirmation, Refused
from dialogs.models import LONGEST_KEY, LONGEST_TEXT, Dialog
from dialogs.reading.rights import acting_person, facts_of
from dialogs.rules.permissions import may_take_over
from dialogs.views.access import find_visible_dialog, operators_page, visible_dialog, visible_id
from dialogs.views.dialog_page import dialog_answer, log_answer
from operators.models import Operator
from operators.requests import OperatorRequest
from webim_offline.foundation.numbers import whole_number
from webim_offline.foundation.text import message

# the button of a confirmation, by what is confirmed
ANYWAY = {
    "take": gettext_lazy("Take anyway"),
    "transfer": gettext_lazy("Transfer anyway"),
    "answer": gettext_lazy("Send anyway"),
}


def _acts(act: Callable[[OperatorRequest, Dialog], None]) -> Callable[..., HttpResponse]:
    """A POST on one dialog: the action, then the dialog as it stands; a refusal is a sentence (409), text a 400."""

    @require_POST
    @operators_page
    @wraps(act)
    def view(request: OperatorRequest, number: int) -> HttpResponse:
        dialog = visible_dialog(request.user, number)
        try:
            act(request, dialog)
        except (Refused, ValidationError) as refusal:
            return _refusal(request, number, refusal, act.__name__)
        return _stands(request, number)

    return view


def _is_live(request: OperatorRequest) -> bool:
    return request.headers.get("X-Requested-With") == "fetch"


def _stands(request: OperatorRequest, number: int) -> HttpResponse:
    """The dialog as it stands after an action."""
    after = find_visible_dialog(request.user, number)  # None: it went where this operator sees nothing
    if not _is_live(request):
        return redirect("workspace") if after is None else redirect("dialog", number=number)
    return dialog_answer(request, after)


def _refusal(request: OperatorRequest, number: int, refusal: Refused | ValidationError, action: str) -> HttpResponse:
    """Why an action did not happen: a sentence for the script, else a page, from which it can be sent again if it only asks."""
    sentence = " ".join(refusal.messages) if isinstance(refusal, ValidationError) else str(refusal)
    status = 400 if isinstance(refusal, ValidationError) else 409
    asks = isinstance(refusal, NeedsConfirmation)
    if _is_live(request):
        return JsonResponse({"error": sentence, "asks": asks}, status=status)
    again = [(name, value) for name, value in request.POST.items() if name not in {"csrfmiddlewaretoken", "confirmed"}]
    context = {"refusal": sentence, "number": number, "asks": asks, "again": again, "anyway": ANYWAY.get(action)}
    return render(request, "dialogs/refused.html", context, status=status)


@_acts
def take(request: OperatorRequest, dialog: Dialog) -> None:
    """Take a waiting dialog (Q6); a supervisor takes one over from `instead_of`, whom the page named, after being asked."""
    instead_of, confirmed = whole_number(request.POST.get("instead_of", "")), _confirmed(request)
    if instead_of is not None and not confirmed and _takes_over(request.user, dialog, instead_of):
        has_it = _("%(who)s has this dialog. If you take it, it moves to you.") % {"who": dialog.operator}
        warnings = assignment_by_hand.warnings_of_taking(request.user.own_account, request.user, dialog)
        raise NeedsConfirmation([has_it, *warnings.values()])
    assignment_by_hand.take(dialog.pk, request.user, instead_of=instead_of, confirmed=confirmed)


def _takes_over(operator: Operator, dialog: Dialog, instead_of: int) -> bool:
    is_holder = dialog.operator_id == instead_of != operator.pk
    return is_holder and bool(may_take_over(acting_person(operator, dialog), facts_of(dialog)))


@_acts
def transfer(request: OperatorRequest, dialog: Dialog) -> None:
    """Hand a dialog on (Q10). `to` is `operator-<id>`, `department-<id>` or `queue`."""
    kind, _dash, number = request.POST.get("to", "").partition("-")
    target = whole_number(number)
    if kind == "queue":
        assignment_by_hand.return_to_queue(dialog.pk, request.user)
    elif kind == "operator" and target is not None:
        assignment_by_hand.transfer_to_operator(dialog.pk, request.user, target, confirmed=_confirmed(request))
    elif kind == "department" and target is not None:
        assignment_by_hand.transfer_to_department(dialog.pk, request.user, target)
    else:
        raise ValidationError(_("Choose who is to have the dialog."))


def _confirmed(request: OperatorRequest) -> bool:
    return request.POST.get("confirmed") == "1"


@require_POST
@operators_page
def answer(request: OperatorRequest, number: int) -> HttpResponse:
    """Send an answer; the key made by the page makes it happen once (B1).

    A page that says what it shows (`after`, a revision) gets the messages from there on, if nothing else of the dialog has changed.
    """
    dialog_id, is_in_it = visible_id(request.user, number)
    try:
        dialog = conversation.answer(dialog_id, request.user, *_answer_of(request), confirmed=_confirmed(request))
    except (Refused, ValidationError) as refusal:
        return _refusal(request, number, refusal, "answer")
    after = whole_number(request.POST.get("after", ""))
    log = log_answer(request, dialog, after) if is_in_it and after is not None and _is_live(request) else None
    return _stands(request, number) if log is None else log


def _answer_of(request: OperatorRequest) -> tuple[str, str]:
    """The text and the key of an answer. Raises ValidationError."""
    text = message(request.POST.get("text", ""))
    key = request.POST.get("key", "")
    if not text:
        raise ValidationError(_("Write the answer first."))
    if len(text) > LONGEST_TEXT:
        raise ValidationError(_("The answer is too long: at most %(count)s characters.") % {"count": LONGEST_TEXT})
    if not key or len(key) > LONGEST_KEY:
        raise ValidationError(_("This page is out of date. Reload it and send again."))
    return text, key


@_acts
def close(request: OperatorRequest, dialog: Dialog) -> None:
    """Close a dialog (Q9)."""
    conversation.close_by_operator(dialog.pk, request.user)


urlpatterns = [
    path("workspace/<int:number>/take/", take, name="dialog-take"),
    path("workspace/<int:number>/answer/", answer, name="dialog-answer"),
    path("workspace/<int:number>/close/", close, name="dialog-close"),
    path("workspace/<int:number>/transfer/", transfer, name="dialog-transfer"),
]
