"""The words of a letter about a left message, as text and as HTML (M2, M4, X6). Reads rows, writes none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from dialogs.models import Dialog, Message
from dialogs.reading.evidence import language_name, start_sentence
from notifications.models import LetterKind
from notifications.outgoing.mime import one_line
from webim_offline.foundation.text import cleaned

LETTER_LANGUAGES = ("en", "ru")
LONGEST_SUBJECT = 120
LONGEST_NAME = 60
MOST_MESSAGES = 200  # in one letter (X3); the rest stand in the dialog


@dataclass(frozen=True, slots=True)
class News:
    """What a letter tells its recipient: everything for a first letter, only what is new for a reply."""

    kind: LetterKind
    messages: Sequence[Message]
    left_out: int = 0
    contacts: Mapping[str, str] = field(default_factory=dict)
    who: str = ""  # who picked the dialog up


@dataclass(frozen=True, slots=True)
class Letter:
    """A rendered letter, the same for every recipient to whom the same is new."""

    subject: str
    text: str
    html: str


def letter_language(first_language: str) -> str:
    """A letter speaks the account's first language where we speak it, else English."""
    return first_language if first_language in LETTER_LANGUAGES else "en"


def contacts_of(dialog: Dialog) -> dict[str, str]:
    """What the visitor told about themselves, by field; own fields by their label, which no field name can hide."""
    visitor = dialog.visitor
    told = {"name": visitor.name, "email": visitor.email, "phone": visitor.phone}
    told |= {f"own: {label}": str(value) for label, value in visitor.own_fields.items()}
    return {key: value for key, value in told.items() if value}


def compose(dialog: Dialog, news: News, *, language: str, subject: str = "") -> Letter:
    """Render a letter; `subject` is the thread's, for a reply: mail programs keep together what is named alike."""
    with translation.override(language):
        zone = ZoneInfo(dialog.account.time_zone)
        name = one_line(dialog.visitor.name, LONGEST_NAME) or _("Visitor")
        context = {
            "language": language,
            "account": dialog.account.name,
            "number": dialog.number,
            "name": name,
            "is_first": news.kind == LetterKind.FIRST,
            "what": _what(news),
            "messages": _paragraphs(news.messages, zone, dialog.created_at),
            "left_out": _left_out(news.left_out),
            "contacts": [(_label(key), one_line(value, 500)) for key, value in news.contacts.items()],
            "pick_up": _pick_up(news.who),
            "link": f"{settings.PUBLIC_URL}/workspace/{dialog.number}/" if dialog.in_workspace else "",
            "facts": _facts(dialog, zone) if news.kind == LetterKind.FIRST else [],
            "evidence": start_sentence(dialog) if news.kind == LetterKind.FIRST else "",
            "only_mail": "" if dialog.in_workspace else _("This message only goes by mail: it is not in the workspace."),
            "footer": _("This address is entered under “For left messages” of %(account)s.") % {"account": dialog.account.name},
        }
        own_subject = _("Left message #%(number)s: %(name)s") % {"number": dialog.number, "name": name}
        return Letter(
            subject=subject or one_line(own_subject, LONGEST_SUBJECT),
            text=_as_text(context),
            html=render_to_string("notifications/letter.html", context),
        )


def _what(news: News) -> str:
    if news.kind == LetterKind.FIRST:
        return _("Left message")
    if news.messages:
        return _("New message")
    return _("New contacts") if news.contacts else _("Picked up")


def _paragraphs(messages: Sequence[Message], zone: ZoneInfo, started: datetime) -> list[tuple[str, str]]:
    first_day = started.astimezone(zone).date()
    found = []
    for message in messages:
        at = message.at.astimezone(zone)
        found.append((date_format(at, "H:i" if at.date() == first_day else "j E, H:i"), cleaned(message.text)))
    return found


def _left_out(count: int) -> str:
    if not count:
        return ""
    return ngettext("%(count)s earlier message is left out.", "%(count)s earlier messages are left out.", count) % {"count": count}


def _pick_up(who: str) -> str:
    if not who:
        return ""
    return _("%(who)s has taken this dialog and answers. No further letters about it will come.") % {"who": one_line(who, 120)}


def _label(key: str) -> str:
    known = {"name": _("Name"), "email": _("Email"), "phone": _("Phone")}
    return known.get(key) or one_line(key.removeprefix("own: "), LONGEST_NAME)


def _facts(dialog: Dialog, zone: ZoneInfo) -> list[tuple[str, str]]:
    at = dialog.created_at.astimezone(zone)
    facts = [
        (_("Received"), f"{date_format(at, 'j E Y, H:i')} ({dialog.account.time_zone}, {_offset(at)})"),
        (_("Department"), dialog.department.name if dialog.department else _("none chosen")),
        (_("Language"), language_name(dialog.language.code)),
        (_("Page"), one_line(dialog.page_title, 200)),
        (_("Page address"), one_line(dialog.page_url, 1000)),
    ]
    return [(label, value) for label, value in facts if value]


def _offset(at: datetime) -> str:
    shift = at.strftime("%z")
    hours = f"{shift[0]}{int(shift[1:3])}"
    return f"UTC{hours}" if shift[3:5] == "00" else f"UTC{hours}:{shift[3:5]}"


def _as_text(context: Mapping[str, Any]) -> str:
    blocks = [f"{context['what']}\n#{context['number']} {context['name']}"]
    if context["left_out"]:
        blocks.append(str(context["left_out"]))
    blocks += [f"{at}\n{text}" for at, text in context["messages"]]
    if context["pick_up"]:
        blocks.append(str(context["pick_up"]))
    if context["link"]:
        blocks.append(f"{_('Open the dialog')}: {context['link']}")
    elif context["is_first"]:
        blocks.append(context["only_mail"])
    if lines := [f"{label}: {value}" for label, value in (*context["contacts"], *context["facts"])]:
        blocks.append("\n".join(lines))
    if context["evidence"]:
        blocks.append(str(context["evidence"]))
    if context["is_first"]:
        blocks.append(f"-- \n{context['footer']}")
    return "\n\n".join(blocks) + "\n"
