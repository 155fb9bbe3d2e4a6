"""What can happen to a dialog: one class a kind of event, with fields in words of the domain.

Actions build these objects and give them to `dialogs.actions.record.Record.event`, which stores `kind` and `to_data()` in a
row of `DialogEvent`. Sentences, the timeline and whoever else reads the history gets the objects back from
`DialogEvent.details`; nobody looks into the stored JSON.

Rules for all classes:

- Lengths of time are whole seconds (int). Codes are members of the enumerations below. Names of people and departments are
  stored as they were then; people also by their id, so that a sentence can say "you" to them (B3).
- Objects and stored data are checked strictly. A field that the class does not have, one that is missing and one of a wrong
  type raise `InvalidEvent`, when an event is written and when it is read.
- A release must be able to read what the release before it wrote, and a rollback what the release after it wrote. To rename
  a field in Python alone, give its stored name with `stored_as`. To rename it in the database too, give its former name
  with `formerly`, and migrate the rows.

Rows whose kind or fields this program does not know, because a newer release wrote them before it was rolled back, are read
as `Unknown` by `read`.

To add a kind: add its class here, its code and name to `dialogs.models.EventKind`, its sentence to
`dialogs.reading.sentences.SENTENCES`, and examples to `tests/dialogs/test_events.py` and `test_sentences.py`; a test fails
until all of them are there. This module imports neither Django nor any app.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from dialogs.event_classes import CLASSES, Event, InvalidEvent, event_class, formerly, stored_as

# ----- codes that events store -----


class Queue(StrEnum):
    """The queues in which a dialog waits for an operator (Q1), as events call them."""

    GENERAL = "general"
    OFFLINE = "offline"


class TransferTarget(StrEnum):
    """The kinds of target a dialog can be transferred to (Q10)."""

    OPERATOR = "operator"
    DEPARTMENT = "department"
    QUEUE = "queue"  # back to the queue of its own department


class ConfirmedWarning(StrEnum):
    """What a person was warned of before they took or transferred a dialog, and confirmed (Q5, Q10)."""

    AT_LIMIT = "at_limit"
    NOT_ONLINE = "not_online"
    NOT_SPOKEN = "not_spoken"


class UnassignedReason(StrEnum):
    """Why an assigned dialog went back to its queue (Q8, A5)."""

    NOT_PICKED_UP = "not_picked_up"
    NOT_ONLINE = "not_online"
    NOT_THEIRS = "not_theirs"
    ARCHIVED = "archived"


class TokenLossReason(StrEnum):
    """Why a visitor's last push token went (P7)."""

    REMOVED = "removed"  # the app said so
    INVALID = "invalid"  # the push service said so
    MOVED = "moved"  # the device, or the token, is another visitor's now


class ContactField(StrEnum):
    """The contacts that a visitor can leave (W3); OWN stands for all fields of the account's own."""

    NAME = "name"
    EMAIL = "email"
    PHONE = "phone"
    OWN = "own"


class LetterStatus(StrEnum):
    """What became of a letter (B2); `dialogs.models.DeliveryStatus` gives the same codes their names."""

    QUEUED = "queued"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    GIVEN_UP = "given_up"
    NO_ADDRESS = "no_address"
    NO_SERVER = "no_server"


# ----- writing and the conversation -----


@event_class
class Started(Event):
    """A visitor's message began the dialog (S1).

    `queue` is None for a dialog that only goes by mail (M5). `has_token`: it is online because the visitor could be reached
    in the app (P7).
    """

    kind = "started"
    queue: Queue | None = field(default=None, metadata=formerly("to"))
    has_token: bool = False


@event_class
class VisitorWrote(Event):
    """The visitor wrote into an open dialog."""

    kind = "visitor_wrote"


@event_class
class OperatorWrote(Event):
    """The actor answered."""

    kind = "operator_wrote"


@event_class
class ContactsLeft(Event):
    """The visitor left contacts in the chat (W3); `fields` says which."""

    kind = "contacts_left"
    fields: tuple[ContactField, ...] = ()


@event_class
class Reopened(Event):
    """A message of the visitor opened a closed dialog again (Q9): for `operator_name`, who had it, or else in `queue`."""

    kind = "reopened"
    operator_name: str | None = field(default=None, metadata=stored_as("who"))
    queue: Queue | None = field(default=None, metadata=formerly("to"))


# ----- who has the dialog -----


@event_class
class PickedUp(Event):
    """The actor took the dialog, or began with one that was assigned to them (Q6, Q9).

    `from_operator_id` and `from_operator_name` say from whom a supervisor took it over.
    """

    kind = "picked_up"
    warned: tuple[ConfirmedWarning, ...] = ()
    from_operator_id: int | None = field(default=None, metadata=stored_as("operator"))
    from_operator_name: str | None = field(default=None, metadata=stored_as("who"))


@event_class
class Assigned(Event):
    """Automatic assignment gave the dialog to an operator (Q7)."""

    kind = "assigned"
    operator_id: int = field(metadata=stored_as("operator"))
    operator_name: str = field(metadata=stored_as("who"))


@event_class
class Unassigned(Event):
    """The dialog went back to its queue from the operator it was assigned to (Q8)."""

    kind = "unassigned"
    operator_id: int = field(metadata=stored_as("operator"))
    operator_name: str = field(metadata=stored_as("who"))
    reason: UnassignedReason
    queue: Queue | None = field(default=None, metadata=formerly("to"))


