"""Settings of accounts, limits of people, and the record of every change of a setting (M9), also for parts and accounts."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import BooleanField, CharField, IntegerField
from django.utils.translation import gettext as _

from operators.channels import service_channel, workspace_channel
from operators.history import Change
from operators.known_accounts import forget_known_accounts
from operators.locks import lock_account
from operators.models import (
    Account,
    ConditionReason,
    ContactField,
    Department,
    Language,
    Operator,
    SettingChange,
    SettingTarget,
)
from operators.validators import addresses
from webim_offline.foundation.database.clock import database_now
from webim_offline.foundation.database.transactions import atomic
from webim_offline.foundation.realtime import publish
from webim_offline.foundation.text import cleaned

TIMEOUTS = frozenset({"left_notice_after", "offline_after"})
VISIT_LEASE = "visit_lease"
PICKUP_TIMEOUT = "pickup_timeout"
# Settings that running dialogs follow at once: `dialogs` applies their changes (`SettingChange.handled_at`).
ACTING = frozenset({*TIMEOUTS, VISIT_LEASE, PICKUP_TIMEOUT, "close_after", "reopen_window"})
ACTING_KINDS = frozenset({SettingTarget.ACCOUNT, SettingTarget.DEPARTMENT})
LIMITS = ("max_online_dialogs", "max_offline_dialogs", "visible_online_dialogs", "visible_offline_dialogs")

Target = Account | Department | Language | ContactField | Operator
Value = str | int | bool | datetime | None


def check_left_messages(*, in_workspace: bool, email: str) -> None:
    """M7: left messages may be kept out of the workspace only while mail can take them. Raises ValidationError by field."""
    if in_workspace:
        return
    if not addresses(email):
        raise ValidationError(
            {
                "left_messages_email": _(
                    "Left messages only go by mail now: this address is needed until they reach the workspace again."
                )
            }
        )
    if settings.MAIL_SERVER is None:
        raise ValidationError(
            {"left_messages_in_workspace": _("No mail server is configured (EMAIL_URL): left messages would reach nobody.")}
        )


def check_timeouts(*, left_notice_after: int, offline_after: int) -> None:
    """P5: nobody's dialog goes offline before the message that they left. Raises ValidationError by field."""
    if 0 < offline_after < left_notice_after:
        text = _("Write at least %(seconds)s, the time until the message that the visitor left, or 0 for never.")
        raise ValidationError({"offline_after": text % {"seconds": left_notice_after}})


def _check_kinds(changes: Mapping[str, object]) -> None:
    """Each name a setting's, each value of its kind: a model field would make a whole number of 1.5 and of True."""
    fields = {field.name: field for field in Account._meta.concrete_fields if field.editable and not field.primary_key}
    wrong = {}
    for name, value in changes.items():
        if name not in fields:
            wrong[name[:60]] = _("There is no such setting.")
        elif isinstance(fields[name], IntegerField) and type(value) is not int:
            wrong[name] = _("Enter a whole number.")
        elif isinstance(fields[name], BooleanField) and type(value) is not bool:
            wrong[name] = _("Choose on or off.")
        elif isinstance(fields[name], CharField) and not isinstance(value, str):
            wrong[name] = _("Write a text.")
    if wrong:
        raise ValidationError(wrong)


