"""Email-only dialogs enter the workspace (M7, M8)."""

from dialogs import events
from dialogs.actions.automatic_assignment import assign_soon
from dialogs.actions.errors import DialogClosed
from dialogs.actions.record import Record, queue_now, visitor_channel
from dialogs.actions.rights import refuse_unless
from dialogs.actions.timeouts import timeouts_in_force
from dialogs.locks import lock_dialog
from dialogs.models import Dialog
from dialogs.reading import system_messages
from dialogs.reading.rights import facts_of, person_of
from dialogs.rules import presence
from dialogs.rules.permissions import may_bring_in
from operators.models import Operator
from webim_offline.foundation.database.clock import database_now
from webim_offline.foundation.database.transactions import atomic


@atomic
def bring_into_workspace(dialog_id: int, *, actor: Operator | None, undelivered: str = "", detail: str = "") -> Dialog:
    """M8: an email-only dialog enters the workspace, by an admin's action or because its letter failed (M7).

    `undelivered` is what became of the letter (one of system_messages.UNDELIVERED), `detail` the mail server's words.
    Raises DialogClosed, and PermissionDenied for an actor who may not. A dialog that is there already is left alone.
    """
    dialog = lock_dialog(dialog_id)
    if dialog.in_workspace:
        return dialog
    if actor is not None:
        refuse_unless(may_bring_in(person_of(actor, with_routes=False), facts_of(dialog)), dialog)
    elif not dialog.is_open:
        raise DialogClosed
    now = database_now()
    record = Record(now)
    dialog.in_workspace = True
    facts = presence.postponed(dialog.facts, None)  # M10's thirty days are over for it
    dialog.settle(facts, timeouts_in_force(dialog.account, facts.away_since, now))
    record.channels.add(visitor_channel(dialog.visitor_id))
    queue = queue_now(dialog)
    if undelivered:
        status = events.LetterStatus(undelivered)
        record.event(dialog, events.EnteredWorkspace(undelivered=status, detail=detail, queue=queue), now, actor=actor)
        reason = {"undelivered": undelivered, "detail": detail}
        record.system(dialog, system_messages.ENTERED_UNDELIVERED, now, reason)
    else:
        record.event(dialog, events.EnteredWorkspace(queue=queue), now, actor=actor)
        record.system(dialog, system_messages.ENTERED, now, {"who": "" if actor is None or actor.is_support else str(actor)})
    record.write()
    assign_soon([dialog.account_id])
    return dialog
