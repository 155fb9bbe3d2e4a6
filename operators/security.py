"""What staff do at the doors from a page, for the security log: who did it to whom, from which network."""

from functools import partial

from django.db import transaction
from django.http import HttpRequest

from operators.models import Account, Operator
from webim_offline import security_log
from webim_offline.client_address import client_network
from webim_offline.security_log import Event, Outcome


def done(request: HttpRequest, event: Event, *, to: Operator | Account | None = None, reason: str = "") -> None:
    """`request.user` did this to a person or an account (None: to themselves); written when the transaction around it is real."""
    facts = _facts(request, request.user if to is None else to)
    transaction.on_commit(partial(security_log.record, event, Outcome.DONE, reason=reason, **facts))


def refused(request: HttpRequest, event: Event, *, reason: str, outcome: Outcome = Outcome.REFUSED) -> None:
    """`request.user` may not, or has not proved enough; written at once, whatever becomes of the transaction."""
    security_log.record(event, outcome, reason=reason, **_facts(request, request.user))


def happened(request: HttpRequest, event: Event, outcome: Outcome, person: Operator | None, *, reason: str = "") -> None:
    """About `person`, who acts themselves and may not be signed in (None: nobody we know); written at once."""
    security_log.record(
        event,
        outcome,
        operator_id=person and person.pk,
        account_id=person and person.account_id,
        network=client_network(request),
        reason=reason,
    )


def _facts(request: HttpRequest, whom: Operator | Account) -> dict:
    """Ids as they are now: a deleted person has none later."""
    actor, network = request.user.pk, client_network(request)
    if isinstance(whom, Account):
        return {"account_id": whom.pk, "actor_id": actor, "network": network}
    return {
        "operator_id": whom.pk,
        "account_id": whom.account_id,
        "actor_id": None if whom.pk == actor else actor,
        "network": network,
    }
