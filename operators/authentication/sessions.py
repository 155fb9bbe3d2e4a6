"""Which tickets of workspaces are still valid (X5)."""

from collections.abc import Collection
from datetime import datetime

from operators.models import Operator


def valid_sessions(operator_ids: Collection[int]) -> dict[int, datetime]:
    """Return `tickets_valid_from` by operator id, for those of these operators who may work now. Makes one query.

    Operators who are not active, or whose account is archived, are left out. A ticket names the session it was issued for by this
    moment (see `dialogs.live.tickets.workspace_claims`), and is void if it names another one.
    """
    may_work = Operator.objects.filter(pk__in=operator_ids, is_active=True, account__archived_at=None)
    return dict(may_work.values_list("pk", "tickets_valid_from"))
