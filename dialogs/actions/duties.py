"""Duties: what must still be done because of events (decision 0018). Which events ask for which, and what a consumer may do.

A producer needs nothing of this module: `Record.event` writes the duties of an event in the event's transaction. A consumer asks
for `due_dialog_ids`, which only reads; then, inside a transaction, it locks duties with `lock_due`, does everything up to the
`last_revision` of each, and deletes it with `done` or moves it with `put_off` before the transaction ends. Two consumers at once
never get the same duty, and what a consumer that was killed had locked is due again at once.

Locks: whoever writes an event holds the lock of its dialog and takes the duty's after it. A consumer that locks dialogs as well
must take them in the same order.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import DateTimeField, ExpressionWrapper, F, Value
from django.db.models.functions import Greatest

from dialogs.models import Dialog, Duty, EventKind, Purpose, StartState
from webim_offline.foundation.database.bulk import Insert, update_rows
from webim_offline.foundation.database.due_work import any_past
from webim_offline.foundation.database.locks import lock_keys
from webim_offline.foundation.database.transactions import atomic

LETTER_WINDOW = timedelta(seconds=15)  # M2, fixed: what a visitor writes within it travels in one letter

COLUMNS = ("dialog_id", "purpose", "due_at", "since", "first_revision", "last_revision")
# an event joins the open duty: revisions only grow, and a due moment may only come nearer
JOINS = """
    ON CONFLICT (dialog_id, purpose) DO UPDATE SET
        due_at = CASE WHEN excluded.due_at < dialogs_duty.due_at THEN excluded.due_at ELSE dialogs_duty.due_at END,
        since = CASE WHEN excluded.since < dialogs_duty.since THEN excluded.since ELSE dialogs_duty.since END,
        last_revision = excluded.last_revision
"""


def started_offline(dialog: Dialog) -> bool:
    """M1: left messages are the dialogs that started offline, and no others."""
    return dialog.start_state == StartState.OFFLINE


@dataclass(frozen=True, slots=True)
class Demand:
    """A purpose's interest in one kind of event: `after` the event's moment a duty is due, for dialogs that it `concerns`."""

    purpose: Purpose
    after: timedelta
    concerns: Callable[[Dialog], bool]


LETTER = Demand(Purpose.LEFT_MESSAGE_LETTERS, LETTER_WINDOW, started_offline)
# at once, for whoever reads mail must not answer too; the consumer puts it off while the first letter's window is open (M2)
LETTER_AT_ONCE = Demand(Purpose.LEFT_MESSAGE_LETTERS, timedelta(0), started_offline)

# Everything that asks for a duty. Kinds that are not here cost nothing; presence must stay out, there are thousands a second.
DEMANDS: Mapping[str, Sequence[Demand]] = {
    EventKind.STARTED: (LETTER,),
    EventKind.VISITOR_WROTE: (LETTER,),
    EventKind.CONTACTS_LEFT: (LETTER,),
    EventKind.PICKED_UP: (LETTER_AT_ONCE,),
}


@dataclass(slots=True)
class _Asked:
    """A duty that events of one transaction ask for."""

    dialog: Dialog
    due_at: datetime
    since: datetime
    first_revision: int
    last_revision: int


class NewDuties:
    """The duties that the events of one transaction ask for, one for each dialog and purpose."""

    def __init__(self) -> None:
        self._asked: dict[tuple[int, Purpose], _Asked] = {}  # by the identity of the object: a new dialog has no key yet

    def add(self, dialog: Dialog, kind: str, at: datetime) -> set[Purpose]:
        """Take in an event that has just raised the dialog's revision; returns the purposes of the duties it asks for."""
        purposes = set()
        for demand in DEMANDS.get(kind, ()):
            if not demand.concerns(dialog):
                continue
            purposes.add(demand.purpose)
            due_at, revision = at + demand.after, dialog.revision
            known = self._asked.setdefault((id(dialog), demand.purpose), _Asked(dialog, due_at, at, revision, revision))
            known.due_at, known.since = min(known.due_at, due_at), min(known.since, at)
            known.last_revision = revision
        return purposes

    def as_insert(self) -> Insert:
        """The statement that writes them. It must come before that of the events: see the triggers of migration 0009."""
        rows = [
            (asked.dialog.pk, purpose, asked.due_at, asked.since, asked.first_revision, asked.last_revision)
            for (_, purpose), asked in self._asked.items()
        ]
        return Insert(Duty, COLUMNS, sorted(rows), JOINS)


def any_duty_due(purpose: Purpose) -> str:
    """Whether a duty of this purpose is due (`DueWork`)."""
    return any_past(Duty._meta.db_table, "due_at", f"purpose = '{purpose}'")


def due_dialog_ids(purpose: Purpose, now: datetime, limit: int) -> list[int]:
    """Dialogs with a duty that is due, those that have been due longest first. Locks nothing."""
    due = Duty.objects.filter(purpose=purpose, due_at__lte=now).order_by("due_at")
    return list(due.values_list("dialog_id", flat=True)[:limit])


def lock_due(purpose: Purpose, now: datetime, dialog_ids: Iterable[int]) -> list[Duty]:
    """Lock the duties of these dialogs that are still due; those that somebody else holds are left to them."""
    due = Duty.objects.filter(purpose=purpose, due_at__lte=now, dialog__in=list(dialog_ids)).order_by("dialog_id")
    return list(due.select_for_update(skip_locked=True, no_key=True))


def done(duties: Iterable[Duty]) -> None:
    """These locked duties were done, up to the last revision of each. An event that waits for the lock gets a new duty."""
    Duty.objects.filter(pk__in=[duty.pk for duty in duties]).delete()


def put_off(until: Mapping[Duty, datetime]) -> None:
    """Move the due moments of locked duties. A later event may still bring them forward again."""
    update_rows(Duty, ("due_at",), [(duty.pk, moment) for duty, moment in until.items()])


@atomic
def follow_setting(purpose: Purpose, account_id: int, *, after: timedelta, changed_at: datetime) -> int:
    """A setting of the account now says that the purpose's duties are due `after` their oldest event (Z2).

    Moves the due moments of all that were not due yet at `changed_at`, the moment at which the change was stored. No due moment
    moves to before it. A duty that its consumer had put off follows the setting like any other. Returns how many there were.

    Call it outside of any other transaction: it waits for duties, and whoever holds one may be waiting for an account's lock.
    """
    moved = Greatest(ExpressionWrapper(F("since") + Value(after), output_field=DateTimeField()), Value(changed_at))
    waiting = Duty.objects.filter(purpose=purpose, dialog__account=account_id, due_at__gt=changed_at)
    return Duty.objects.filter(pk__in=lock_keys(waiting, "dialog_id", "pk")).update(due_at=moved)
