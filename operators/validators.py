"""What people may type into an account's settings."""

from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.translation import gettext_lazy as _

MOST_ADDRESSES = 10


def addresses(text: str) -> list[str]:
    """The addresses of a comma-separated list, without blanks, empty entries and repetitions."""
    return list(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))


def validate_addresses(text: str) -> None:
    """One to ten e-mail addresses, comma-separated; says which one is wrong."""
    found = addresses(text)
    for address in found:
        try:
            validate_email(address)
        except ValidationError:
            raise ValidationError(_("“%(address)s” is not an email address."), params={"address": address}) from None
    if text.strip() and not found:
        raise ValidationError(_("Write at least one email address."))
    if len(found) > MOST_ADDRESSES:
        raise ValidationError(_("At most %(count)s addresses."), params={"count": MOST_ADDRESSES})


def validate_time_zone(name: str) -> None:
    """A name of the time zone database, such as Europe/Moscow."""
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        raise ValidationError(_("“%(name)s” is not a time zone, such as Europe/Moscow."), params={"name": name}) from None
