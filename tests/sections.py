"""The section of a panel that lists a dialog, by the pure rules: what the querysets of `dialogs.reading.queues` must agree with."""

from dialogs.rules.permissions import DialogFacts, Person, may_read
from dialogs.rules.sections import Section, section_of


def shown_section(dialog: DialogFacts, viewer: Person) -> Section | None:
    """The section of the viewer's own panel that lists the dialog (Q1 to Q3); None when none does."""
    section = section_of(dialog, viewer.id)
    if section is None or not may_read(viewer, dialog):
        return None
    return None if section == Section.OTHERS and not viewer.is_supervisor else section
