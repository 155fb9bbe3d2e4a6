"""Who may open the pages of operators, and which dialogs on them (A2, Q3, X1)."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache

from dialogs import queues
from dialogs.models import Dialog
from operators import actions as people
from operators.models import Operator
from webim_offline.database_clock import database_now
from webim_offline.errors import too_many
from webim_offline.rate_limits import spend

SEEN_AT_MOST_EVERY = timedelta(seconds=5)


def operators_page(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Operators and supervisors only; every request of theirs is a sign of life (A2), and so many a minute may write (X3)."""

    @login_required
    @never_cache
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        operator = request.user
        if not isinstance(operator, Operator) or operator.account_id is None:
            return redirect("admin:index")
        now = database_now()
        operator.was_away = is_away(operator, now)
        if operator.last_seen_at is None or now - operator.last_seen_at > SEEN_AT_MOST_EVERY:
            people.seen(operator, now)
        if request.method == "POST" and (wait := spend("operator_write", str(operator.pk))):
            return too_many(request, wait, "operator_write")
        return view(request, *args, **kwargs)

    return guarded


def operators_search(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """`operators_page` for one that searches: so many a minute."""

    @operators_page
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if wait := spend("operator_search", str(request.user.pk)):
            return too_many(request, wait, "operator_search")
        return view(request, *args, **kwargs)

    return guarded


def is_away(operator: Operator, now: datetime) -> bool:
    """A2: nothing was heard of the operator's workspace for a lease, or they signed out."""
    lease = timedelta(seconds=operator.account.operator_lease)
    return operator.last_seen_at is None or now - operator.last_seen_at > lease


def visible_dialog(operator: Operator, number: int) -> Dialog:
    """The dialog of that number, with all that a page says of it. Raises Http404."""
    dialog = (
        queues.visible_to(operator)
        .select_related("visitor", "department", "language", "operator", "account", "continues")
        .filter(number=number)
        .first()
    )
    if dialog is None:
        raise Http404(_("There is no such dialog, or it is not in your departments and languages."))
    return dialog
