"""What each event of a dialog says, in the reader's language, from its stored data alone (B3). For operators only (P11).

Whoever adds a kind of event adds its sentence to SENTENCES.
"""

from collections.abc import Callable, Sequence

from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, npgettext

from dialogs.actions.assigner import UnassignedReason
from dialogs.actions.assignment import AT_LIMIT, NOT_ONLINE, NOT_SPOKEN
from dialogs.actions.devices import Reason
from dialogs.evidence import listed, start_sentence
from dialogs.models import DeliveryStatus, Dialog, DialogEvent, EventKind
from dialogs.queues import Section
from dialogs.system_messages import undelivered
from operators.models import Operator

NO_BREAK = "\u00a0"  # a number and its unit stay on one line
LONGEST_DETAIL = 80  # of a mail server's words; the ledger has them all
WITH_DETAIL = frozenset({DeliveryStatus.REFUSED, DeliveryStatus.GIVEN_UP, DeliveryStatus.UNKNOWN})


def sentence_of(event: DialogEvent, reader: Operator) -> str:
    """What the event says; the reader is "you" in it."""
    return SENTENCES[EventKind(event.kind)](event, reader)


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


# ----- the start -----


def start_sentences(dialog: Dialog, started: DialogEvent | None) -> str:
    """S3, then where the dialog was put, if its first event is at hand, and what it continues."""
    sentences = [start_sentence(dialog)]
    data = started.data if started is not None else {}
    if dialog.email_only:
        sentences.append(_("It only went by mail: the account kept left messages out of the workspace."))
    elif data.get("has_token"):
        sentences.append(_("Put into General queue: the visitor was reachable in the app."))
    elif data.get("to") == Section.GENERAL:
        sentences.append(_("Put into General queue: the visitor was on the site."))
    elif data.get("to") == Section.OFFLINE:
        sentences.append(_("Put into Offline inquiries: the visitor was not on the site."))
    if dialog.continues is not None:
        sentences.append(_("It continues #%(number)s, which only goes by mail.") % {"number": dialog.continues.number})
    return " ".join(sentences)


def _started(event: DialogEvent, reader: Operator) -> str:
    return start_sentences(event.dialog, event)


# ----- presence -----


def _left(event: DialogEvent, reader: Operator) -> str:
    return _("The visitor left the site.")


def _came_back(event: DialogEvent, reader: Operator) -> str:
    away, moved = event.data.get("away"), event.data.get("to") == Section.GENERAL
    if away is None:
        return _("Moved to General queue: the visitor came to the site.") if moved else _("The visitor came to the site.")
    if moved:
        return _("Moved to General queue: the visitor came back after %(time)s.") % {"time": length_of(away)}
    return _("The visitor came back after %(time)s.") % {"time": length_of(away)}


def _left_notice(event: DialogEvent, reader: Operator) -> str:
    return _("“Visitor left the site” was written into the dialog: %(absence)s.") % {"absence": _absence(event)}


def _went_offline(event: DialogEvent, reader: Operator) -> str:
    if event.data.get("to") == Section.OFFLINE:
        return _("Moved to Offline inquiries: %(absence)s.") % {"absence": _absence(event)}
    return _("The dialog went offline: %(absence)s.") % {"absence": _absence(event)}


def _absence(event: DialogEvent) -> str:
    """How long the visitor was away then; and the limit, where only its lowering led to the step (Z2)."""
    time, limit = length_of(event.data.get("away", 0)), event.data.get("limit")
    if limit is None:
        return _("the visitor had been away for %(time)s") % {"time": time}
    return _("the visitor had been away for %(time)s when the limit became %(limit)s") % {"time": time, "limit": length_of(limit)}


def _returned(event: DialogEvent, reader: Operator) -> str:
    return _("“The visitor is back on the site” was written into the dialog.")


def _token_set(event: DialogEvent, reader: Operator) -> str:
    if event.data.get("to") == Section.GENERAL:
        return _("Moved to General queue: the visitor is reachable in the app from now on.")
    return _("The visitor is reachable in the app: the dialog stays online while the app is closed.")


def _token_removed(event: DialogEvent, reader: Operator) -> str:
    reason = {
        Reason.REMOVED: _("The app takes no push messages any more"),
        Reason.INVALID: _("The push service does not know the app any more"),
        Reason.MOVED: _("Somebody else uses the visitor’s device now"),
    }[Reason(event.data["reason"])]
    if event.data["away"]:
        return _("%(reason)s: the visitor counts as away from this moment.") % {"reason": reason}
    return _("%(reason)s: the dialog stays online only while the visitor is there.") % {"reason": reason}


# ----- people -----


def who(person: Operator | None, reader: Operator) -> str:
    """The person as the reader may know them (X1)."""
    return person.name_for(reader) if person else _("Somebody")


def _by(event: DialogEvent, reader: Operator, own: str, others: str) -> str:
    """`own` when the reader did it, else `others` with the name of who did."""
    return own if event.actor == reader else others.replace("%(who)s", who(event.actor, reader))


