"""What every page of operators gives its scripts, so that it is live and rings (A2, Q12)."""

from typing import Any

from django.utils.translation import gettext as _

from dialogs.views.dialog_page import ticket_for
from operators.models import Operator


def live_context(operator: Operator) -> dict[str, Any]:
    """For a page without a dialog: the ticket it begins to follow with, and the words of its script (`page/words.js`)."""
    return {"ticket": ticket_for(operator, None), "words": live_words()}


def live_words() -> dict[str, str]:
    """What the scripts of all these pages say, in the page's language; `workspace.py` adds what its own says."""
    return {
        "hour": _("h"),
        "minute": _("min"),
        "undo": _("Undo"),
        "loadFailed": _("Could not load."),
        "statusFailed": _("The status was not changed."),
    }
