"""What each event of a dialog says, in the reader's language, from its stored data alone (B3). For operators only (P11).

Whoever adds a class of events adds its sentence to SENTENCES. Every function there gets the event, the row that stores it
(for its actor and its dialog) and the reader, who is "you" in the sentence.
"""

from collections.abc import Callable
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from dialogs import events
from dialogs.event_classes import Event
from dialogs.events import ConfirmedWarning, ContactField, Queue, TokenLossReason, TransferTarget, UnassignedReason
from dialogs.models import Dialog, DialogEvent
from dialogs.reading.evidence import listed, start_sentence
from dialogs.reading.lengths import length_of
from dialogs.reading.letter_sentences import letter_sentence
from dialogs.reading.system_messages import undelivered
from operators.models import Operator


def sentence_of(row: DialogEvent, reader: Operator) -> str:
    """What the event of the row says; one general sentence for an event that this program does not know."""
    return SENTENCES[type(row.details)](row.details, row, reader)


def _unknown(event: events.Unknown, row: DialogEvent, reader: Operator) -> str:
    return _("Something happened that this version of the program does not know.")


# ----- the start -----


def start_sentences(dialog: Dialog, started: Event | None) -> str:
    """S3, then where the dialog was put and what it continues. `started` is its first event, if that is at hand."""
    sentences = [start_sentence(dialog)]
    queue, has_token = (started.queue, started.has_token) if isinstance(started, events.Started) else (None, False)
    if dialog.email_only:
        sentences.append(_("It only went by mail: the account kept left messages out of the workspace."))
    elif has_token:
        sentences.append(_("Put into General queue: the visitor was reachable in the app."))
    elif queue == Queue.GENERAL:
        sentences.append(_("Put into General queue: the visitor was on the site."))
    elif queue == Queue.OFFLINE:
        sentences.append(_("Put into Offline inquiries: the visitor was not on the site."))
    if dialog.continues is not None:
        sentences.append(_("It continues #%(number)s, which only goes by mail.") % {"number": dialog.continues.number})
    return " ".join(sentences)


def _started(event: events.Started, row: DialogEvent, reader: Operator) -> str:
    return start_sentences(row.dialog, event)


# ----- presence -----


def _left(event: events.VisitorLeft, row: DialogEvent, reader: Operator) -> str:
    return _("The visitor left the site.")


def _came_back(event: events.VisitorCameBack, row: DialogEvent, reader: Operator) -> str:
    is_moved = event.queue == Queue.GENERAL
    if event.away is None:
        return _("Moved to General queue: the visitor came to the site.") if is_moved else _("The visitor came to the site.")
    time = length_of(event.away)
    if is_moved:
        return _("Moved to General queue: the visitor came back after %(time)s.") % {"time": time}
    return _("The visitor came back after %(time)s.") % {"time": time}


def _left_notice(event: events.LeftNotice, row: DialogEvent, reader: Operator) -> str:
    return _("“Visitor left the site” was written into the dialog: %(absence)s.") % {"absence": _absence(event)}


def _went_offline(event: events.WentOffline, row: DialogEvent, reader: Operator) -> str:
    if event.queue == Queue.OFFLINE:
        return _("Moved to Offline inquiries: %(absence)s.") % {"absence": _absence(event)}
    return _("The dialog went offline: %(absence)s.") % {"absence": _absence(event)}


def _absence(event: events.LeftNotice | events.WentOffline) -> str:
    """How long the visitor was away then; and the limit, where only its lowering led to the step (Z2)."""
    time = length_of(event.away)
    if event.limit is None:
        return _("the visitor had been away for %(time)s") % {"time": time}
    limit = length_of(event.limit)
    return _("the visitor had been away for %(time)s when the limit became %(limit)s") % {"time": time, "limit": limit}


def _returned(event: events.Returned, row: DialogEvent, reader: Operator) -> str:
    return _("“The visitor is back on the site” was written into the dialog.")