def _visitor_wrote(event: DialogEvent, reader: Operator) -> str:
    return _("The visitor wrote again.")


def _operator_wrote(event: DialogEvent, reader: Operator) -> str:
    return _by(event, reader, _("You answered."), _("%(who)s answered."))


def _picked_up(event: DialogEvent, reader: Operator) -> str:
    if "who" in event.data:
        told = _by(
            event, reader, _("You took the dialog over from %(before)s."), _("%(who)s took the dialog over from %(before)s.")
        )
        sentence = told.replace("%(before)s", event.data["who"])
    else:
        sentence = _by(event, reader, _("You took the dialog."), _("%(who)s took the dialog."))
    return _after_warnings(sentence, event)


# ----- queues and assignment -----

WARNED = {
    AT_LIMIT: gettext_lazy("the limit was reached"),
    NOT_ONLINE: gettext_lazy("not online at that moment"),
    NOT_SPOKEN: gettext_lazy("does not speak the language"),
}


def _after_warnings(sentence: str, event: DialogEvent) -> str:
    """The sentence, with what the person was warned of before doing it (Q5, Q10)."""
    warned = [str(WARNED[code]) for code in event.data.get("warned", ()) if code in WARNED]
    return (
        _("%(sentence)s Confirmed after a warning: %(warned)s.") % {"sentence": sentence, "warned": listed(warned)}
        if warned
        else sentence
    )


def _assigned(event: DialogEvent, reader: Operator) -> str:
    if event.data.get("operator") == reader.pk:
        return _("Assigned to you: you had the fewest dialogs of those who could answer.")
    return _("Assigned to %(who)s, who had the fewest dialogs of those who could answer.") % {"who": event.data["who"]}


def _unassigned(event: DialogEvent, reader: Operator) -> str:
    is_own = event.data.get("operator") == reader.pk
    told = {
        UnassignedReason.NOT_PICKED_UP: (
            _("Returned to the queue: you did not take it in time."),
            _("Returned to the queue: %(who)s did not take it in time."),
        ),
        UnassignedReason.NOT_ONLINE: (
            _("Returned to the queue: you were not online any more."),
            _("Returned to the queue: %(who)s was not online any more."),
        ),
        UnassignedReason.NOT_THEIRS: (
            _("Returned to the queue: its department or language is not yours any more."),
            _("Returned to the queue: its department or language is not %(who)s’s any more."),
        ),
        UnassignedReason.ARCHIVED: (
            _("Returned to the queue: its department was archived."),
            _("Returned to the queue: its department was archived."),
        ),
    }[UnassignedReason(event.data["reason"])]
    return told[0] if is_own else told[1] % {"who": event.data["who"]}


def _transferred(event: DialogEvent, reader: Operator) -> str:
    data = event.data
    if data["to"] == "operator":
        mine = data.get("operator") == reader.pk
        told = (
            _by(event, reader, _("You gave it to yourself."), _("%(who)s gave it to you."))
            if mine
            else _by(event, reader, _("You gave it to %(whom)s."), _("%(who)s gave it to %(whom)s.")).replace(
                "%(whom)s", data["who"]
            )
        )
        return _after_warnings(told, event)
    if data["to"] == "department":
        told = _by(event, reader, _("You moved it to %(department)s."), _("%(who)s moved it to %(department)s."))
        return told.replace("%(department)s", data["department"])
    return _by(event, reader, _("You returned it to the queue."), _("%(who)s returned it to the queue."))


def _reopened(event: DialogEvent, reader: Operator) -> str:
    if "who" in event.data:
        return _("Reopened by a message of the visitor, for %(who)s.") % {"who": event.data["who"]}
    if event.data.get("to") == Section.OFFLINE:
        return _("Reopened by a message of the visitor, in Offline inquiries.")
    return _("Reopened by a message of the visitor, in General queue.")


def _contacts_left(event: DialogEvent, reader: Operator) -> str:
    names = {"name": _("name"), "email": _("email"), "phone": _("phone"), "own": _("more details")}
    fields = ", ".join(names[field] for field in event.data.get("fields", ()))
    return _("The visitor left contacts: %(fields)s.") % {"fields": fields} if fields else _("The visitor left contacts.")


def _entered(event: DialogEvent, reader: Operator) -> str:
    if "undelivered" in event.data:
        why = undelivered(event.data)
        return _("Brought into the workspace because the letter could not be delivered: %(why)s.") % {"why": why}
    return _by(event, reader, _("You brought it into the workspace."), _("%(who)s brought it into the workspace."))


def _closed_by_visitor(event: DialogEvent, reader: Operator) -> str:
    return _("The visitor ended the chat.")


def _closed_by_operator(event: DialogEvent, reader: Operator) -> str:
    return _by(event, reader, _("You closed the dialog."), _("%(who)s closed the dialog."))


