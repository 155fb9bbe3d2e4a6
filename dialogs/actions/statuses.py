"""Choosing one's own status, and a supervisor's setting of somebody else's (A1)."""

from django.core.exceptions import PermissionDenied

from dialogs.actions.automatic_assignment import assign_soon
from dialogs.reading.rights import person_of
from dialogs.rules.permissions import Decision, may_set_status
from operators.actions.status import set_status
from operators.models import Operator


def choose_status(actor: Operator, person: Operator, status: str) -> None:
    """Set the person's status, and give dialogs to whoever is free now (Q7).

    Raises ValidationError for a status that does not exist and for support staff, who have none, and PermissionDenied for
    an actor who may not set this person's status.
    """
    decision = may_set_status(person_of(actor, with_routes=False), person_of(person, with_routes=False))
    if not decision and decision != Decision.SUPPORT_STAFF:
        raise PermissionDenied(decision.value)
    set_status(person, status, actor=actor)
    if person.account_id is not None:
        assign_soon([person.account_id])
