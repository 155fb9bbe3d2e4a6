"""What an account is made of and who works there: every write of the admin about it is a named verb here.

Statuses, settings, membership and archiving live in `actions`. Lock order as there: account, then operator. Whatever
changes how an account works is recorded as a change of settings (M9).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext as _

from operators.actions import (
    ACTING,
    archive,
    change_people,
    end_availability,
    end_sessions,
    lock_account,
    next_session,
    operator_channel,
    service_channel,
    workspace_channel,
)
from operators.history import Change
from operators.models import Account, ContactField, Department, Language, Operator, Reason, SettingChange
from webim_offline.database_clock import database_now
from webim_offline.realtime import publish
from webim_offline.transactions import atomic

Part = Department | Language | ContactField
MOST = {Department: 500, Language: 50, ContactField: 20}  # of each kind in one account (X3)


def is_mentioned(row: models.Model) -> bool:
    """A5: does any other row name this one? Looks at one row of each kind at most, whatever their number."""
    for relation in row._meta.get_fields(include_hidden=True):
        if not relation.auto_created or relation.concrete or relation.related_model._meta.auto_created:
            continue  # its own columns and memberships
        if relation.related_model._base_manager.filter(**{relation.field.name: row.pk}).exists():
            return True
    return False


def check_room_for(account_id: int, kind: type[Part]) -> None:
    """X3: an account has at most so many departments, languages and own contact fields. Raises ValidationError."""
    if kind._default_manager.filter(account=account_id).count() >= MOST[kind]:
        raise ValidationError(_("At most %(count)s in one account.") % {"count": MOST[kind]})


@atomic
def create_account(account: Account, *, language_codes: Sequence[str], actor: Operator | None) -> Account:
    """A new account with its languages, the first one first (A5). Raises ValidationError by field."""
    if not language_codes:
        raise ValidationError(_("An account answers in at least one language."))
    account.full_clean()
    account.save(force_insert=True)
    for position, code in enumerate(dict.fromkeys(language_codes)):
        save_part(Language(account=account, code=code, position=position), actor=actor)
    return account


@atomic
def save_part(part: Part, *, actor: Operator | None) -> None:
    """Add a department, language or own contact field, or write what changed of it. Raises ValidationError by field."""
    lock_account(part.account_id)
    kind = type(part)
    part.full_clean()
    if part._state.adding:
        check_room_for(part.account_id, kind)
        part.save(force_insert=True)
        _note(part, [("added", "", str(part))], actor)
        return
    stored = kind._default_manager.get(pk=part.pk, account=part.account_id)
    changed = [field for field in part._meta.concrete_fields if getattr(part, field.attname) != getattr(stored, field.attname)]
    if changed:
        part.save(update_fields=[field.name for field in changed])
        _note(part, [(field.name, getattr(stored, field.attname), getattr(part, field.attname)) for field in changed], actor)


@atomic
def archive_part(part: Department | Language, *, actor: Operator | None) -> None:
    """Archive a department or language (A5). Raises ValidationError for the account's last language."""
    lock_account(part.account_id)
    if isinstance(part, Language):
        _keep_one_language(part)
    archive(part)
    _note(part, [("archived", "", str(part))], actor)


@atomic
def restore_part(part: Department | Language, *, actor: Operator | None) -> None:
    """Bring an archived department or language back."""
    lock_account(part.account_id)
    part.archived_at = None
    part.save(update_fields=["archived_at"])
    _note(part, [("restored", "", str(part))], actor)


@atomic
def delete_part(part: Part, *, actor: Operator | None) -> None:
    """Delete what nothing mentions (A5). Raises ValidationError for what must be archived instead."""
    lock_account(part.account_id)
    if is_mentioned(part):
        raise ValidationError(_("Dialogs or people mention “%(name)s”: archive it instead.") % {"name": str(part)})
    if isinstance(part, Language):
        _keep_one_language(part)
    name = str(part)
    _note(part, [("deleted", name, "")], actor)
    part.delete()


def _keep_one_language(language: Language) -> None:
    others = Language.objects.filter(account=language.account_id, archived_at=None).exclude(pk=language.pk)
    if language.archived_at is None and not others.exists():
        raise ValidationError(_("This is the account's last language: an account answers in at least one."))


def _note(part: Part, changes: Iterable[tuple[str, object, object]], actor: Operator | None) -> None:
    """Record changes of a part as `kind.field.part` (M9), and tell whoever shows the account."""
    now = database_now()
    name = part.slug if isinstance(part, Department) else str(part)
    SettingChange.objects.bulk_create(
        SettingChange(
            account_id=part.account_id,
            at=now,
            actor=actor,
            field=f"{part._meta.model_name}.{field}.{name}"[:60],
            old=str(old)[:1000],
            new=str(new)[:1000],
            handled_at=None if field in ACTING else now,
        )
        for field, old, new in changes
    )
    publish(service_channel(part.account_id), workspace_channel(part.account_id))


@atomic
def archive_account(account: Account, *, actor: Operator | None) -> None:
    """Archive an account (A5): its people are signed out at once and for good, and cannot sign in while it is archived."""
    locked = lock_account(account.pk)
    if locked.archived_at is not None:
        return
    change = Change(locked)
    locked.archived_at = change.now
    locked.save(update_fields=["archived_at"])
    end_availability(change)
    end_sessions([person.pk for person in change.people])
    change.write(Reason.SIGNED_OUT, actor=actor)
    _note_account(locked, "archived_at", "", change.now.isoformat(), actor)


@atomic
def restore_account(account: Account, *, actor: Operator | None) -> None:
    """Bring an archived account back; its people sign in anew."""
    locked = lock_account(account.pk)
    if locked.archived_at is None:
        return
    # the release before this one ended no sessions when it archived
    end_sessions(list(locked.operators.values_list("pk", flat=True)))
    before, locked.archived_at = locked.archived_at, None
    locked.save(update_fields=["archived_at"])
    _note_account(locked, "archived_at", before.isoformat(), "", actor)


def _note_account(account: Account, field: str, old: str, new: str, actor: Operator | None) -> None:
    now = database_now()
    SettingChange.objects.create(account=account, at=now, actor=actor, field=field, old=old, new=new, handled_at=now)
    publish(service_channel(account.pk), workspace_channel(account.pk))


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
    operator.save(update_fields=list(fields))
    if change is not None and "role" in fields and any(stored.role != operator.role for stored in change.people):
        end_availability(change)
        end_sessions([operator.pk])
        change.write(Reason.SIGNED_OUT, actor=actor)
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
