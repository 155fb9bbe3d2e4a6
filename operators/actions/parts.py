"""Departments, languages and contact fields of an account (A5)."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext as _

from operators.actions.settings import record_changes
from operators.channels import service_channel, workspace_channel
from operators.locks import lock_account
from operators.models import ContactField, Department, Language, Lifetime, Operator
from webim_offline.foundation.database.clock import database_now
from webim_offline.foundation.database.transactions import atomic
from webim_offline.foundation.realtime import publish


@atomic
def archive(row: Department | Language) -> None:
    """Archive a department or language: dialogs keep naming it, widgets no longer get it (A5)."""
    lock_account(row.account_id)
    row.archived_at = database_now()
    row.save(update_fields=["archived_at"])
    publish(service_channel(row.account_id), workspace_channel(row.account_id))


Part = Department | Language | ContactField
MOST = {Department: 500, Language: 50, ContactField: 20}  # of each kind in one account (X3)


def is_mentioned(row: models.Model) -> bool:
    """A5: does any other row name this one? Looks at one row of each kind at most, whatever their number."""
    relations: list[Any] = row._meta.get_fields(include_hidden=True)
    for relation in relations:
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
def save_part(part: Part, *, actor: Operator | None) -> None:
    """Add a department, language or own contact field, or write what changed of it. Raises ValidationError by field."""
    lock_account(part.account_id)
    kind = type(part)
    part.full_clean()
    if part._state.adding:
        check_room_for(part.account_id, kind)
        part.save(force_insert=True)
        record_changes(part, [(Lifetime.ADDED, None, str(part))], actor=actor)
        return
    stored = kind._default_manager.get(pk=part.pk, account=part.account_id)
    changed = [field for field in part._meta.concrete_fields if getattr(part, field.attname) != getattr(stored, field.attname)]
    if changed:
        part.save(update_fields=[field.name for field in changed])
        before_and_after = [(field.name, getattr(stored, field.attname), getattr(part, field.attname)) for field in changed]
        record_changes(part, before_and_after, actor=actor)


@atomic
def archive_part(part: Department | Language, *, actor: Operator | None) -> None:
    """Archive a department or language (A5). Raises ValidationError for the account's last language."""
    lock_account(part.account_id)
    if isinstance(part, Language):
        _keep_one_language(part)
    archive(part)
    record_changes(part, [(Lifetime.ARCHIVED, None, str(part))], actor=actor)


@atomic
def restore_part(part: Department | Language, *, actor: Operator | None) -> None:
    """Bring an archived department or language back."""
    lock_account(part.account_id)
    part.archived_at = None
    part.save(update_fields=["archived_at"])
    record_changes(part, [(Lifetime.RESTORED, None, str(part))], actor=actor)


@atomic
def delete_part(part: Part, *, actor: Operator | None) -> None:
    """Delete what nothing mentions (A5). Raises ValidationError for what must be archived instead."""
    lock_account(part.account_id)
    if is_mentioned(part):
        raise ValidationError(_("Dialogs or people mention “%(name)s”: archive it instead.") % {"name": str(part)})
    if isinstance(part, Language):
        _keep_one_language(part)
    record_changes(part, [(Lifetime.DELETED, str(part), None)], actor=actor)
    part.delete()


def _keep_one_language(language: Language) -> None:
    others = Language.objects.filter(account=language.account_id, archived_at=None).exclude(pk=language.pk)
    if language.archived_at is None and not others.exists():
        raise ValidationError(_("This is the account's last language: an account answers in at least one."))
