"""What one transaction does to dialogs, gathered and written in few statements, with its hints."""

from datetime import datetime
from typing import Any

from dialogs import system_messages
from dialogs.bulk import insert_rows, update_rows
from dialogs.models import AWAITED_KINDS, Dialog, DialogEvent, EventKind, Message, MessageKind
from dialogs.state import Due, Step
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
        self._hint(dialog)

    def message(
        self, dialog: Dialog, kind: MessageKind, text: str, at: datetime, *, author: Operator | None = None, key: str = ""
    ) -> int:
        """A person's message; returns its revision."""
        dialog.revision += 1
        visitor_id = dialog.visitor_id if kind == MessageKind.VISITOR else None
        row = (kind, visitor_id, author.pk if author else None, text, "", {}, at, dialog.revision, key)
        self.messages.append((dialog, row))
        self._hint(dialog)
        self.channels.add(visitor_channel(dialog.visitor_id))
        return dialog.revision

    def system(self, dialog: Dialog, code: str, at: datetime, params: dict[str, Any] | None = None) -> None:
        """A system message, for operators only (P11)."""
        dialog.revision += 1
        self.messages.append((dialog, (MessageKind.SYSTEM, None, None, "", code, params or {}, at, dialog.revision, "")))
        self._hint(dialog)

    def steps(self, dialog: Dialog, steps: list[Due]) -> None:
        """What presence and time did, each with the moment its rule names (Z2), and its message if it has one."""
        for at, step in steps:
            self.event(dialog, EventKind(step.value), at)
            if step in STEP_MESSAGES:
                self.system(dialog, STEP_MESSAGES[step], at)

    def _hint(self, dialog: Dialog) -> None:
        if dialog.in_workspace:
            self.channels.add(workspace_channel(dialog.account_id))
        if dialog.pk:
            self.channels.add(dialog_channel(dialog.pk))

    def write(self, changed: list[Dialog] | None = None, columns: tuple[str, ...] = ()) -> None:
        """Write `columns` and the revision of the changed dialogs, then events and messages; publish hints on commit."""
        if changed:
            names = ("revision", *columns)
            update_rows(Dialog, names, [(dialog.pk, *(getattr(dialog, name) for name in names)) for dialog in changed])
        insert_rows(DialogEvent, EVENT_COLUMNS, [(d.account_id, d.pk, *row) for d, row in self.events])
        insert_rows(Message, MESSAGE_COLUMNS, [(d.pk, *row) for d, row in self.messages])
        publish(*self.channels)
