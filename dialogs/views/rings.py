"""The switches of one's own rings, in the menu of the workspace (Q12)."""

from django.core.exceptions import ValidationError
from django.http import HttpResponse, JsonResponse
from django.urls import path
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from dialogs.views.access import operators_page
from operators.actions.people import choose_rings
from operators.requests import OperatorRequest

ON_OR_OFF = {"1": True, "0": False}


@require_POST
@operators_page
def rings(request: OperatorRequest) -> HttpResponse:
    """Switch rings on or off: each field is the name of one, with 1 or 0; what is no ring is a 400 and changes nothing."""
    given = {name: str(value) for name, value in request.POST.items() if name != "csrfmiddlewaretoken"}
    try:
        if not set(given.values()) <= set(ON_OR_OFF):
            raise ValidationError(_("Choose on or off."))
        choose_rings(request.user, {name: ON_OR_OFF[value] for name, value in given.items()})
    except ValidationError as refusal:
        return JsonResponse({"error": " ".join(refusal.messages)}, status=400)
    return JsonResponse({})


urlpatterns = [path("workspace/rings/", rings, name="workspace-rings")]
