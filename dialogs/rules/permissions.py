"""Who may do what with a dialog, and with other people's statuses (Q3, Q5, Q6, Q9, Q10, Q14, M8, A1), as pure functions.

Each function takes small frozen facts about the person and the dialog, and returns a `Decision`: true when the person may
act, otherwise it says why not. Pages ask it which buttons to show, actions ask it under the dialog's lock and refuse
(`dialogs.actions.rights` turns a decision into an exception), and the admin and the APIs ask the same functions. The facts
of a stored person and dialog come from `dialogs.reading.rights`.
"""

from dataclasses import dataclass
from enum import StrEnum

from operators.routes import Route


class Decision(StrEnum):
    """Whether somebody may do something. Only ALLOWED is true; every other value is the reason for the refusal."""

    ALLOWED = "allowed"
    INACTIVE = "inactive"  # the person does not work here any more
    OTHER_ACCOUNT = "other_account"  # the dialog or the other person belongs to another account (X1)
    OTHER_ROUTE = "other_route"  # the dialog's department or language is not among the person's own (Q3)
    NOT_IN_WORKSPACE = "not_in_workspace"  # the dialog is answered by mail only (M5, M10)
    ALREADY_IN_WORKSPACE = "already_in_workspace"
    CLOSED = "closed"  # the dialog is not open any more (Q9)
    NOT_TAKEN = "not_taken"  # nobody has the dialog: the person has to take it first
    HELD_BY_ANOTHER = "held_by_another"  # somebody else has the dialog (Q6)
    SUPERVISORS_ONLY = "supervisors_only"
    SUPPORT_STAFF = "support_staff"  # people of no account have no status and no workspace

    def __bool__(self) -> bool:
        return self is Decision.ALLOWED


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who acts, or whom an action concerns.

    `departments` and `languages` are the ids of the person's own ones. They may be left empty where no rule asks for
    them: a supervisor sees every dialog of the account, and whoever has a dialog sees it (see `reading.rights.person_of`).
    Support staff belong to no account: `account_id` is None.
    """

    id: int
    account_id: int | None
    is_supervisor: bool = False
    is_support: bool = False
    is_active: bool = True
    departments: frozenset[int] = frozenset()
    languages: frozenset[int] = frozenset()

    def answers(self, route: Route) -> bool:
        """Q3: whether unassigned dialogs of this department and language are the person's to see and to take."""
        department_id, language_id = route
        if self.is_supervisor:
            return True
        return language_id in self.languages and (department_id is None or department_id in self.departments)


@dataclass(frozen=True, slots=True)
class DialogFacts:
    """What the rules need to know of a dialog.

    `holder_id` is the operator who has it or to whom it is assigned; `is_begun` says that the holder has picked it up
    (state `chatting`); `is_offline` is the current state.
    """

    account_id: int
    route: Route
    holder_id: int | None = None
    is_open: bool = True
    is_begun: bool = False
    is_offline: bool = False
    in_workspace: bool = True


def may_read(person: Person, dialog: DialogFacts) -> Decision:
    """Q3, Q13: open the dialog in the workspace and find it in the archive, whether it is open or closed.

    `reading.queues.visible_to` gives the same dialogs as a queryset.
    """
    if not (works_here := _works_here(person, dialog.account_id)):
        return works_here
    if not dialog.in_workspace:
        return Decision.NOT_IN_WORKSPACE
    if person.is_supervisor or dialog.holder_id == person.id or person.answers(dialog.route):
        return Decision.ALLOWED
    return Decision.OTHER_ROUTE


def may_take(person: Person, dialog: DialogFacts, *, instead_of: int | None = None) -> Decision:
    """Q6: become the operator of the dialog. Also allowed to whoever has it: taking it again changes nothing.

    A supervisor takes a dialog over from `instead_of`, the operator whom the page named as its holder; when the dialog has
    moved on to a third person meanwhile, the supervisor is told so instead.
    """
    if not (is_at_hand := _is_at_hand(person, dialog)):
        return is_at_hand
    if not dialog.in_workspace:
        return Decision.NOT_IN_WORKSPACE
    if person.is_supervisor and dialog.holder_id == instead_of:
        return Decision.ALLOWED
    return _is_free_or_own(person, dialog)


def may_take_over(person: Person, dialog: DialogFacts) -> Decision:
    """Q6: take the dialog from the operator who has it now."""
    if dialog.holder_id in {None, person.id}:
        return Decision.NOT_TAKEN
    return may_take(person, dialog, instead_of=dialog.holder_id)


