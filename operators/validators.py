"""What people may type into an account's settings."""

import re
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from webim_offline.foundation.email_addresses import cleaned_address, is_address, needs_smtputf8
from webim_offline.foundation.text import cleaned_line

MOST_ADDRESSES = 10
MOST_SITES = 50
# An entry of a list of addresses. Separators within quotation marks or angle brackets do not end it.
ENTRY = re.compile(r'(?:"[^"\r\n]*"|<[^<>\r\n]*>|[^,;\r\n])+')
NAMED = re.compile(r"[^<>]*<([^<>]*)>\s*")
HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?|[0-9a-f:.]*:[0-9a-f:.]*")  # a name or an address


def addresses(text: str) -> list[str]:
    """The addresses of a list, without names, blanks, empty entries and repetitions.

    They are separated by commas, semicolons or line breaks, and each may stand as `Name <address>`.
    """
    return list(dict.fromkeys(address for entry in ENTRY.findall(text) if (address := _address_of(entry))))


def _address_of(entry: str) -> str:
    entry = cleaned_line(entry)
    named = NAMED.fullmatch(entry)
    return cleaned_address(named[1] if named else entry)


def check_can_be_sent_to(address: str) -> None:
    """Refuse an address that our mail server could not send to (C6)."""
    if settings.MAIL_SERVER is not None and not settings.MAIL_SERVER.smtputf8 and needs_smtputf8(address):
        raise ValidationError(
            _(
                "Our mail server cannot send to “%(address)s”: before the @ it only knows Latin letters, digits and signs."
                " Write another address."
            ),
            code="smtputf8",
            params={"address": address},
        )


def validate_addresses(text: str) -> None:
    """One to ten e-mail addresses; says which one is wrong."""
    found = addresses(text)
    for address in found:
        if not is_address(address):
            raise ValidationError(_("“%(address)s” is not an email address."), params={"address": address})
        check_can_be_sent_to(address)
    if text.strip() and not found:
        raise ValidationError(_("Write at least one email address."))
    if len(found) > MOST_ADDRESSES:
        raise ValidationError(_("At most %(count)s addresses."), params={"count": MOST_ADDRESSES})


def origin(text: str) -> str:
    """What a browser sends as Origin for the pages of a site. Raises ValueError."""
    parts = urlsplit(text)
    host = (parts.hostname or "").encode("idna").decode()
    is_plain = HOST.fullmatch(host) and not parts.username and parts.path in {"", "/"} and not parts.query and not parts.fragment
    if parts.scheme not in {"http", "https"} or not is_plain:
        raise ValueError(text)
    port = "" if parts.port in {None, 443 if parts.scheme == "https" else 80} else f":{parts.port}"
    return f"{parts.scheme}://[{host}]{port}" if ":" in host else f"{parts.scheme}://{host}{port}"


def origins(text: str) -> list[str]:
    """The origins of a comma-separated list as browsers send them, without repetitions. Raises ValueError."""
    return list(dict.fromkeys(origin(word.strip()) for word in text.split(",") if word.strip()))


def validate_sites(text: str) -> None:
    """At most fifty sites, comma-separated; says which one is wrong."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    for word in words:
        try:
            origin(word)
        except ValueError:
            raise ValidationError(_("“%(site)s” is not a site, such as https://shop.example."), params={"site": word}) from None
    if text.strip() and not words:
        raise ValidationError(_("Write at least one site, or nothing."))
    if len(words) > MOST_SITES:
        raise ValidationError(_("At most %(count)s sites."), params={"count": MOST_SITES})


def validate_time_zone(name: str) -> None:
    """A name of the time zone database, such as Europe/Moscow."""
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        raise ValidationError(_("“%(name)s” is not a time zone, such as Europe/Moscow."), params={"name": name}) from None
