"""What the system writes into a dialog, in the reader's language. For operators only (P11)."""

from collections.abc import Mapping

from django.utils.translation import gettext_lazy as _

from dialogs.models import DeliveryStatus

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

# M7: why a letter reached nobody, as the end of a sentence
UNDELIVERED = {
    DeliveryStatus.NO_ADDRESS: _("no address is entered under “For left messages”"),
    DeliveryStatus.NO_SERVER: _("no mail server is configured"),
    DeliveryStatus.REFUSED: _("the mail server refused it for good (%(detail)s)"),
    DeliveryStatus.GIVEN_UP: _("the mail server did not take it for 24 hours (%(detail)s)"),
    DeliveryStatus.UNKNOWN: _("the mail server did not say whether it accepted it (%(detail)s)"),
}


def text_of(code: str, params: Mapping[str, object]) -> str:
    """The sentence of a system message; the code itself for one this release does not know."""
    if code not in TEXTS:
        return code
    words: dict[str, object] = {}
    if code == ENTERED:
        words["who"] = params["who"] or _("Support staff")  # who have no names for customers (X1)
    elif code == ENTERED_UNDELIVERED:
        words["why"] = undelivered(str(params["undelivered"]), str(params["detail"]))
    return str(TEXTS[code]) % words


def undelivered(status: str, detail: str) -> str:
    """Why a letter reached nobody: `status` is the value of a key of UNDELIVERED, `detail` the mail server's words."""
    return str(UNDELIVERED[DeliveryStatus(status)]) % {"detail": detail}