def _token_set(event: events.TokenSet, row: DialogEvent, reader: Operator) -> str:
    if event.queue == Queue.GENERAL:
        return _("Moved to General queue: the visitor is reachable in the app from now on.")
    return _("The visitor is reachable in the app: the dialog stays online while the app is closed.")


def _token_removed(event: events.TokenRemoved, row: DialogEvent, reader: Operator) -> str:
    reason = {
        TokenLossReason.REMOVED: _("The app takes no push messages any more"),
        TokenLossReason.INVALID: _("The push service does not know the app any more"),
        TokenLossReason.MOVED: _("Somebody else uses the visitor’s device now"),
    }[event.reason]
    if event.is_away:
        return _("%(reason)s: the visitor counts as away from this moment.") % {"reason": reason}
    return _("%(reason)s: the dialog stays online only while the visitor is there.") % {"reason": reason}


# ----- people -----


def who(person: Operator | None, reader: Operator) -> str:
    """The person as the reader may know them (X1)."""
    return person.name_for(reader) if person else _("Somebody")


def _by(row: DialogEvent, reader: Operator, own: str, others: str) -> str:
    """`own` when the reader did it, else `others` with the name of who did."""
    return own if row.actor == reader else others.replace("%(who)s", who(row.actor, reader))


def _visitor_wrote(event: events.VisitorWrote, row: DialogEvent, reader: Operator) -> str:
    return _("The visitor wrote again.")


def _operator_wrote(event: events.OperatorWrote, row: DialogEvent, reader: Operator) -> str:
    return _by(row, reader, _("You answered."), _("%(who)s answered."))


def _picked_up(event: events.PickedUp, row: DialogEvent, reader: Operator) -> str:
    if event.from_operator_name is not None:
        own, others = _("You took the dialog over from %(before)s."), _("%(who)s took the dialog over from %(before)s.")
        sentence = _by(row, reader, own, others).replace("%(before)s", event.from_operator_name)
    else:
        sentence = _by(row, reader, _("You took the dialog."), _("%(who)s took the dialog."))
    return _after_warnings(sentence, event.warned)


# ----- queues and assignment -----

WARNED = {
    ConfirmedWarning.AT_LIMIT: gettext_lazy("the limit was reached"),
    ConfirmedWarning.NOT_ONLINE: gettext_lazy("not online at that moment"),
    ConfirmedWarning.NOT_SPOKEN: gettext_lazy("does not speak the language"),
}


def _after_warnings(sentence: str, warned: tuple[ConfirmedWarning, ...]) -> str:
    """The sentence, with what the person was warned of before doing it (Q5, Q10)."""
    if not warned:
        return sentence
    words = {"sentence": sentence, "warned": listed([str(WARNED[warning]) for warning in warned])}
    return _("%(sentence)s Confirmed after a warning: %(warned)s.") % words


def _assigned(event: events.Assigned, row: DialogEvent, reader: Operator) -> str:
    if event.operator_id == reader.pk:
        return _("Assigned to you: you had the fewest dialogs of those who could answer.")
    return _("Assigned to %(who)s, who had the fewest dialogs of those who could answer.") % {"who": event.operator_name}


def _unassigned(event: events.Unassigned, row: DialogEvent, reader: Operator) -> str:
    own, others = {
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
    }[event.reason]
    return own if event.operator_id == reader.pk else others % {"who": event.operator_name}


def _transferred(event: events.Transferred, row: DialogEvent, reader: Operator) -> str:
    if event.to == TransferTarget.QUEUE:
        return _by(row, reader, _("You returned it to the queue."), _("%(who)s returned it to the queue."))
    if event.to == TransferTarget.DEPARTMENT:
        told = _by(row, reader, _("You moved it to %(department)s."), _("%(who)s moved it to %(department)s."))
        return told.replace("%(department)s", event.department or "")
    if event.operator_id == reader.pk:
        told = _by(row, reader, _("You gave it to yourself."), _("%(who)s gave it to you."))
    else:
        told = _by(row, reader, _("You gave it to %(whom)s."), _("%(who)s gave it to %(whom)s."))
        told = told.replace("%(whom)s", event.operator_name or "")
    return _after_warnings(told, event.warned)


