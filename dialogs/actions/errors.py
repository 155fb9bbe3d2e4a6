"""Refusals of domain actions, each with a sentence for the person who acted."""

from django.utils.translation import gettext as _


class Refused(Exception):
    """An action that the rules do not allow; `str()` is a sentence a person can act on. Nothing was written."""


class AlreadyTaken(Refused):
    """Somebody else has the dialog (Q6)."""

    def __init__(self, who: str) -> None:
        self.who = who
        super().__init__(_("%(who)s has this dialog.") % {"who": who})


class DialogClosed(Refused):
    """The dialog is closed (Q9)."""

    def __init__(self) -> None:
        super().__init__(_("This dialog is closed."))


class NotVisible(Refused):
    """The dialog is in a department or a language that is not the operator's own (Q3)."""

    def __init__(self) -> None:
        super().__init__(_("There is no such dialog, or it is not in your departments and languages."))


class NotYours(Refused):
    """The operator does not have the dialog."""

    def __init__(self) -> None:
        super().__init__(_("Take the dialog first."))


class NeedsConfirmation(Refused):
    """Possible, but the person is to know something first (Q5, Q10): asked again with `confirmed`, it happens."""

    def __init__(self, warnings: list[str]) -> None:
        super().__init__(" ".join(warnings))


class ContactsMissing(Refused):
    """The offline form lacks contacts the account requires (W3, M10). `fields` are their names."""

    def __init__(self, fields: list[str]) -> None:
        self.fields = fields
        super().__init__(_("Fill in the required fields."))
