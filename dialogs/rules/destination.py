"""Where a visitor's message goes: into an open dialog, into a closed one that it reopens, or into a new one (Q9, M10).

Pure. The visitor API asks before it accepts a message, because a start counts against other limits; `visitor_writes` asks
again under the visitor's lock, and acts on the answer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Way(StrEnum):
    """What a visitor's message does."""

    JOIN = "join"  # it is added to the open dialog
    REOPEN = "reopen"  # it opens the dialog that was closed last (Q9)
    START = "start"  # it starts a dialog
    START_LINKED = "start_linked"  # it starts a dialog that continues an email-only one (M10)


@dataclass(frozen=True, slots=True)
class VisitorDialog:
    """One of the visitor's dialogs that are open or can be reopened."""

    id: int
    is_open: bool
    is_reopenable: bool
    email_only: bool = False
    in_workspace: bool = True
    closed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Destination:
    """`dialog_id` is the dialog that the message joins, reopens or continues; None when it just starts one."""

    way: Way
    dialog_id: int | None = None

    @property
    def is_start(self) -> bool:
        return self.way in {Way.START, Way.START_LINKED}


def destination_of(dialogs: Sequence[VisitorDialog], *, is_service_online: Callable[[], bool]) -> Destination:
    """Where a message goes that a visitor with these dialogs sends now.

    `is_service_online` (S1, for the message's department and language) is called only where the answer depends on it:
    while the visitor's one open dialog is answered by mail, and nothing else can take the message.
    """
    current = next((dialog for dialog in dialogs if dialog.is_open and not dialog.email_only), None)
    if current is not None:
        return Destination(Way.JOIN, current.id)
    by_mail = next((dialog for dialog in dialogs if dialog.is_open and dialog.email_only), None)
    if by_mail is not None and by_mail.in_workspace:  # brought in, so it is answered there as any other (M8)
        return Destination(Way.JOIN, by_mail.id)
    closed = [(dialog.closed_at, dialog.id) for dialog in dialogs if dialog.is_reopenable and dialog.closed_at is not None]
    if closed:
        return Destination(Way.REOPEN, max(closed)[1])
    if by_mail is None:
        return Destination(Way.START)
    return Destination(Way.START_LINKED if is_service_online() else Way.JOIN, by_mail.id)
