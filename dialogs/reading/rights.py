"""The facts about stored people and dialogs that the rules ask for (`dialogs.rules.permissions`)."""

from datetime import datetime

from dialogs.models import OPEN_STATES, Dialog, State
from dialogs.rules.permissions import DialogFacts, Person
from operators.models import Operator


def person_of(operator: Operator, *, with_routes: bool = True) -> Person:
    """The facts about an operator, with the ids of their own departments and languages (two queries).

    These are not read of supervisors and support staff, who need none. `with_routes=False` leaves them out for a caller
    that asks only for what depends on nothing but the role and the account.
    """
    if operator.account_id is None or operator.is_supervisor:
        with_routes = False
    return Person(
        id=operator.pk,
        account_id=operator.account_id,
        is_supervisor=operator.is_supervisor,
        is_support=operator.is_support,
        is_active=operator.is_active,
        departments=frozenset(operator.departments.values_list("pk", flat=True)) if with_routes else frozenset(),
        languages=frozenset(operator.languages.values_list("pk", flat=True)) if with_routes else frozenset(),
    )


def acting_person(operator: Operator, dialog: Dialog) -> Person:
    """The facts about somebody who is about to act on the dialog.

    Departments and languages decide only about a dialog that nobody has, so they are read for no other.
    """
    return person_of(operator, with_routes=dialog.operator_id is None)


def facts_of(dialog: Dialog, now: datetime | None = None) -> DialogFacts:
    """The facts about a dialog.

    With `now`, a dialog whose time to close is over counts as closed, although the sweep has not written that yet (Q11).
    """
    is_overdue = now is not None and dialog.closes_at is not None and dialog.closes_at <= now
    return DialogFacts(
        account_id=dialog.account_id,
        route=(dialog.department_id, dialog.language_id),
        holder_id=dialog.operator_id,
        is_open=dialog.state in OPEN_STATES and not is_overdue,
        is_begun=dialog.state == State.CHATTING,
        is_offline=dialog.is_offline,
        in_workspace=dialog.in_workspace,
    )