@event_class
class Transferred(Event):
    """The actor transferred the dialog (Q10).

    `to` is the kind of target: for an operator the id and name are given, for a department its name. `queue` is the queue
    the dialog waits in then, None for one that an operator has. `from_name` and `from_department` are the operator and the
    department that had it before.
    """

    kind = "transferred"
    to: TransferTarget
    operator_id: int | None = field(default=None, metadata=stored_as("operator"))
    operator_name: str | None = field(default=None, metadata=stored_as("who"))
    department: str | None = None
    queue: Queue | None = None
    from_name: str | None = field(default=None, metadata=stored_as("from"))
    from_department: str | None = None
    warned: tuple[ConfirmedWarning, ...] = ()

    def __post_init__(self) -> None:
        if self.to == TransferTarget.OPERATOR and (self.operator_id is None or self.operator_name is None):
            raise InvalidEvent("transferred: to an operator needs operator_id and operator_name")
        if self.to == TransferTarget.DEPARTMENT and self.department is None:
            raise InvalidEvent("transferred: to a department needs department")


# ----- presence -----


@event_class
class VisitorLeft(Event):
    """The visitor's last visit ended (P3)."""

    kind = "visitor_left"


@event_class
class VisitorCameBack(Event):
    """A visit began and the visitor counts as present again (P6).

    `away` is how long they were away, None if they had not been there since the dialog began. `queue` is the queue that
    this moved the dialog to.
    """

    kind = "visitor_came_back"
    away: int | None = None
    queue: Queue | None = field(default=None, metadata=formerly("to"))


@event_class
class LeftNotice(Event):
    """The message "Visitor left the site" was written (P4).

    `away` is how long the visitor was away then; `limit` is the setting, where only its change brought this about (Z2).
    """

    kind = "left_notice"
    away: int = 0
    limit: int | None = None


@event_class
class WentOffline(Event):
    """The dialog went offline (P5). `away` and `limit` as in LeftNotice; `queue` is the queue that this moved it to."""

    kind = "went_offline"
    away: int = 0
    limit: int | None = None
    queue: Queue | None = field(default=None, metadata=formerly("to"))


@event_class
class Returned(Event):
    """The message "The visitor is back on the site" was written (P6)."""

    kind = "returned"


@event_class
class TokenSet(Event):
    """The visitor can be reached in the app from now on (P7); `queue` is the queue that this moved the dialog to."""

    kind = "token_set"
    queue: Queue | None = field(default=None, metadata=formerly("to"))


@event_class
class TokenRemoved(Event):
    """The visitor cannot be reached in the app any more (P7). `is_away`: they count as away from this moment."""

    kind = "token_removed"
    reason: TokenLossReason
    is_away: bool = field(metadata=stored_as("away"))


# ----- mail -----


@event_class
class EnteredWorkspace(Event):
    """A dialog that only went by mail came into the workspace (M8).

    The actor brought it, or its letter failed (M7): `undelivered` is what became of the letter then, `detail` the mail
    server's words.
    """

    kind = "entered_workspace"
    retired = frozenset({"why"})  # the mail server's words alone, before `undelivered` told what became of the letter
    undelivered: LetterStatus | None = None
    detail: str | None = None
    queue: Queue | None = field(default=None, metadata=formerly("to"))

    def __post_init__(self) -> None:
        if self.undelivered == LetterStatus.QUEUED or self.undelivered == LetterStatus.ACCEPTED:
            raise InvalidEvent(f"entered_workspace: a letter that is {self.undelivered} has not failed")


@event_class
class LetterStatusChanged(Event):
    """A letter of the dialog has a new status (B2). `key` names the letter in the dialog's delivery ledger.

    `after` is how long after it was queued; `detail` are the mail server's words.
    """

    kind = "delivery"
    key: str
    recipient: str
    status: LetterStatus
    after: int
    detail: str = ""


# ----- the end -----


@event_class
class ClosedByVisitor(Event):
    """The visitor ended the chat (W4)."""

    kind = "closed_by_visitor"


@event_class
class ClosedByOperator(Event):
    """The actor closed the dialog (Q9)."""

    kind = "closed_by_operator"


@event_class
class ClosedByTime(Event):
    """A dialog that only went by mail was closed, `after` so long without a message (M10)."""

    kind = "closed_by_time"
    after: int = 0


@event_class
class ClosedBySilence(Event):
    """The visitor said nothing for `after` since the operator's answer (Q11)."""

    kind = "closed_by_silence"
    after: int = 0


@event_class
class ClosedForGood(Event):
    """A closed dialog can be reopened no longer, `after` so long since it was closed (Q9)."""

    kind = "closed_for_good"
    after: int = 0


# ----- reading rows -----


@dataclass(frozen=True, slots=True)
class Unknown(Event):
    """A stored event of a kind, or with fields, that this program does not know: a newer release wrote it."""

    kind = "unknown"

    def to_data(self) -> dict[str, Any]:
        """Nobody may write what is not known: raises InvalidEvent."""
        raise InvalidEvent("an unknown event cannot be written")


UNKNOWN = Unknown()


def read_strictly(kind: str, data: object) -> Event:
    """The event that a row tells of. Raises InvalidEvent for a kind or fields that this program does not know."""
    cls = CLASSES.get(kind)
    if cls is None:
        raise InvalidEvent(f"there is no kind of event {kind!r}")
    return cls.from_data(data)


def read(kind: str, data: object) -> Event:
    """The same for readers that must go on whatever a newer release has written: UNKNOWN in place of InvalidEvent."""
    try:
        return read_strictly(kind, data)
    except InvalidEvent:
        return UNKNOWN
