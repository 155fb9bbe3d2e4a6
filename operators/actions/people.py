"""People of an account: who they are, where they answer, and their own preferences."""

from collections.abc import Collection, Mapping, Sequence

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from operators.actions.parts import is_mentioned
from operators.actions.status import end_availability, end_sessions, next_session
from operators.channels import operator_channel, service_channel, workspace_channel
from operators.history import Change
from operators.locks import lock_account
from operators.models import ConditionReason, Department, Language, Operator
from webim_offline.foundation.database.transactions import atomic
from webim_offline.foundation.realtime import publish


@atomic
def change_people(
    operator: Operator,
    *,
    departments: list[Department],
    languages: list[Language],
    active: bool,
    actor: Operator | None = None,
) -> None:
    """Give an operator departments, languages and the right to work, under the account's lock (S2).

    Whoever is deactivated is signed out for good: activated again, they sign in anew.
    Raises ValidationError for a department or language of another account.
    """
    if operator.account_id is None:
        return
    own: list[Department | Language] = [*departments, *languages]
    if any(row.account_id != operator.account_id for row in own):
        raise ValidationError(_("Choose departments and languages of the operator's own account."))
    change = Change(lock_account(operator.account_id), pk=operator.pk)
    (locked,) = change.people
    reason = ConditionReason.MEMBERSHIP if locked.is_active is active else ConditionReason.ACTIVE
    locked.departments.set(departments)
    locked.languages.set(languages)
    locked.is_active = active
    locked.save(update_fields=["is_active"])
    if not active:
        end_availability(change)
    if reason == ConditionReason.ACTIVE:  # on the way back too: the release before this one ended no sessions
        end_sessions([operator.pk])
    change.write(reason, actor=actor)
    publish(service_channel(operator.account_id), workspace_channel(operator.account_id), operator_channel(operator.pk))


@atomic
def create_operator(
    operator: Operator,
    *,
    password: str,
    departments: Sequence[Department] = (),
    languages: Sequence[Language] = (),
    actor: Operator | None = None,
) -> Operator:
    """Add a person with a password, departments and languages. Raises ValidationError by field."""
    if operator.account_id is not None:
        lock_account(operator.account_id)
    operator.set_password(password)
    operator.full_clean()
    operator.save(force_insert=True)
    change_people(operator, departments=list(departments), languages=list(languages), active=operator.is_active, actor=actor)
    return operator


@atomic
def describe_operator(operator: Operator, fields: Collection[str], *, actor: Operator | None = None) -> None:
    """Write who somebody is (`fields`: login, name, email, role, language of the pages). Raises ValidationError by field.

    With another role every session and workspace of the person ends: what they show was meant for the role before.
    """
    change = None if operator.account_id is None else Change(lock_account(operator.account_id), pk=operator.pk)
    operator.full_clean()
    operator.save(update_fields=[*fields, *(["login_key"] if "username" in fields else [])])
    if operator.account_id is None or change is None:
        return
    if "role" in fields and any(stored.role != operator.role for stored in change.people):
        end_availability(change)
        end_sessions([operator.pk])
        change.write(ConditionReason.SIGNED_OUT, actor=actor)
        publish(service_channel(operator.account_id), workspace_channel(operator.account_id), operator_channel(operator.pk))


@atomic
def set_password(operator: Operator, password: str) -> None:
    """Give somebody a new password: whoever is signed in with the old one is signed out, workspaces included.

    A session carries the salted hash: it ends for good, even if the same password is given once more.
    """
    operator.set_password(password)
    operator.tickets_valid_from = next_session()
    operator.save(update_fields=["password", "tickets_valid_from"])
    operator.refresh_from_db(fields=["tickets_valid_from"])
    publish(operator_channel(operator.pk))


@atomic
def end_workspaces(operator: Operator) -> None:
    """Void the tickets of somebody's open workspaces; their pages must ask for new ones, as whoever is signed in by now."""
    Operator.objects.filter(pk=operator.pk).update(tickets_valid_from=next_session())
    publish(operator_channel(operator.pk))


@atomic
def set_support_active(operator: Operator, *, active: bool) -> None:
    """Let a member of the support staff in, or keep them out for good; they have no account and no membership."""
    if Operator.objects.filter(pk=operator.pk, account=None).exclude(is_active=active).update(is_active=active):
        end_sessions([operator.pk])


@atomic
def delete_operator(operator: Operator) -> None:
    """Delete somebody whom nothing mentions (A5). Raises ValidationError for people who must be deactivated instead."""
    if operator.account_id is not None:
        lock_account(operator.account_id)
    if not operator.changes.filter(is_online=True).exists():
        operator.changes.all().delete()  # who never was online decided no start state: that history goes with its person
    if is_mentioned(operator):
        raise ValidationError(_("Dialogs or records mention “%(name)s”: deactivate instead.") % {"name": str(operator)})
    operator.delete()
    if operator.account_id is not None:
        publish(service_channel(operator.account_id), workspace_channel(operator.account_id))


def choose_page_language(operator: Operator, code: str) -> None:
    """The language of somebody's own pages; empty: the browser's. Raises ValidationError."""
    if code not in {"", *dict(settings.LANGUAGES)}:
        raise ValidationError(_("There is no such language."))
    operator.ui_language = code
    operator.save(update_fields=["ui_language"])


RINGS = ("rings_for_queues", "rings_for_assigned", "rings_for_messages", "rings_on_desktop")


def choose_rings(operator: Operator, switches: Mapping[str, bool]) -> None:
    """Switch somebody's own rings on or off (Q12), in every browser of theirs. Raises ValidationError for what is no ring."""
    if not switches or not set(switches) <= set(RINGS):
        raise ValidationError(_("There is no such switch."))
    for name, on in switches.items():
        setattr(operator, name, on)
    operator.save(update_fields=list(switches))
