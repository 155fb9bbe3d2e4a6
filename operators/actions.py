"""Every write about people and settings is a named verb here. Lock order: account, then operator."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.models import Model
from django.utils.translation import gettext as _

from operators.models import Account, Department, Language, Operator, SettingChange, Status, StatusChange
from operators.validators import addresses
from webim_offline.database_clock import database_now
from webim_offline.realtime import publish

TIMEOUTS = frozenset({"left_notice_after", "offline_after"})


def lock_account_shared(account_id: int) -> Account:
    """The account's row under the shared lock that the start of a dialog holds (S2). One query.

    Raises Account.DoesNotExist.
    """
    share = " FOR SHARE" if connection.vendor == "postgresql" else ""
    rows = list(Account.objects.raw(f"SELECT * FROM operators_account WHERE id = %s{share}", [account_id]))  # noqa: S608
    if not rows:
        raise Account.DoesNotExist
    return rows[0]


def lock_account(account_id: int) -> Account:
    """The account's row under the exclusive lock that changes of status, membership and settings hold (S2)."""
    return Account.objects.select_for_update(no_key=True).get(pk=account_id)


def service_channel(account_id: int) -> str:
    """The hint channel of everyone who shows whether an account is online."""
    return f"service:{account_id}"


def workspace_channel(account_id: int) -> str:
    """The hint channel of an account's left panels."""
    return f"workspace:{account_id}"


@transaction.atomic
def set_status(operator: Operator, status: str, *, actor: Operator | None = None) -> None:
    """Choose a status (A1). Raises ValidationError for one that does not exist.

    One's own choice comes from the workspace and is a sign of life (A2); a supervisor's choice for somebody is none.
    """
    if status not in Status.values:
        raise ValidationError(_("There is no status “%(status)s”.") % {"status": status[:40]})
    if operator.account_id is None:
        raise ValidationError(_("Support staff have no status."))
    lock_account(operator.account_id)
    locked = Operator.objects.select_for_update(no_key=True).get(pk=operator.pk)
    now = database_now()
    locked.status = status
    if actor is None or actor.pk == operator.pk:
        locked.last_seen_at = now
    locked.save(update_fields=["status", "last_seen_at"])
    StatusChange.objects.create(account_id=locked.account_id, operator=locked, status=status, at=now, actor=actor or operator)
    operator.status, operator.last_seen_at = status, locked.last_seen_at
    publish(service_channel(operator.account_id), workspace_channel(operator.account_id))


def seen(operator: Operator, now: datetime) -> None:
    """A request of the workspace is a sign of life (A2). Coming back after an expiry tells the widgets."""
    before = operator.last_seen_at
    Operator.objects.filter(pk=operator.pk, is_active=True).update(last_seen_at=now)
    operator.last_seen_at = now
    if operator.account_id and (before is None or (now - before).total_seconds() > operator.account.operator_lease):
        publish(service_channel(operator.account_id))


@transaction.atomic
def sign_out(operator: Operator) -> None:
    """Logging out ends availability at once (A2); tickets of the workspace issued so far are void."""
    if operator.account_id:
        lock_account(operator.account_id)
    now = database_now()
    Operator.objects.filter(pk=operator.pk).update(last_seen_at=None, tickets_valid_from=now)
    if operator.account_id:
        publish(service_channel(operator.account_id), operator_channel(operator.pk))


def operator_channel(operator_id: int) -> str:
    """The hint channel of one person's own tabs."""
    return f"operator:{operator_id}"


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


