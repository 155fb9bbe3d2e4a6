"""What staff do at the doors from a page, for the security log: who did it to whom, from which network."""

from functools import partial
from typing import Any

from django.db import transaction
from django.http import HttpRequest

from operators.models import Account, Operator
from operators.requests import operator_of
from webim_offline.foundation.http.client_address import client_network
from webim_offline.foundation.logs import security
from webim_offline.foundation.logs.security import Event, Outcome


def done(request: HttpRequest, event: Event, *, to: Operator | Account | None = None, reason: str = "") -> None:
    """`request.user` did this to a person or an account (None: to themselves); written when the transaction around it is real."""
    facts = _facts(request, operator_of(request) if to is None else to)
    transaction.on_commit(partial(security.record, event, Outcome.DONE, reason=reason, **facts))


def refused(request: HttpRequest, event: Event, *, reason: str, outcome: Outcome = Outcome.REFUSED) -> None:
    """`request.user` may not, or has not proved enough; written at once, whatever becomes of the transaction."""
    security.record(event, outcome, reason=reason, **_facts(request, operator_of(request)))


def happened(request: HttpRequest, event: Event, outcome: Outcome, person: Operator | None, *, reason: str = "") -> None:
    """About `person`, who acts themselves and may not be signed in (None: nobody we know); written at once."""
    security.record(
        event,
        outcome,
        operator_id=None if person is None else person.pk,
        account_id=None if person is None else person.account_id,
        network=client_network(request),
        reason=reason,
    )


def _facts(request: HttpRequest, whom: Operator | Account) -> dict[str, Any]:
    """Ids as they are now: a deleted person has none later."""
    actor, network = operator_of(request).pk, client_network(request)
    if isinstance(whom, Account):
        return {"account_id": whom.pk, "actor_id": actor, "network": network}
    return {
        "operator_id": whom.pk,
        "account_id": whom.account_id,
        "actor_id": None if whom.pk == actor else actor,
        "network": network,
    }
