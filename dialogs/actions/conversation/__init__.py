"""What people say in a dialog and how it ends: visitors write, operators answer, either side closes (S1, S2, M5, M8, Q9, B1)."""

from dialogs.actions.conversation.answers import answer
from dialogs.actions.conversation.closing import close_by_operator, close_by_visitor
from dialogs.actions.conversation.contacts import contacts_of, leave_contacts, mail_only_now, missing_contacts
from dialogs.actions.conversation.visitor_messages import Submission, Written, visitor_writes
from dialogs.actions.conversation.workspace_entry import bring_into_workspace
from dialogs.actions.visitors import Contacts

__all__ = [
    "Contacts",
    "Submission",
    "Written",
    "answer",
    "bring_into_workspace",
    "close_by_operator",
    "close_by_visitor",
    "contacts_of",
    "leave_contacts",
    "mail_only_now",
    "missing_contacts",
    "visitor_writes",
]