@transaction.atomic
def change_settings(account: Account, changes: Mapping[str, object], *, actor: Operator | None) -> list[SettingChange]:
    """Change an account's settings and record each change (M9). Raises ValidationError by field; then nothing is written.

    `changes` maps field names to new values; those equal to the stored ones are left alone.
    """
    locked = lock_account(account.pk)
    before = {name: getattr(locked, name) for name in changes}
    for name, value in changes.items():
        setattr(locked, name, value)
    changed = [name for name in changes if getattr(locked, name) != before[name]]
    if not changed:
        return []
    locked.full_clean()
    if {"left_messages_in_workspace", "left_messages_email"} & set(changed):
        check_left_messages(in_workspace=locked.left_messages_in_workspace, email=locked.left_messages_email)
    now = database_now()
    update_fields = list(changed)
    if TIMEOUTS & set(changed):
        locked.timeouts_changed_at = now
        update_fields.append("timeouts_changed_at")
    locked.save(update_fields=update_fields)
    rows = SettingChange.objects.bulk_create(
        SettingChange(
            account=locked,
            at=now,
            actor=actor,
            field=name,
            old=str(before[name])[:1000],
            new=str(getattr(locked, name))[:1000],
            handled_at=None if name in TIMEOUTS else now,
        )
        for name in changed
    )
    publish(service_channel(locked.pk), workspace_channel(locked.pk))
    return rows


@transaction.atomic
def change_people(operator: Operator, *, departments: list[Department], languages: list[Language], active: bool) -> None:
    """Give an operator departments, languages and the right to work, under the account's lock (S2).

    Raises ValidationError for a department or language of another account.
    """
    if operator.account_id is None:
        return
    own: list[Model] = [*departments, *languages]
    if any(row.account_id != operator.account_id for row in own):
        raise ValidationError(_("Choose departments and languages of the operator's own account."))
    lock_account(operator.account_id)
    now = database_now()
    operator.departments.set(departments)
    operator.languages.set(languages)
    if not active:
        Operator.objects.filter(pk=operator.pk).update(is_active=False, last_seen_at=None, tickets_valid_from=now)
    else:
        Operator.objects.filter(pk=operator.pk).update(is_active=True)
    publish(service_channel(operator.account_id), workspace_channel(operator.account_id), operator_channel(operator.pk))


@transaction.atomic
def archive(row: Department | Language) -> None:
    """Archive a department or language: dialogs keep naming it, widgets no longer get it (A5)."""
    lock_account(row.account_id)
    row.archived_at = database_now()
    row.save(update_fields=["archived_at"])
    publish(service_channel(row.account_id), workspace_channel(row.account_id))


def workspaces_seen(tickets: Mapping[int, datetime]) -> dict[int, datetime]:
    """Write the signs of life of many workspaces in one statement (A2).

    `tickets` maps operator ids to the moment their newest ticket was issued. Returns for everyone who may work from when
    on tickets are valid (X5); who is missing there was deactivated, or the account archived.
    """
    now = database_now()
    known = list(Operator.objects.filter(pk__in=tickets, is_active=True, account__archived_at=None).select_related("account"))
    alive = [person for person in known if tickets[person.pk] >= person.tickets_valid_from]
    back = {
        person.account_id
        for person in alive
        if person.last_seen_at is None or (now - person.last_seen_at).total_seconds() > person.account.operator_lease
    }
    # who signs out between the two statements stays signed out
    Operator.objects.filter(pk__in=[person.pk for person in alive], tickets_valid_from__lte=now).update(last_seen_at=now)
    publish(*(service_channel(account_id) for account_id in back if account_id))
    return {person.pk: person.tickets_valid_from for person in known}


def forgive_silence(*, alive_at: datetime, now: datetime) -> None:
    """P9: after an outage in which no sign of life could be stored, workspaces alive before it get one lease more.

    Whoever signed out has no sign of life stored and stays away.
    """
    silent = Operator.objects.filter(is_active=True, last_seen_at__isnull=False, last_seen_at__lt=now)
    for lease in silent.values_list("account__operator_lease", flat=True).distinct().order_by():
        if lease is not None:
            lasting = silent.filter(account__operator_lease=lease, last_seen_at__gt=alive_at - timedelta(seconds=lease))
            lasting.update(last_seen_at=now)
