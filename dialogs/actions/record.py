"""What one transaction does to dialogs, gathered and written in few statements, with its hints."""

from datetime import datetime, timedelta
from typing import Any

from dialogs import system_messages
from dialogs.bulk import Insert, Update, write
from dialogs.models import AWAITED_KINDS, Dialog, DialogEvent, EventKind, Message, MessageKind
from dialogs.queues import queue_of
from dialogs.state import EMAIL_ONLY_CLOSES_AFTER, Due, Step, Timeouts, in_force
from operators.actions import workspace_channel
from operators.models import Operator
from webim_offline.realtime import publish

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


def moved_to(dialog: Dialog) -> dict[str, str]:
    """The part of an event's data that says to which queue it brought the dialog; empty for a dialog that is in none."""
    queue = queue_of(dialog)
    return {"to": queue.value} if queue else {}


def _limits(dialog: Dialog, at: datetime, step: Step, timeouts: Timeouts) -> dict[str, Any]:
    """B3: `away`, how long the visitor had been away, and `limit`, if a change of settings brought the step about; in seconds."""
    if step == Step.CLOSED_BY_TIME:
        return {"after": seconds(EMAIL_ONLY_CLOSES_AFTER)}
    if step == Step.CLOSED_BY_SILENCE:
        return {"after": seconds(at - dialog.last_message_at)}
    if step == Step.CLOSED_FOR_GOOD:
        return {"after": seconds(at - dialog.closed_at)} if dialog.closed_at else {}
    timeouts = in_force(timeouts, at)
    limit = {Step.LEFT_NOTICE: timeouts.left_notice, Step.WENT_OFFLINE: timeouts.offline}.get(step)
    if limit is None or dialog.away_since is None:
        return {}
    data: dict[str, Any] = {"away": seconds(at - dialog.away_since)}
    if at == timeouts.since and at - dialog.away_since > limit:
        data["limit"] = seconds(limit)
    return data | moved_to(dialog) if step == Step.WENT_OFFLINE else data


def seconds(length: timedelta) -> int:
    """A length of time as an event keeps it."""
    return int(length.total_seconds())


class Record:
    """Events and messages of locked dialogs; each bumps its dialog's revision. Call `write` once, last."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.events: list[tuple[Dialog, tuple[Any, ...]]] = []
        self.messages: list[tuple[Dialog, tuple[Any, ...]]] = []
        self.channels: set[str] = set()

    def event(
        self, dialog: Dialog, kind: str, at: datetime, *, actor: Operator | None = None, data: dict[str, Any] | None = None
    ) -> None:
        """Something happened to the dialog at the moment `at`."""
        dialog.revision += 1
        handled_at = None if kind in AWAITED_KINDS else self.now
        self.events.append((dialog, (kind, at, actor.pk if actor else None, data or {}, dialog.revision, handled_at)))
        self.hint(dialog)

    def message(
        self, dialog: Dialog, kind: MessageKind, text: str, at: datetime, *, author: Operator | None = None, key: str = ""
    ) -> int:
        """A person's message; returns its revision."""
        dialog.revision += 1
        visitor_id = dialog.visitor_id if kind == MessageKind.VISITOR else None
        row = (kind, visitor_id, author.pk if author else None, text, "", {}, at, dialog.revision, key)
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
            self.event(dialog, EventKind(step.value), at, data=_limits(dialog, at, step, timeouts))
            if step in STEP_MESSAGES:
                self.system(dialog, STEP_MESSAGES[step], at)

    def hint(self, dialog: Dialog) -> None:
        """Whoever shows the dialog is to look again."""
        if dialog.in_workspace:
            self.channels.add(workspace_channel(dialog.account_id))
        if dialog.pk:
            self.channels.add(dialog_channel(dialog.pk))

    def write(self, changed: list[Dialog] | None = None, columns: tuple[str, ...] = ()) -> None:
        """Write `columns` and the revision of the changed dialogs, then events and messages; publish hints on commit."""
        names = ("revision", *columns)
        write(
            Update(Dialog, names, [(dialog.pk, *(getattr(dialog, name) for name in names)) for dialog in changed or ()]),
            Insert(DialogEvent, EVENT_COLUMNS, [(d.account_id, d.pk, *row) for d, row in self.events]),
            Insert(Message, MESSAGE_COLUMNS, [(d.pk, *row) for d, row in self.messages]),
        )
        publish(*self.channels)
