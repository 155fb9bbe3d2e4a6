"""What became of letters, in the reader's language, from the events of their delivery (B2, B3)."""

from collections.abc import Sequence

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from dialogs.events import LetterStatus, LetterStatusChanged
from dialogs.reading.evidence import listed
from dialogs.reading.lengths import length_of
from webim_offline.foundation.text import shortened

LONGEST_DETAIL = 80  # characters of a mail server's words; the ledger has them all
WITH_DETAIL = frozenset({LetterStatus.REFUSED, LetterStatus.GIVEN_UP, LetterStatus.UNKNOWN})


def letter_sentence(event: LetterStatusChanged) -> str:
    """What became of one letter."""
    told = {
        LetterStatus.QUEUED: _("A letter is on its way to the mail server: %(to)s."),
        LetterStatus.ACCEPTED: _("The mail server accepted the letter after %(time)s: %(to)s."),
        LetterStatus.REFUSED: _("The mail server refused the letter for good: %(to)s."),
        LetterStatus.GIVEN_UP: _("The letter was given up after %(time)s of trying: %(to)s."),
        LetterStatus.UNKNOWN: _("The mail server did not say whether it accepted the letter: %(to)s."),
        LetterStatus.NO_SERVER: _("A letter was written but not sent, there is no mail server: %(to)s."),
        LetterStatus.NO_ADDRESS: _("No letter was written: no address is entered under “For left messages”."),
    }[event.status]
    detail = shortened(event.detail, LONGEST_DETAIL) if event.status in WITH_DETAIL else ""
    to = f"{event.recipient} ({detail})" if detail else event.recipient
    return told % {"time": length_of(event.after), "to": to}


def letters_sentence(events: Sequence[LetterStatusChanged]) -> str:
    """What became of several letters that have the same status; a single one has its own sentence."""
    count = len(events)
    # that no address is entered is told once a dialog, so it has no plural
    if count == 1 or events[0].status == LetterStatus.NO_ADDRESS:
        return letter_sentence(events[0])
    told = {
        LetterStatus.QUEUED: ngettext(
            "%(count)s letter is on its way to the mail server: %(to)s.",
            "%(count)s letters are on their way to the mail server: %(to)s.",
            count,
        ),
        LetterStatus.ACCEPTED: ngettext(
            "The mail server accepted %(count)s letter: %(to)s.", "The mail server accepted %(count)s letters: %(to)s.", count
        ),
        LetterStatus.REFUSED: ngettext(
            "The mail server refused %(count)s letter for good: %(to)s.",
            "The mail server refused %(count)s letters for good: %(to)s.",
            count,
        ),
        LetterStatus.GIVEN_UP: ngettext(
            "%(count)s letter was given up: %(to)s.", "%(count)s letters were given up: %(to)s.", count
        ),
        LetterStatus.UNKNOWN: ngettext(
            "The mail server did not say whether it accepted %(count)s letter: %(to)s.",
            "The mail server did not say whether it accepted %(count)s letters: %(to)s.",
            count,
        ),
        LetterStatus.NO_SERVER: ngettext(
            "%(count)s letter was written but not sent, there is no mail server: %(to)s.",
            "%(count)s letters were written but not sent, there is no mail server: %(to)s.",
            count,
        ),
    }[events[0].status]
    return told % {"count": count, "to": listed(list(dict.fromkeys(event.recipient for event in events)))}
