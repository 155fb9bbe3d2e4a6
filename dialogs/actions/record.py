"""What one transaction does to dialogs, gathered and written in few statements, with its hints."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

from django.db import connection

from dialogs import events
from dialogs.actions.duties import NewDuties
from dialogs.actions.numbering import begin_to_store
from dialogs.event_classes import Event
from dialogs.models import Dialog, DialogEvent, Message, MessageKind, Purpose
from dialogs.reading import system_messages
from dialogs.reading.queues import queue_of
from dialogs.rules.presence import EMAIL_ONLY_CLOSES_AFTER, Due, Step, Timeouts, in_force
from operators.channels import workspace_channel
from operators.models import Operator
from webim_offline.foundation.database.bulk import Insert, write
from webim_offline.foundation.database.changes import updates_of
from webim_offline.foundation.database.dialect import Statement, dialect
from webim_offline.foundation.database.statements import run_together
from webim_offline.foundation.realtime import publish

STEP_MESSAGES = {
    Step.LEFT_NOTICE: system_messages.LEFT,
    Step.WENT_OFFLINE: system_messages.WENT_OFFLINE,
    Step.RETURNED: system_messages.RETURNED,
}
EVENT_COLUMNS = ("account_id", "dialog_id", "kind", "at", "actor_id", "data", "revision", "handled_at")
MESSAGE_COLUMNS = ("dialog_id", "kind", "visitor_id", "author_id", "text", "code", "params", "at", "revision", "client_key")


def dialog_channel(dialog_id: int) -> str:
    """The hint channel of one open dialog."""
    return f"dialog:{dialog_id}"


def visitor_channel(visitor_id: int) -> str:
    """The hint channel of one visitor's widgets."""
    return f"visitor:{visitor_id}"


def queue_now(dialog: Dialog) -> events.Queue | None:
    """The queue that an event has brought the dialog to, as events store it; None for a dialog that is in none."""
    queue = queue_of(dialog)
    return events.Queue(queue.value) if queue else None


def _event_of_step(dialog: Dialog, at: datetime, step: Step, timeouts: Timeouts) -> Event:
    """The event of a step that presence or time took (B3)."""
    if step == Step.RETURNED:
        return events.Returned()
    if step == Step.CLOSED_BY_TIME:
        return events.ClosedByTime(after=seconds(EMAIL_ONLY_CLOSES_AFTER))
    if step == Step.CLOSED_BY_SILENCE:
        return events.ClosedBySilence(after=seconds(at - dialog.last_message_at))
    if step == Step.CLOSED_FOR_GOOD:
        return events.ClosedForGood(after=seconds(at - dialog.closed_at) if dialog.closed_at else 0)
    since = dialog.away_since or at
    timeouts = in_force(timeouts, at)
    is_notice = step == Step.LEFT_NOTICE
    length = timeouts.left_notice if is_notice else timeouts.offline
    # the limit is worth telling only where it was lowered below what the absence had lasted already (Z2)
    limit = seconds(length) if length is not None and at == timeouts.since and at - since > length else None
    if is_notice:
        return events.LeftNotice(away=seconds(at - since), limit=limit)
    return events.WentOffline(away=seconds(at - since), limit=limit, queue=queue_now(dialog))


def seconds(length: timedelta) -> int:
    """A length of time as an event keeps it."""
    return int(length.total_seconds())


class Record:
    """Events and messages of locked dialogs; each bumps its dialog's revision. Call `write` once, last."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.events: list[tuple[Dialog, tuple[Any, ...]]] = []
        self.messages: list[tuple[Dialog, tuple[Any, ...]]] = []
        self.duties = NewDuties()
        self.channels: set[str] = set()
        self._first: list[Statement] = []

    def first(self, statement: Statement) -> None:
        """Run this statement with what is written, before all of it."""
        self._first.append(statement)

    def event(self, dialog: Dialog, event: Event, at: datetime, *, actor: Operator | None = None) -> None:
        """Something happened to the dialog at the moment `at`. Raises InvalidEvent for an event with a value of a wrong type."""
        dialog.revision += 1
        # former releases take an event for handled by this column: it is, unless its letter waits (decision 0018)
        handled_at = None if Purpose.LEFT_MESSAGE_LETTERS in self.duties.add(dialog, event.kind, at) else self.now
        row = (event.kind, at, actor.pk if actor else None, event.to_data(), dialog.revision, handled_at)
        self.events.append((dialog, row))
        self.hint(dialog)

    def message(
        self, dialog: Dialog, kind: MessageKind, text: str, at: datetime, *, author: Operator | None = None, key: str = ""
    ) -> int:
        """A person's message; returns its revision."""
        dialog.revision += 1
        visitor_id = dialog.visitor_id if kind == MessageKind.VISITOR else None
        row: tuple[Any, ...] = (kind, visitor_id, author.pk if author else None, text, "", {}, at, dialog.revision, key)
        self.messages.append((dialog, row))
        self.hint(dialog)
        self.channels.add(visitor_channel(dialog.visitor_id))
        return dialog.revision

    def system(self, dialog: Dialog, code: str, at: datetime, params: dict[str, Any] | None = None) -> None:
        """A system message, for operators only (P11)."""
        dialog.revision += 1
        self.messages.append((dialog, (MessageKind.SYSTEM, None, None, "", code, params or {}, at, dialog.revision, "")))
        self.hint(dialog)

    def steps(self, dialog: Dialog, steps: list[Due], timeouts: Timeouts) -> None:
        """What presence and time did, each with the moment its rule names (Z2), and its message if it has one.

        The dialog has settled on the facts the steps led to; `timeouts` are the settings they followed.
        """
        for at, step in steps:
            self.event(dialog, _event_of_step(dialog, at, step, timeouts), at)
            if step in STEP_MESSAGES:
                self.system(dialog, STEP_MESSAGES[step], at)

    def hint(self, dialog: Dialog) -> None:
        """Whoever shows the dialog is to look again."""
        if dialog.in_workspace:
            self.channels.add(workspace_channel(dialog.account_id))
        if not dialog._state.adding:  # nobody can show it yet
            self.channels.add(dialog_channel(dialog.pk))

    def write(self, changed: Iterable[Dialog] = ()) -> None:
        """Write whatever differs from what was loaded, then duties, events and messages; publish hints on commit.

        Written are the dialogs that something was recorded of, and those in `changed`: all of them have been locked since
        they were loaded. A dialog that is not stored yet is inserted, and gets its number.
        """
        recorded = (dialog for dialog, _ in chain(self.events, self.messages))
        dialogs = list({id(dialog): dialog for dialog in chain(changed, recorded)}.values())
        new = [dialog for dialog in dialogs if dialog._state.adding]
        known = [dialog for dialog in dialogs if not dialog._state.adding]
        if new and not dialect().numbers_rows_ahead:  # they are stored now, and what comes first comes before
            run_together(*self._first)
            self._first.clear()
        inserts = [statement for dialog in new for statement in begin_to_store(dialog)]
        found = write(
            *updates_of(Dialog, known),
            self.duties.as_insert(),
            Insert(DialogEvent, EVENT_COLUMNS, [(d.account_id, d.pk, *row) for d, row in self.events]),
            Insert(Message, MESSAGE_COLUMNS, [(d.pk, *row) for d, row in self.messages]),
            first=[*self._first, *inserts],
        )
        for dialog, ((number,),) in zip(new, found[len(self._first) :], strict=False):
            dialog.number, dialog._state.adding, dialog._state.db = number, False, connection.alias
        for dialog in dialogs:
            dialog.remember_loaded()
        publish(*self.channels)
