"""The responses to requests that are refused or fail.

Each has a sentence that says what the person can do now, in the form that the client can show: JSON for scripts, otherwise a
page. If the database is away or a statement has taken too long, the response is a 503 with Retry-After; any other failure is a
500. Refusals are written to the security log.
"""

import sys

from django.contrib.admin.exceptions import DisallowedModelAdminLookup
from django.core.exceptions import DisallowedHost, RequestDataTooBig, TooManyFilesSent
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views import defaults
from django.views.decorators.csrf import requires_csrf_token

from webim_offline.foundation.http.input_check import NotText
from webim_offline.foundation.logs.security import Event, Outcome, record_request

DATABASE_AWAY = (OperationalError, InterfaceError)
COME_AGAIN = 5  # seconds, for Retry-After
VISITOR_API = "/widget/api/"
CANCELLED = "57014"  # SQLSTATE query_canceled: a statement has taken longer than its connection allows


def took_too_long(error: BaseException | None) -> bool:
    """Return whether PostgreSQL has stopped a statement because of `statement_timeout`."""
    return isinstance(error, OperationalError) and getattr(error.__cause__, "sqlstate", None) == CANCELLED


def _asks_by_script(request: HttpRequest) -> bool:
    """Return whether a script of our own pages has sent the request."""
    return request.headers.get("X-Requested-With") == "fetch"


def _language(request: HttpRequest) -> str:
    """Return the language that was chosen for the request, or that of the browser if none was chosen yet."""
    chosen = translation.get_language() if hasattr(request, "LANGUAGE_CODE") else None
    return chosen or translation.get_language_from_request(request)


def say(request: HttpRequest, sentence: str, status: int, *, template: str = "refused.html", wait: int = 0) -> HttpResponse:
    """Return a response with this sentence and status.

    It is JSON for the widget (`{"detail": ..., "retry_after": ...}`) and for scripts of our pages (`{"error": ...}`), otherwise
    `template` is rendered with the sentence. With `wait`, a number of seconds, it has a Retry-After header.
    """
    if request.path_info.startswith(VISITOR_API):
        body = {"detail": sentence} | ({"retry_after": wait} if wait else {})
        response: HttpResponse = JsonResponse(body, status=status)
        response["Access-Control-Allow-Origin"] = "*"
        response["Access-Control-Expose-Headers"] = "Retry-After"
    elif _asks_by_script(request):
        response = JsonResponse({"error": sentence}, status=status)
    else:
        response = HttpResponse(render_to_string(template, {"sentence": sentence}), status=status)
    if wait:
        response["Retry-After"] = str(wait)
    response["Cache-Control"] = "no-store"
    return response


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler500: answer a request during which an exception was raised."""
    error = sys.exc_info()[1]
    if not isinstance(error, DATABASE_AWAY):
        return defaults.server_error(request)
    # The language that the person has chosen is in the database, which is away. So it is that of the browser.
    with translation.override(translation.get_language_from_request(request)):
        if took_too_long(error):
            return say(request, too_long(), 503, template="503.html", wait=COME_AGAIN)
        if _asks_by_script(request) or request.path_info.startswith(VISITOR_API):
            return say(request, _("This cannot be done right now. Try again in a moment."), 503, wait=COME_AGAIN)
        return say(request, "", 503, template="503.html", wait=COME_AGAIN)


def too_long() -> str:
    """Return the sentence for a statement that was stopped because it took too long."""
    return _("This took too long and was stopped. Ask for less at once, or try again in a moment.")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler400: answer a request that cannot be understood (400) or is too large (413)."""
    with translation.override(_language(request)):
        if isinstance(exception, DisallowedHost):
            record_request(request, Event.DENIAL, Outcome.REFUSED, reason="host")
            return say(request, _("This service is not at this address. Use the address that you were given."), 400)
        if isinstance(exception, (RequestDataTooBig, TooManyFilesSent)):
            record_request(request, Event.INPUT, Outcome.REFUSED, reason="too large")
            return say(request, _("The request is too large. Send less at once."), 413)
        if isinstance(exception, NotText):
            record_request(request, Event.INPUT, Outcome.REFUSED, reason="not text")
            return say(request, _("The request holds characters that cannot be kept. Leave them out and try again."), 400)
        if isinstance(exception, DisallowedModelAdminLookup):
            record_request(request, Event.DENIAL, Outcome.REFUSED, reason="lookup")
        else:
            record_request(request, Event.INPUT, Outcome.REFUSED, reason="not understood")
        return say(request, _("The request cannot be understood. Go back, reload the page and try again."), 400)


@requires_csrf_token
def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler403: answer a request for something that the person may not see or do."""
    record_request(request, Event.DENIAL, Outcome.REFUSED, reason="not allowed")
    with translation.override(_language(request)):
        if _asks_by_script(request):
            return say(request, _("You may not do this."), 403)
        return defaults.permission_denied(request, exception)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Django's CSRF_FAILURE_VIEW: answer a form that was sent without its token, or from another site."""
    record_request(request, Event.DENIAL, Outcome.REFUSED, reason="csrf")
    with translation.override(_language(request)):
        sentence = _("This page is out of date. Reload it and try again.")
        return say(request, sentence, 403, template="403_csrf.html")


def too_many(request: HttpRequest, wait: int, limit: str) -> HttpResponse:
    """Return a 429 for a page, and write it to the security log.

    `wait` is the number of seconds until the next request is allowed, and `limit` the name of the limit that was reached.
    """
    record_request(request, Event.LIMIT, Outcome.LIMITED, reason=limit)
    return say(request, too_much(wait), 429, wait=wait)


def too_much(wait: int) -> str:
    """Return the sentence for a limit that was reached, with the seconds to wait."""
    sentence = ngettext(
        "That was too much in a short time. Try again in %(seconds)s second.",
        "That was too much in a short time. Try again in %(seconds)s seconds.",
        wait,
    )
    return sentence % {"seconds": wait}
