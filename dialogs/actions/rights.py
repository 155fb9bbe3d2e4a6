"""What an act raises when `dialogs.rules.permissions` does not allow it."""

from django.core.exceptions import PermissionDenied

from dialogs.actions.errors import AlreadyTaken, DialogClosed, NotVisible, NotYours
from dialogs.models import Dialog
from dialogs.rules.permissions import Decision


def refuse_unless(decision: Decision, dialog: Dialog) -> None:
    """Return when the decision allows the action; otherwise raise the exception that says why not.

    Raises Dialog.DoesNotExist for another account's dialog (X1), DialogClosed, AlreadyTaken, NotVisible for a dialog of
    another department or language (Q3), NotYours for one that has to be taken first or is answered by mail only, and
    PermissionDenied for a person who may not act at all.
    """
    match decision:
        case Decision.ALLOWED:
            return
        case Decision.OTHER_ACCOUNT:
            raise Dialog.DoesNotExist
        case Decision.CLOSED:
            raise DialogClosed
        case Decision.HELD_BY_ANOTHER:
            raise AlreadyTaken(str(dialog.operator))
        case Decision.OTHER_ROUTE:
            raise NotVisible
        case Decision.NOT_TAKEN | Decision.NOT_IN_WORKSPACE:
            raise NotYours
        case _:
            raise PermissionDenied(decision.value)
