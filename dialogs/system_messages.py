"""What the system writes into a dialog, in the reader's language. For operators only (P11)."""

from collections.abc import Mapping

from django.utils.translation import gettext_lazy as _

LEFT = "left"
WENT_OFFLINE = "went_offline"
RETURNED = "returned"
ENTERED = "entered"
ENTERED_UNDELIVERED = "entered_undelivered"

TEXTS = {
    LEFT: _("Visitor left the site"),
    WENT_OFFLINE: _("The dialog went offline: the visitor is not on the site"),
    RETURNED: _("The visitor is back on the site"),
    ENTERED: _("%(who)s brought this left message into the workspace"),
    ENTERED_UNDELIVERED: _("This left message came into the workspace because its letter could not be delivered: %(why)s"),
}


def text_of(code: str, params: Mapping[str, object]) -> str:
    """The sentence of a system message; the code itself for one this release does not know."""
    if code not in TEXTS:
        return code
    return str(TEXTS[code]) % params if params else str(TEXTS[code])
