"""Lengths of time in words, as sentences about a dialog tell them."""

from django.utils.translation import gettext as _
from django.utils.translation import npgettext

NO_BREAK = "\u00a0"  # a number and its unit stay on one line


def length_of(seconds: int) -> str:
    """A length of time as it stands after "for", its two largest units: 38 seconds, 1 hour 5 minutes, 2 days."""
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3600)
    minutes, seconds = divmod(rest, 60)
    units = [
        (days, npgettext("for how long", "%(count)s day", "%(count)s days", days)),
        (hours, npgettext("for how long", "%(count)s hour", "%(count)s hours", hours)),
        (minutes, npgettext("for how long", "%(count)s minute", "%(count)s minutes", minutes)),
        (seconds, npgettext("for how long", "%(count)s second", "%(count)s seconds", seconds)),
    ]
    largest = next((place for place, (count, _unit) in enumerate(units) if count), len(units) - 1)
    told = [(unit % {"count": count}).replace(" ", NO_BREAK) for count, unit in units[largest : largest + 2] if count]
    return " ".join(told) or _("a moment")
