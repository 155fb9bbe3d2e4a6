"""The contacts a visitor has to leave, and those left later in the chat (W3, M5, M10)."""

from collections.abc import Iterable

from dialogs import events
from dialogs.actions.record import Record, visitor_channel
from dialogs.actions.visitors import Contacts, locked_visitor, visitor_lock
from dialogs.locks import lock_open_dialogs
from dialogs.models import Visitor
from operators.models import Account, Requirement
from webim_offline.foundation.database.clock import database_now
from webim_offline.foundation.database.statements import run_together
from webim_offline.foundation.database.transactions import atomic


def mail_only_now(account: Account) -> bool:
    """M5: whether a left message that starts now stays out of the workspace."""
    return not account.left_messages_in_workspace


def contacts_of(visitor: Visitor) -> Contacts:
    """What the visitor has told so far."""
    return Contacts(visitor.name, visitor.email, visitor.phone, visitor.own_fields)


def missing_contacts(account: Account, known: Contacts, required_own: Iterable[str]) -> list[str]:
    """Names of required contacts that are not known (W3); `email` too when M10 needs a way to answer and there is none.

    `required_own` are the labels of the account's own required fields.
    """
    missing = [
        name
        for name in ("name", "email", "phone")
        if getattr(account, f"contact_{name}") == Requirement.REQUIRED and not getattr(known, name)
    ]
    missing += [label for label in required_own if not known.own.get(label)]
    if mail_only_now(account) and not (known.email or known.phone) and not {"email", "phone"} & set(missing):
        missing.append("email")
    return missing


@atomic
def leave_contacts(visitor_id: int, contacts: Contacts) -> None:
    """Keep contacts that were asked for in the chat (W3), and note them on the visitor's open dialogs."""
    (rows,) = run_together(visitor_lock(visitor_id, contacts))
    dialogs = lock_open_dialogs([locked_visitor(rows)])
    record = Record(database_now())
    told = events.ContactsLeft(fields=tuple(one for one in events.ContactField if getattr(contacts, one.value)))
    for dialog in dialogs:
        record.event(dialog, told, record.now)
    record.channels.add(visitor_channel(visitor_id))
    record.write()
