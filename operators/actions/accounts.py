"""Accounts: created with their languages, archived and restored (A5)."""

from collections.abc import Sequence

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from operators.actions.parts import save_part
from operators.actions.settings import record_changes
from operators.actions.status import end_availability, end_sessions
from operators.history import Change
from operators.locks import lock_account
from operators.models import Account, ConditionReason, Language, Operator
from webim_offline.foundation.database.transactions import atomic


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
    change.write(ConditionReason.SIGNED_OUT, actor=actor)
    record_changes(locked, [("archived_at", None, change.now)], actor=actor)


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
    record_changes(locked, [("archived_at", before, None)], actor=actor)
