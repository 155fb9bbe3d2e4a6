"""Which sessions of workspaces are valid now (X5)."""

from collections.abc import Collection
from datetime import datetime

from operators.models import Operator


def valid_sessions(operator_ids: Collection[int]) -> dict[int, datetime]:
    """`tickets_valid_from` of each of these who may work: active, in an account that is not archived. One query."""
    may_work = Operator.objects.filter(pk__in=operator_ids, is_active=True, account__archived_at=None)
    return dict(may_work.values_list("pk", "tickets_valid_from"))
