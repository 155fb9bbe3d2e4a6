"""Who may open the pages of operators, and which dialogs on them (A2, Q3, X1)."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache

from dialogs.models import Dialog, State
from dialogs.reading import queues
from dialogs.reading.rights import person_of
from dialogs.rules.permissions import may_search_archive
from operators.actions.signs_of_life import seen
from operators.models import Operator
from operators.requests import OperatorRequest
from webim_offline.foundation.database.clock import database_now
from webim_offline.foundation.database.prepared import prepared
from webim_offline.foundation.http.errors import too_many
from webim_offline.foundation.rate_limits import spend
from webim_offline.foundation.steady_clock import steady_now

NOT_VISIBLE = gettext_lazy("There is no such dialog, or it is not in your departments and languages.")
SEEN_AT_MOST_EVERY = timedelta(seconds=5)


def operators_page(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Operators and supervisors only; every request of theirs is a sign of life (A2), and so many a minute may write (X3)."""

    @login_required
    @never_cache
    @wraps(view)
    def guarded(request: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        operator = request.user
        if not isinstance(operator, Operator) or operator.account_id is None:
            return redirect("admin:index")
        now = database_now()
        request.asked_at, request.begun = now, steady_now()
        operator.was_away = is_away(operator, now)
        if operator.last_seen_at is None or now - operator.last_seen_at > SEEN_AT_MOST_EVERY:
            seen(operator, now)
        if request.method == "POST" and (wait := spend("operator_write", str(operator.pk))):
            return too_many(request, wait, "operator_write")
        return view(request, *args, **kwargs)

    return guarded


def operators_search(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """`operators_page` for one that searches: so many a minute."""

    @operators_page
    @wraps(view)
    def guarded(request: OperatorRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not may_search_archive(person_of(request.user, with_routes=False)):
            raise PermissionDenied
        if wait := spend("operator_search", str(request.user.pk)):
            return too_many(request, wait, "operator_search")
        return view(request, *args, **kwargs)

    return guarded


def is_away(operator: Operator, now: datetime) -> bool:
    """A2: nothing was heard of the operator's workspace for a lease, or they signed out."""
    lease = timedelta(seconds=operator.own_account.operator_lease)
    return operator.last_seen_at is None or now - operator.last_seen_at > lease


def visible_dialog(operator: Operator, number: int) -> Dialog:
    """The dialog of that number, with all that a page says of it, if the operator may read it (Q3). Raises Http404."""
    dialog = find_visible_dialog(operator, number)
    if dialog is None:
        raise Http404(NOT_VISIBLE)
    return dialog


def find_visible_dialog(operator: Operator, number: int) -> Dialog | None:
    """Do the same as `visible_dialog`, but return None for a dialog that is not there, or that the operator may not read."""
    found = _visible_dialog(*queues.reader(operator), number)
    return found[0] if found else None


def visible_id(operator: Operator, number: int) -> tuple[int, bool]:
    """The id of the dialog of that number, and whether the operator is in it, if they may read it (Q3). Raises Http404."""
    found = _visible_id(*queues.reader(operator), number)
    if not found:
        raise Http404(NOT_VISIBLE)
    dialog_id, holder, state = found[0]
    return dialog_id, holder == operator.pk and state == State.CHATTING


@prepared
def _visible_id(account_id: int, operator_id: int | None, number: int) -> QuerySet[Dialog, Any]:
    return queues.visible(account_id, operator_id).filter(number=number).order_by().values_list("pk", "operator_id", "state")


@prepared
def _visible_dialog(account_id: int, operator_id: int | None, number: int) -> QuerySet[Dialog]:
    rows = queues.visible(account_id, operator_id).filter(number=number)
    return rows.select_related("visitor", "department", "language", "operator", "account", "continues")
