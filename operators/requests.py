"""Who is signed in, for pages that need somebody: Django's own types know a request's user only as a person or nobody."""

from datetime import datetime

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from operators.models import Operator


class OperatorRequest(HttpRequest):
    """A request of somebody who is signed in, for the annotations of views behind a login. Nothing makes one at runtime.

    `asked_at` is the moment of the request by the database's clock, and `begun` the same moment by this process's steady clock.
    """

    user: Operator
    asked_at: datetime
    begun: float


def operator_of(request: HttpRequest) -> Operator:
    """Who is signed in, for the methods of Django's classes. Raises PermissionDenied where nobody is."""
    if not isinstance(request.user, Operator):
        raise PermissionDenied
    return request.user
