"""What pages answer when something fails: while the database is away a 503 that says when to come again, else a 500."""

import sys

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.translation import gettext as _
from django.views import defaults

DATABASE_AWAY = (OperationalError, InterfaceError)
COME_AGAIN = 5  # seconds, as Retry-After


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler500."""
    if not isinstance(sys.exc_info()[1], DATABASE_AWAY):
        return defaults.server_error(request)
    # the person's own choice of language is in the database
    with translation.override(translation.get_language_from_request(request)):
        if request.headers.get("X-Requested-With") == "fetch":
            response: HttpResponse = JsonResponse({"error": _("This cannot be done right now. Try again in a moment.")}, status=503)
        else:
            response = HttpResponse(render_to_string("503.html"), status=503)
    response["Retry-After"] = str(COME_AGAIN)
    response["Cache-Control"] = "no-store"
    return response