@atomic
def change_settings(account: Account, changes: Mapping[str, object], *, actor: Operator | None) -> list[SettingChange]:
    """Change an account's settings and record each change (M9). Raises ValidationError by field; then nothing is written.

    `changes` maps field names to new values; those equal to the stored ones are left alone.
    """
    _check_kinds(changes)
    changes = {name: cleaned(value) if isinstance(value, str) else value for name, value in changes.items()}
    locked = lock_account(account.pk)
    before = {name: getattr(locked, name) for name in changes}
    # who had expired by the old lease is recorded before the new one judges (Z2)
    people = Change(locked) if changes.get("operator_lease", locked.operator_lease) != locked.operator_lease else None
    for name, value in changes.items():
        setattr(locked, name, value)
    changed = [name for name in changes if getattr(locked, name) != before[name]]
    if not changed:
        return []
    locked.full_clean(validate_constraints=False)
    changed = [name for name in changed if getattr(locked, name) != before[name]]  # as each kind of text is stored
    if not changed:
        return []
    if TIMEOUTS & set(changed):
        check_timeouts(left_notice_after=locked.left_notice_after, offline_after=locked.offline_after)
    locked.validate_constraints()
    if {"left_messages_in_workspace", "left_messages_email"} & set(changed):
        check_left_messages(in_workspace=locked.left_messages_in_workspace, email=locked.left_messages_email)
    now = database_now()
    update_fields = list(changed)
    if TIMEOUTS & set(changed):
        locked.timeouts_changed_at = now
        update_fields.append("timeouts_changed_at")
    locked.save(update_fields=update_fields)
    if people is not None:
        people.write(ConditionReason.SETTINGS, actor=actor)
    return record_changes(locked, [(name, before[name], getattr(locked, name)) for name in changed], actor=actor, at=now)


@atomic
def change_limits(operator: Operator, limits: Mapping[str, int | None], *, actor: Operator | None) -> None:
    """An operator's own limits (Q5), recorded as changes of settings (M9); None: the account's. Raises ValidationError by field."""
    if operator.account_id is None:
        return
    lock_account(operator.account_id)
    locked = Operator.objects.select_for_update(no_key=True).get(pk=operator.pk)
    before = {name: getattr(locked, name) for name in LIMITS}
    changed = [name for name in LIMITS if name in limits and before[name] != limits[name]]
    if not changed:
        return
    for name in changed:
        setattr(locked, name, limits[name])
    locked.clean_fields(exclude=[field.name for field in Operator._meta.fields if field.name not in LIMITS])
    locked.save(update_fields=changed)
    record_changes(locked, [(name, before[name], limits[name]) for name in changed], actor=actor)


def record_changes(
    target: Target,
    changes: Iterable[tuple[str, Value, Value]],
    *,
    actor: Operator | None,
    at: datetime | None = None,
) -> list[SettingChange]:
    """Record changed settings of a row (M9) and tell the pages that show them. The one writer of `SettingChange`.

    Each change is (name of the field or one of `Lifetime`, value before, value after). The caller holds the account's exclusive
    lock and has stored the values, at `at` if it took that moment already.
    """
    kind, name = _named(target)
    account_id = target.pk if isinstance(target, Account) else target.account_id
    if account_id is None:
        return []  # support staff belong to no account: nobody's settings
    now = at or database_now()
    rows = SettingChange.objects.bulk_create(
        SettingChange(
            account_id=account_id,
            at=now,
            actor=actor,
            kind=kind,
            target_id=target.pk,
            target_name=name,
            setting=setting,
            before=_as_json(before),
            after=_as_json(after),
            handled_at=None if setting in ACTING and kind in ACTING_KINDS else now,
        )
        for setting, before, after in changes
    )
    transaction.on_commit(forget_known_accounts, robust=True)  # other processes find it out within a second
    publish(workspace_channel(account_id))
    if kind != SettingTarget.OPERATOR:  # a person's own limits change nothing that visitors see
        publish(service_channel(account_id))
    return rows


def _named(target: Target) -> tuple[SettingTarget, str]:
    """The kind of a row, and the short name that tells it from others of its kind."""
    match target:
        case Account():
            return SettingTarget.ACCOUNT, ""
        case Department():
            return SettingTarget.DEPARTMENT, target.slug
        case Language():
            return SettingTarget.LANGUAGE, target.code
        case ContactField():
            return SettingTarget.CONTACT_FIELD, target.label
        case Operator():
            return SettingTarget.OPERATOR, target.username


def _as_json(value: Value) -> str | int | bool | None:
    return value.isoformat() if isinstance(value, datetime) else value
