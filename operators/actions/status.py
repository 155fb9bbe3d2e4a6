"""The status that people choose, and the end of their sessions (A1, A2)."""

from collections.abc import Collection
from datetime import timedelta

from django.core.exceptions import ValidationError
from django.db.models import F
from django.db.models.functions import Greatest
from django.utils.translation import gettext as _

from operators.channels import operator_channel, service_channel, workspace_channel
from operators.history import Change
from operators.locks import lock_account
from operators.models import ConditionReason, Operator, Status
from webim_offline.foundation.database.clock import DatabaseNow
from webim_offline.foundation.database.dialect import Statement, dialect
from webim_offline.foundation.database.locks import lock_keys
from webim_offline.foundation.database.transactions import atomic
from webim_offline.foundation.realtime import publish


@atomic
def set_status(operator: Operator, status: str, *, actor: Operator | None = None) -> None:
    """Choose a status (A1). Raises ValidationError for one that does not exist.

    One's own choice comes from the workspace and is a sign of life (A2); a supervisor's choice for somebody is none.
    """
    if status not in Status.values:
        raise ValidationError(_("There is no status “%(status)s”.") % {"status": status[:40]})
    if operator.account_id is None:
        raise ValidationError(_("Support staff have no status."))
    change = Change(lock_account(operator.account_id), pk=operator.pk)
    (locked,) = change.people
    locked.status = status
    if actor is None or actor.pk == operator.pk:
        locked.last_seen_at = locked.acted_at = change.now  # an own action (Q8), too
    locked.save(update_fields=["status", "last_seen_at", "acted_at"])
    change.write(ConditionReason.CHOSEN, actor=actor or operator)
    operator.status, operator.last_seen_at = status, locked.last_seen_at
    publish(service_channel(operator.account_id), workspace_channel(operator.account_id))


@atomic
def sign_out(operator: Operator) -> None:
    """Logging out ends availability at once (A2); tickets of the workspace issued so far are void."""
    if operator.account_id is None:
        Operator.objects.filter(pk=operator.pk).update(last_seen_at=None, tickets_valid_from=next_session())
        return
    change = Change(lock_account(operator.account_id), pk=operator.pk)
    end_availability(change)
    change.write(ConditionReason.SIGNED_OUT, actor=operator)
    publish(service_channel(operator.account_id), workspace_channel(operator.account_id), operator_channel(operator.pk))


def end_availability(change: Change) -> None:
    """Nobody of `change` is signed in any more: no sign of life, and tickets issued so far are void."""
    for person in change.people:
        person.last_seen_at = None
    ids = [person.pk for person in change.people]
    Operator.objects.filter(pk__in=ids).update(last_seen_at=None, tickets_valid_from=next_session())


def end_sessions(person_ids: Collection[int]) -> None:
    """Whoever is signed in as one of these is signed out, in every browser and for good: no later right brings a session back."""
    locked = lock_keys(Operator.objects.filter(pk__in=person_ids))
    Operator.objects.filter(pk__in=locked).update(session_generation=F("session_generation") + 1)


def next_session() -> Greatest:
    """A `tickets_valid_from` that voids every ticket issued so far, also while the clock is set back (Z3)."""
    return Greatest(DatabaseNow(), F("tickets_valid_from") + timedelta(microseconds=1))


def note_of_act(operator: Operator) -> Statement:
    """The statement that notes an own action in the workspace: whoever let an assigned dialog wait may be given it again (Q8)."""
    now, moment = dialect().now()
    return f"UPDATE operators_operator SET acted_at = {now} WHERE id = %s", [*moment, operator.pk]  # noqa: S608