def _reopened(event: events.Reopened, row: DialogEvent, reader: Operator) -> str:
    if event.operator_name is not None:
        return _("Reopened by a message of the visitor, for %(who)s.") % {"who": event.operator_name}
    if event.queue == Queue.OFFLINE:
        return _("Reopened by a message of the visitor, in Offline inquiries.")
    return _("Reopened by a message of the visitor, in General queue.")


# ----- contacts and mail -----


def _contacts_left(event: events.ContactsLeft, row: DialogEvent, reader: Operator) -> str:
    names = {
        ContactField.NAME: _("name"),
        ContactField.EMAIL: _("email"),
        ContactField.PHONE: _("phone"),
        ContactField.OWN: _("more details"),
    }
    if not event.fields:
        return _("The visitor left contacts.")
    return _("The visitor left contacts: %(fields)s.") % {"fields": ", ".join(names[one] for one in event.fields)}


def _entered(event: events.EnteredWorkspace, row: DialogEvent, reader: Operator) -> str:
    if event.undelivered is not None:
        why = undelivered(event.undelivered, event.detail or "")
        return _("Brought into the workspace because the letter could not be delivered: %(why)s.") % {"why": why}
    return _by(row, reader, _("You brought it into the workspace."), _("%(who)s brought it into the workspace."))


def _letter(event: events.LetterStatusChanged, row: DialogEvent, reader: Operator) -> str:
    return letter_sentence(event)


# ----- the end -----


def _closed_by_visitor(event: events.ClosedByVisitor, row: DialogEvent, reader: Operator) -> str:
    return _("The visitor ended the chat.")


def _closed_by_operator(event: events.ClosedByOperator, row: DialogEvent, reader: Operator) -> str:
    return _by(row, reader, _("You closed the dialog."), _("%(who)s closed the dialog."))


def _closed_by_silence(event: events.ClosedBySilence, row: DialogEvent, reader: Operator) -> str:
    return _("Closed: the visitor did not answer for %(time)s.") % {"time": length_of(event.after)}


def _closed_for_good(event: events.ClosedForGood, row: DialogEvent, reader: Operator) -> str:
    return _("Closed for good: nobody wrote for %(time)s after it was closed.") % {"time": length_of(event.after)}


def _closed_by_time(event: events.ClosedByTime, row: DialogEvent, reader: Operator) -> str:
    return _("Closed by time: nobody wrote for %(time)s.") % {"time": length_of(event.after)}


SENTENCES: dict[type[Event], Callable[[Any, DialogEvent, Operator], str]] = {
    events.Started: _started,
    events.VisitorWrote: _visitor_wrote,
    events.OperatorWrote: _operator_wrote,
    events.PickedUp: _picked_up,
    events.Assigned: _assigned,
    events.Unassigned: _unassigned,
    events.Transferred: _transferred,
    events.Reopened: _reopened,
    events.VisitorLeft: _left,
    events.VisitorCameBack: _came_back,
    events.LeftNotice: _left_notice,
    events.WentOffline: _went_offline,
    events.Returned: _returned,
    events.TokenSet: _token_set,
    events.TokenRemoved: _token_removed,
    events.ContactsLeft: _contacts_left,
    events.EnteredWorkspace: _entered,
    events.LetterStatusChanged: _letter,
    events.ClosedByVisitor: _closed_by_visitor,
    events.ClosedByOperator: _closed_by_operator,
    events.ClosedByTime: _closed_by_time,
    events.ClosedBySilence: _closed_by_silence,
    events.ClosedForGood: _closed_for_good,
    events.Unknown: _unknown,
}
