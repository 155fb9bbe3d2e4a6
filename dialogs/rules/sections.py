"""The sections of the operator's left panel (Q1 to Q3), as pure functions; `reading.queues` gives the same as querysets."""

from enum import StrEnum

from dialogs.rules.permissions import DialogFacts


class Section(StrEnum):
    """In the order in which the page shows them."""

    WAITING = "waiting"  # Waiting for a reply: assigned to the viewer, not picked up yet
    MINE = "mine"  # In dialog with you
    GENERAL = "general"  # General queue
    OFFLINE = "offline"  # Offline inquiries
    OTHERS = "others"  # Other operators: for supervisors only


def queue_section(*, is_open: bool, in_workspace: bool, holder_id: int | None, is_offline: bool) -> Section | None:
    """The queue in which a dialog waits to be taken (Q1).

    None for a dialog that somebody has, for a closed one, and for an email-only one.
    """
    if not is_open or not in_workspace or holder_id is not None:
        return None
    return Section.OFFLINE if is_offline else Section.GENERAL


def section_of(dialog: DialogFacts, viewer_id: int) -> Section | None:
    """Where a dialog stands for the viewer (Q1, Q2); None when it is in no section: closed, or email-only.

    Whether the viewer may see the dialog at all is another question, which `permissions.may_read` answers (Q3).
    """
    if not dialog.is_open or not dialog.in_workspace:
        return None
    if dialog.holder_id is None:
        return Section.OFFLINE if dialog.is_offline else Section.GENERAL
    if dialog.holder_id != viewer_id:
        return Section.OTHERS
    return held_section(is_begun=dialog.is_begun)


def held_section(*, is_begun: bool) -> Section:
    """Where an open dialog stands for the one who has it (Q1): whether they have begun with it decides."""
    return Section.MINE if is_begun else Section.WAITING
