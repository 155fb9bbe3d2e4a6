"""What can go wrong in the visitor API, and how its answer and the security log say so (X3)."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from rest_framework import status
from rest_framework.exceptions import (
    APIException,
    NotFound,
    ParseError,
    PermissionDenied,
    Throttled,
    UnsupportedMediaType,
    ValidationError,
)
from rest_framework.response import Response
from rest_framework.views import exception_handler

from dialogs.views import visitor_input as accepts
from webim_offline.foundation.http.errors import COME_AGAIN, DATABASE_AWAY, too_long, took_too_long
from webim_offline.foundation.logs.security import Event, Outcome, record_request


class UnknownToken(APIException):
    status_code = status.HTTP_401_UNAUTHORIZED
    default_code = "unknown_token"

    def __init__(self) -> None:
        super().__init__(_("This conversation is not known here: reload the page."))


class UnknownAccount(NotFound):
    def __init__(self) -> None:
        super().__init__(_("There is no such account."))


class AccountNotReady(NotFound):
    def __init__(self) -> None:
        super().__init__(_("This account is not ready: it has no language."))


class Conflict(APIException):
    status_code = status.HTTP_409_CONFLICT


class Unavailable(APIException):
    """The database is away, or too slow; the client keeps what it has and comes again."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    wait = COME_AGAIN

    def __init__(self, error: BaseException | None = None) -> None:
        super().__init__(too_long() if took_too_long(error) else _("This cannot be done right now. Try again in a moment."))


def _sentences(detail: Any) -> str:
    """The first sentence of an error detail, however deep it lies."""
    while isinstance(detail, (list, Mapping)):
        detail = next(iter(detail.values() if isinstance(detail, Mapping) else detail), "")
    return str(detail)


# what is told to the security log, by kind of error; what people mistype is not
NOTED = (
    (Throttled, Event.LIMIT, Outcome.LIMITED),
    ((UnknownToken, PermissionDenied), Event.DENIAL, Outcome.REFUSED),
    ((ParseError, UnsupportedMediaType, accepts.TooLarge), Event.INPUT, Outcome.REFUSED),
)


def _note(error: Exception, context: dict[str, Any]) -> None:
    for kinds, event, outcome in NOTED:
        if isinstance(error, kinds):
            account = getattr(context["view"], "account", None)
            reason = str(error.get_codes())
            record_request(context["request"], event, outcome, reason=reason, account_id=account.pk if account else None)


def error_response(error: Exception, context: dict[str, Any]) -> Response | None:
    if isinstance(error, DATABASE_AWAY):
        error = Unavailable(error)
    _note(error, context)
    response = exception_handler(error, context)
    if response is None or not isinstance(error, APIException):
        return response
    answer: dict[str, Any] = {"detail": _sentences(error.detail)}
    if isinstance(error, ValidationError):
        fields = dict(error.detail) if isinstance(error.detail, dict) else {}
        contacts = fields.pop("contacts", None)
        if isinstance(contacts, Mapping):
            fields |= contacts
        elif contacts:
            fields["contacts"] = contacts
        answer["fields"] = {name: _sentences(detail) for name, detail in fields.items()}
    if (wait := getattr(error, "wait", None)) is not None:
        answer["retry_after"] = int(wait)
    response.data = answer
    return response
