"""How pages and letters say a visitor, a language, a system message and a moment."""

from collections.abc import Container, Iterable
from datetime import datetime

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language_info
from django.utils.translation import gettext as _

from dialogs.models import Dialog, Message, Visitor
from dialogs.reading import evidence, system_messages
from dialogs.reading.rights import person_of
from dialogs.reading.search import Piece
from dialogs.rules import permissions, presence
from dialogs.views.card_html import CardHtml
from operators.models import Operator
from webim_offline.foundation import text

register = template.Library()


@register.filter
def visitor_name(visitor: Visitor) -> str:
    """Q4: a visitor without a name is «Посетитель» / "Visitor"."""
    return or_visitor(visitor.name)


@register.filter
def or_visitor(name: str) -> str:
    """Q4, by the name alone."""
    return name or _("Visitor")


@register.filter
def as_items(cards: Iterable[CardHtml], known: Container[str]) -> SafeString:
    """Cards of the panel; empty ones where the page has the same card already (`known`, of `panel_cursor`)."""
    html = "\n".join([card.empty if card.name in known else card.html for card in cards])
    return mark_safe(html)  # noqa: S308 - a template has made it


@register.filter
def may_supervise(operator: Operator) -> bool:
    """Whether the operator sees the pages that only supervisors have."""
    return bool(permissions.may_supervise(person_of(operator, with_routes=False), operator.account_id))


@register.filter
def initials(name: str) -> str:
    """Up to two capital letters for an avatar."""
    return "".join(text.first_grapheme(word) for word in name.split()[:2]).upper()


@register.filter
def shortened(words: str, longest: int) -> str:
    """A text of at most so many characters, never cut inside of what a reader takes for one (C3)."""
    return text.shortened(words, longest)


@register.filter
def language_name(code: str) -> str:
    """The language's name in the reader's language; the code itself when it is not known."""
    try:
        return str(get_language_info(code)["name_translated"]).capitalize()
    except KeyError:
        return code


@register.filter
def language_within(code: str) -> str:
    """The language's name as it stands inside a sentence."""
    return evidence.language_name(code)


@register.filter
def of_limit(count: int, limit: int) -> str:
    """Q5: so many of so many; the number alone where there is no limit."""
    return _("%(count)s of %(limit)s") % {"count": count, "limit": limit} if limit else str(count)


@register.filter
def ms(moment: datetime | None) -> str:
    """Milliseconds since 1970, for the page's timers."""
    return str(int(moment.timestamp() * 1000)) if moment else ""


@register.filter
def system_text(message: Message) -> str:
    """The words of a system message (P4 to P6)."""
    return system_messages.text_of(message.code, message.params)


@register.filter
def presence_text(dialog: Dialog) -> str:
    """P3: the current state in the header of the open dialog."""
    if dialog.is_offline:
        return _("Visitor offline")
    if dialog.away_since is not None:
        return _("Visitor left the site")
    if in_app_only(dialog):
        return _("Visitor reachable in the app")
    return _("Visitor on the site")


@register.filter
def in_app_only(dialog: Dialog) -> bool:
    """P7, of a dialog."""
    return presence.in_app_only(always_online=dialog.always_online, is_present=dialog.visitor.is_present)


@register.filter
def with_marks(pieces: list[Piece]) -> SafeString:
    """A text with what was found in it marked; every piece is escaped."""
    return format_html_join("", "{}", ((format_html("<mark>{}</mark>", text) if is_hit else text,) for text, is_hit in pieces))