def may_answer(person: Person, dialog: DialogFacts) -> Decision:
    """Send an answer. Answering a dialog that nobody has picks it up, so it needs Take's right (Q14).

    An email-only dialog may be answered as well: what is answered by mail appears in its chat (M10).
    """
    return _is_free_or_own(person, dialog) if (is_at_hand := _is_at_hand(person, dialog)) else is_at_hand


def may_close(person: Person, dialog: DialogFacts) -> Decision:
    """Q9: whoever has the dialog may close it; a supervisor may close every open dialog of the account.

    That holds for a dialog that nobody has, too. The contract gives supervisors everyone's dialogs (Q3), the handing out of
    unassigned ones (Q10) and the closing of many at once (O12), and a waiting dialog never closes by itself (Q11): without
    this right, spam could leave a queue only by being taken first.
    """
    return _is_own_or_supervised(person, dialog) if (is_at_hand := _is_at_hand(person, dialog)) else is_at_hand


def may_transfer(person: Person, dialog: DialogFacts) -> Decision:
    """Q10: whoever has the dialog may hand it on; a supervisor may hand out every open dialog of the workspace."""
    if not (is_at_hand := _is_at_hand(person, dialog)):
        return is_at_hand
    if not dialog.in_workspace:
        return Decision.NOT_IN_WORKSPACE
    return _is_own_or_supervised(person, dialog)


def may_be_given(target: Person, dialog: DialogFacts) -> Decision:
    """Q10: whether the dialog can be handed to this person. Departments and languages only lead to a warning."""
    return _works_here(target, dialog.account_id)


def may_bring_in(person: Person, dialog: DialogFacts) -> Decision:
    """M8: bring an email-only dialog into the workspace, in the admin."""
    if not (manages := may_manage_account(person, dialog.account_id)):
        return manages
    if dialog.in_workspace:
        return Decision.ALREADY_IN_WORKSPACE
    return Decision.ALLOWED if dialog.is_open else Decision.CLOSED


def may_manage_account(person: Person, account_id: int | None) -> Decision:
    """Work in the admin of an account: its supervisors, and support staff in every account."""
    if person.is_support:
        return Decision.ALLOWED if person.is_active else Decision.INACTIVE
    return may_supervise(person, account_id)


def may_supervise(person: Person, account_id: int | None) -> Decision:
    """See everyone's load and dialogs, set other people's statuses, and search the archive by operator (Q3, A1)."""
    if not (works_here := _works_here(person, account_id)):
        return works_here
    return Decision.ALLOWED if person.is_supervisor else Decision.SUPERVISORS_ONLY


def may_search_archive(person: Person) -> Decision:
    """Q13: search the archive. What is found there is limited to the dialogs that `may_read` allows."""
    return _works_here(person, person.account_id)


def may_set_status(person: Person, target: Person) -> Decision:
    """A1: choose one's own status; a supervisor also sets the status of anybody who works in the account."""
    if target.account_id is None:
        return Decision.SUPPORT_STAFF
    if not (target_works_here := _works_here(target, person.account_id)):
        return target_works_here
    return _works_here(person, target.account_id) if person.id == target.id else may_supervise(person, target.account_id)


def _works_here(person: Person, account_id: int | None) -> Decision:
    if not person.is_active:
        return Decision.INACTIVE
    if person.account_id is None:
        return Decision.SUPPORT_STAFF
    return Decision.ALLOWED if person.account_id == account_id else Decision.OTHER_ACCOUNT


def _is_at_hand(person: Person, dialog: DialogFacts) -> Decision:
    """What every act on a dialog needs: a person who works in its account, and an open dialog."""
    works_here = _works_here(person, dialog.account_id)
    if works_here and not dialog.is_open:
        return Decision.CLOSED
    return works_here


def _is_free_or_own(person: Person, dialog: DialogFacts) -> Decision:
    if dialog.holder_id == person.id:
        return Decision.ALLOWED
    if dialog.holder_id is not None:
        return Decision.HELD_BY_ANOTHER
    return Decision.ALLOWED if person.answers(dialog.route) else Decision.OTHER_ROUTE


def _is_own_or_supervised(person: Person, dialog: DialogFacts) -> Decision:
    if dialog.holder_id == person.id or person.is_supervisor:
        return Decision.ALLOWED
    return Decision.NOT_TAKEN if dialog.holder_id is None else Decision.HELD_BY_ANOTHER
