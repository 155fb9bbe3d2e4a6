"""Every word the widget shows, in the visitor's language (M10, W3, W4). `%(name)s` is filled in by the widget."""

from collections.abc import Iterable
from functools import lru_cache

from django.conf import settings
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from dialogs.models import Dialog, Visitor


def spoken_language(language: str, asked: Iterable[str]) -> str:
    """The language of the widget's words: the dialog's, or, where we have none for it, the visitor's first that we have."""
    ours = dict(settings.LANGUAGES)
    tags = [tag.replace("_", "-").split("-")[0].lower() for tag in asked]
    return next((code for code in (language, *tags) if code in ours), settings.LANGUAGE_CODE)


def button_texts() -> dict[str, str]:
    """The words of the widget's button, and of a window that is on its way, in the active language."""
    return {
        "chat": _("Chat with us"),
        "leave": _("Leave a message"),
        "unread": _("unread"),
        "answered": _("%(name)s answered in %(number)s"),
        "opening": _("Opening…"),
        "failed": _("The chat did not open. Your text is kept; we keep trying."),
        "retry": _("Try once more"),
    }


def texts(*, mail_only: bool) -> dict[str, str]:
    """All of the widget's words in the active language. They are found once in a process; nobody may change what is returned."""
    return _texts(get_language(), mail_only)


@lru_cache(maxsize=100)
def _texts(language: str | None, mail_only: bool) -> dict[str, str]:
    return button_texts() | {
        "window": _("%(account)s: messages"),
        "minimise": _("Minimise"),
        "end": _("End chat"),
        "online": _("We are online"),
        "offline": _("We are not online now"),
        "disconnected": _("No connection"),
        "lead_online": _("Write to us: we answer right here."),
        "lead_offline": _("Nobody is online now. Leave a message: we will answer by e-mail or contact you.")
        if mail_only
        else _("Nobody is online now. Leave a message: the answer will appear here."),
        "lead_kept": _("Contacts are not needed any more: we answer right here."),
        "now_online": _("We are online now. Everything you typed is kept."),
        "now_offline": _("Nobody is online any more. Everything you typed is kept: send it, then leave your contacts."),
        "lost": _("No network. Keep writing: we send it when the connection is back."),
        "optional": _("optional"),
        "either": _("An email or a phone is enough."),
        "name": _("Name"),
        "email": _("Email"),
        "phone": _("Phone"),
        "message": _("Message"),
        "placeholder": _("Write a message"),
        "send": _("Send"),
        "log": _("Messages"),
        "privacy": _("How we handle your data"),
        "fill_in": _("Fill in this field."),
        "fill_either": _("Write an email or a phone, so that we can answer."),
        "write": _("Write a message."),
        "too_long": _("At most %(count)s characters: divide the message in two."),
        "bad_email": _("Check the address: it looks like name@example.com."),
        "sending": _("Sending"),
        "waiting": _("Waiting for the network"),
        "delivered": _("Delivered %(time)s"),
        "too_fast": _("Too fast. We retry in %(seconds)s s."),
        "not_sent": _("Not sent."),
        "again": _("Send again"),
        "received": _("Inquiry %(number)s received"),
        "inquiry": _("Inquiry %(number)s"),
        "here": _("The answer will appear here, also when you come back later."),
        "more": _("You can add more: the operator will see it all."),
        "earlier": _("Earlier messages are not shown."),
        "away": _("While you were away"),
        "ended": _("You ended the chat. A new message starts a new inquiry."),
        "closed": _("The chat is closed. A new message starts a new inquiry."),
        "ended_reopens": _("You ended the chat. Write again to go on with it."),
        "closed_reopens": _("The chat is closed. Write again to go on with it."),
        "ask": _("Leave your contacts, so that we can reach you."),
        "save": _("Save contacts"),
    }


def way_of_answer(dialog: Dialog, visitor: Visitor) -> str:
    """M10: how an email-only dialog is answered; empty for every other dialog, and while no contact is known."""
    if not dialog.email_only or dialog.in_workspace:
        return ""
    if visitor.email:
        return _("We will answer by e-mail")
    return _("We will contact you") if visitor.phone else ""