def _closed_by_silence(event: DialogEvent, reader: Operator) -> str:
    return _("Closed: the visitor did not answer for %(time)s.") % {"time": length_of(event.data.get("after", 0))}


def _closed_for_good(event: DialogEvent, reader: Operator) -> str:
    return _("Closed for good: nobody wrote for %(time)s after it was closed.") % {"time": length_of(event.data.get("after", 0))}


def _closed_by_time(event: DialogEvent, reader: Operator) -> str:
    return _("Closed by time: nobody wrote for %(time)s.") % {"time": length_of(event.data.get("after", 0))}


# ----- letters -----


def _letter(event: DialogEvent, reader: Operator) -> str:
    status = DeliveryStatus(event.data["status"])
    told = {
        DeliveryStatus.QUEUED: _("A letter is on its way to the mail server: %(to)s."),
        DeliveryStatus.ACCEPTED: _("The mail server accepted the letter after %(time)s: %(to)s."),
        DeliveryStatus.REFUSED: _("The mail server refused the letter for good: %(to)s."),
        DeliveryStatus.GIVEN_UP: _("The letter was given up after %(time)s of trying: %(to)s."),
        DeliveryStatus.UNKNOWN: _("The mail server did not say whether it accepted the letter: %(to)s."),
        DeliveryStatus.NO_SERVER: _("A letter was written but not sent, there is no mail server: %(to)s."),
        DeliveryStatus.NO_ADDRESS: _("No letter was written: no address is entered under “For left messages”."),
    }[status]
    detail = Truncator(event.data.get("detail", "")).chars(LONGEST_DETAIL) if status in WITH_DETAIL else ""
    recipient = event.data["recipient"]
    return told % {"time": length_of(event.data["after"]), "to": f"{recipient} ({detail})" if detail else recipient}


def letters_sentence(events: Sequence[DialogEvent], reader: Operator) -> str:
    """What became of letters that ended alike."""
    count = len(events)
    if count == 1:
        return _letter(events[0], reader)
    told = {
        DeliveryStatus.QUEUED: ngettext(
            "%(count)s letter is on its way to the mail server: %(to)s.",
            "%(count)s letters are on their way to the mail server: %(to)s.",
            count,
        ),
        DeliveryStatus.ACCEPTED: ngettext(
            "The mail server accepted %(count)s letter: %(to)s.", "The mail server accepted %(count)s letters: %(to)s.", count
        ),
        DeliveryStatus.REFUSED: ngettext(
            "The mail server refused %(count)s letter for good: %(to)s.",
            "The mail server refused %(count)s letters for good: %(to)s.",
            count,
        ),
        DeliveryStatus.GIVEN_UP: ngettext(
            "%(count)s letter was given up: %(to)s.", "%(count)s letters were given up: %(to)s.", count
        ),
        DeliveryStatus.UNKNOWN: ngettext(
            "The mail server did not say whether it accepted %(count)s letter: %(to)s.",
            "The mail server did not say whether it accepted %(count)s letters: %(to)s.",
            count,
        ),
        DeliveryStatus.NO_SERVER: ngettext(
            "%(count)s letter was written but not sent, there is no mail server: %(to)s.",
            "%(count)s letters were written but not sent, there is no mail server: %(to)s.",
            count,
        ),
    }[DeliveryStatus(events[0].data["status"])]
    return told % {"count": count, "to": listed(list(dict.fromkeys(event.data["recipient"] for event in events)))}


SENTENCES: dict[EventKind, Callable[[DialogEvent, Operator], str]] = {
    EventKind.STARTED: _started,
    EventKind.VISITOR_WROTE: _visitor_wrote,
    EventKind.OPERATOR_WROTE: _operator_wrote,
    EventKind.PICKED_UP: _picked_up,
    EventKind.ASSIGNED: _assigned,
    EventKind.UNASSIGNED: _unassigned,
    EventKind.TRANSFERRED: _transferred,
    EventKind.REOPENED: _reopened,
    EventKind.VISITOR_LEFT: _left,
    EventKind.VISITOR_CAME_BACK: _came_back,
    EventKind.LEFT_NOTICE: _left_notice,
    EventKind.WENT_OFFLINE: _went_offline,
    EventKind.RETURNED: _returned,
    EventKind.TOKEN_SET: _token_set,
    EventKind.TOKEN_REMOVED: _token_removed,
    EventKind.CONTACTS_LEFT: _contacts_left,
    EventKind.ENTERED_WORKSPACE: _entered,
    EventKind.DELIVERY: _letter,
    EventKind.CLOSED_BY_VISITOR: _closed_by_visitor,
    EventKind.CLOSED_BY_OPERATOR: _closed_by_operator,
    EventKind.CLOSED_BY_TIME: _closed_by_time,
    EventKind.CLOSED_BY_SILENCE: _closed_by_silence,
    EventKind.CLOSED_FOR_GOOD: _closed_for_good,
}
