"""Every write about people and settings is a named verb here. Lock order: account, then operator."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.models import BooleanField, CharField, F, IntegerField, Model, Q
from django.db.models.functions import Greatest
from django.utils.translation import gettext as _

from operators.availability import STANDS_STILL_AFTER, judged_at
from operators.history import Change, expiry
from operators.models import Account, Department, Language, Operator, Reason, SettingChange, Status, WorkspacesHeard
from operators.validators import addresses
from webim_offline.database_clock import DatabaseNow, database_now
from webim_offline.realtime import publish
from webim_offline.transactions import atomic

TIMEOUTS = frozenset({"left_notice_after", "offline_after"})
VISIT_LEASE = "visit_lease"
# settings that running dialogs follow at once: their changes wait for `dialogs`
ACTING = frozenset({*TIMEOUTS, VISIT_LEASE, "pickup_timeout", "close_after", "reopen_window"})
LIMITS = ("max_online_dialogs", "max_offline_dialogs", "visible_online_dialogs", "visible_offline_dialogs")
NEARLY_OVER = timedelta(seconds=5)  # of a lease: from then on a sign of life takes the account's lock (S2)


def lock_account_shared(account_id: int) -> Account:
    """The account's row under the shared lock that the start of a dialog holds (S2). One query.

    Raises Account.DoesNotExist.
    """
    share = " FOR SHARE" if connection.vendor == "postgresql" else ""
    rows = list(Account.objects.raw(f"SELECT * FROM operators_account WHERE id = %s{share}", [account_id]))  # noqa: S608
    if not rows:
        raise Account.DoesNotExist
    return rows[0]


def lock_accounts_shared(account_ids: Collection[int]) -> dict[int, Account]:
    """Several accounts' rows under the shared lock: settings that are read so change before or after, not meanwhile."""
    if connection.vendor != "postgresql":
        return Account.objects.in_bulk(account_ids)
    rows = Account.objects.raw("SELECT * FROM operators_account WHERE id = ANY(%s) ORDER BY id FOR SHARE", [list(account_ids)])
    return {account.pk: account for account in rows}


def lock_account(account_id: int) -> Account:
    """The account's row under the exclusive lock that changes of status, membership and settings hold (S2)."""
    return Account.objects.select_for_update(no_key=True).get(pk=account_id)


def service_channel(account_id: int) -> str:
    """The hint channel of everyone who shows whether an account is online."""
    return f"service:{account_id}"


def workspace_channel(account_id: int) -> str:
    """The hint channel of an account's left panels."""
    return f"workspace:{account_id}"


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
    change.write(Reason.CHOSEN, actor=actor or operator)
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
    change.write(Reason.SIGNED_OUT, actor=operator)
    publish(service_channel(operator.account_id), workspace_channel(operator.account_id), operator_channel(operator.pk))


def end_availability(change: Change) -> None:
    """Nobody of `change` is signed in any more: no sign of life, and tickets issued so far are void."""
    for person in change.people:
        person.last_seen_at = None
    ids = [person.pk for person in change.people]
    Operator.objects.filter(pk__in=ids).update(last_seen_at=None, tickets_valid_from=next_session())


def end_sessions(person_ids: Collection[int]) -> None:
    """Whoever is signed in as one of these is signed out, in every browser and for good: no later right brings a session back."""
    Operator.objects.filter(pk__in=person_ids).update(session_generation=F("session_generation") + 1)


def next_session() -> Greatest:
    """A `tickets_valid_from` that voids every ticket issued so far, also while the clock is set back (Z3)."""
    return Greatest(DatabaseNow(), F("tickets_valid_from") + timedelta(microseconds=1))


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
        elif isinstance(fields[name], CharField) and (not isinstance(value, str) or "\x00" in value):
            wrong[name] = _("Write a text without null characters.")
    if wrong:
        raise ValidationError(wrong)


@atomic
def change_settings(account: Account, changes: Mapping[str, object], *, actor: Operator | None) -> list[SettingChange]:
    """Change an account's settings and record each change (M9). Raises ValidationError by field; then nothing is written.

    `changes` maps field names to new values; those equal to the stored ones are left alone.
    """
    _check_kinds(changes)
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
        people.write(Reason.SETTINGS, actor=actor)
    rows = SettingChange.objects.bulk_create(
        SettingChange(
            account=locked,
            at=now,
            actor=actor,
            field=name,
            old=str(before[name])[:1000],
            new=str(getattr(locked, name))[:1000],
            handled_at=None if name in ACTING else now,
        )
        for name in changed
    )
    publish(service_channel(locked.pk), workspace_channel(locked.pk))
    return rows


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
    own: list[Model] = [*departments, *languages]
    if any(row.account_id != operator.account_id for row in own):
        raise ValidationError(_("Choose departments and languages of the operator's own account."))
    change = Change(lock_account(operator.account_id), pk=operator.pk)
    (locked,) = change.people
    reason = Reason.MEMBERSHIP if locked.is_active is active else Reason.ACTIVE
    locked.departments.set(departments)
    locked.languages.set(languages)
    locked.is_active = active
    locked.save(update_fields=["is_active"])
    if not active:
        end_availability(change)
    if reason == Reason.ACTIVE:  # on the way back too: the release before this one ended no sessions
        end_sessions([operator.pk])
    change.write(reason, actor=actor)
    publish(service_channel(operator.account_id), workspace_channel(operator.account_id), operator_channel(operator.pk))


@atomic
def archive(row: Department | Language) -> None:
    """Archive a department or language: dialogs keep naming it, widgets no longer get it (A5)."""
    lock_account(row.account_id)
    row.archived_at = database_now()
    row.save(update_fields=["archived_at"])
    publish(service_channel(row.account_id), workspace_channel(row.account_id))


@atomic
def change_limits(operator: Operator, limits: Mapping[str, int | None], *, actor: Operator | None) -> None:
    """An operator's own limits (Q5), recorded as changes of settings (M9); None: the account's. Raises ValidationError by field."""
    if operator.account_id is None:
        return
    lock_account(operator.account_id)
    locked = Operator.objects.select_for_update(no_key=True).get(pk=operator.pk)
    changed = {name: getattr(locked, name) for name in LIMITS if name in limits and getattr(locked, name) != limits[name]}
    if not changed:
        return
    for name in changed:
        setattr(locked, name, limits[name])
    locked.clean_fields(exclude=[field.name for field in Operator._meta.fields if field.name not in LIMITS])
    locked.save(update_fields=list(changed))
    now = database_now()
    SettingChange.objects.bulk_create(
        SettingChange(
            account_id=operator.account_id,
            at=now,
            actor=actor,
            field=f"operator.{name}.{locked.username}"[:60],
            old="" if before is None else str(before),
            new="" if limits[name] is None else str(limits[name]),
            handled_at=now,
        )
        for name, before in changed.items()
    )
    publish(workspace_channel(operator.account_id))


def acted(operator: Operator) -> None:
    """An own action in the workspace: whoever let an assigned dialog wait may be given it again (Q8)."""
    Operator.objects.filter(pk=operator.pk).update(acted_at=DatabaseNow())


def seen(operator: Operator, now: datetime) -> None:
    """A request of the workspace is a sign of life (A2). Coming back after an expiry tells the widgets."""
    _hear([operator], {operator.pk: operator.tickets_valid_from}, now)
    operator.last_seen_at = now


def workspaces_seen(tickets: Mapping[int, datetime]) -> dict[int, datetime]:
    """Write the signs of life of many workspaces (A2), and that they could be written (P9).

    `tickets` maps operator ids to the session their newest ticket names: the `tickets_valid_from` it was issued under. Any other
    one, an earlier or a later, is no sign of anybody.
    Returns the one valid now for everyone who may work (X5); who is missing there was deactivated, or the account archived.
    """
    clock = DatabaseNow()
    heard = WorkspacesHeard.objects.filter(at__gt=clock - STANDS_STILL_AFTER, at__lte=clock + STANDS_STILL_AFTER)
    if not heard.update(at=clock):
        end_silence()
    if not tickets:
        return {}
    known = list(Operator.objects.filter(pk__in=tickets, is_active=True, account__archived_at=None).select_related("account"))
    _hear([person for person in known if tickets[person.pk] == person.tickets_valid_from], tickets, database_now())
    return {person.pk: person.tickets_valid_from for person in known}


def _hear(people: list[Operator], tickets: Mapping[int, datetime], now: datetime) -> None:
    """Signs of life of `people`, just read. What changes nobody's availability is one statement for each lease, without a lock."""
    plain: dict[int | None, list[int]] = {}
    returning: dict[int, list[int]] = {}
    for person in people:
        lease = person.account.operator_lease if person.account else None
        if person.account_id is None or (person.last_seen_at and (person.status != Status.ONLINE or _lasts(person, now))):
            plain.setdefault(lease, []).append(person.pk)
        else:
            returning.setdefault(person.account_id, []).append(person.pk)
    clock = DatabaseNow()
    for lease, ids in plain.items():
        rows = Operator.objects.filter(pk__in=ids, is_active=True)
        if lease is not None:  # who signed out, chose Online or fell silent since we read must take the other way
            enough = Q(last_seen_at__gt=clock - timedelta(seconds=lease) + _margin(lease), counted_online=True)
            rows = rows.filter(enough | ~Q(status=Status.ONLINE), last_seen_at__isnull=False)
            # a lease that was shortened since we read has perhaps run out: what the history tells must not be undone
            rows = rows.filter(account__in=Account.objects.filter(operator_lease=lease))
        rows.update(last_seen_at=clock)
    for account_id, ids in returning.items():
        _bring_back(account_id, ids, tickets)


def _margin(lease: int) -> timedelta:
    return min(NEARLY_OVER, timedelta(seconds=lease) / 4)


def _lasts(person: Operator, now: datetime) -> bool:
    lease = person.account.operator_lease
    return person.counted_online and person.last_seen_at is not None and expiry(person.last_seen_at, lease) - _margin(lease) > now


@atomic
def _bring_back(account_id: int, ids: list[int], tickets: Mapping[int, datetime]) -> None:
    """Signs of life of people whose lease is over, or nearly: becoming online is a change under the account's lock (S2, A4)."""
    account = lock_account(account_id)
    if account.archived_at is not None:
        return
    change = Change(account, pk__in=ids, is_active=True)
    heard = [person for person in change.people if tickets[person.pk] == person.tickets_valid_from]
    for person in heard:
        person.last_seen_at = change.now
    Operator.objects.filter(pk__in=[person.pk for person in heard]).update(last_seen_at=change.now)
    if change.write(Reason.BACK):
        publish(service_channel(account_id), workspace_channel(account_id))


@atomic
def end_silence() -> None:
    """P9: signs of life can be written again. Workspaces alive when they no longer could be get one full lease from now.

    Whoever signed out has no sign of life stored and stays away.
    """
    row = WorkspacesHeard.objects.select_for_update().first()
    now = database_now()
    if row is None:
        WorkspacesHeard.objects.get_or_create(pk=1, defaults={"at": now})
        return
    if abs(now - row.at) <= STANDS_STILL_AFTER:
        return  # another live process has seen to it
    stood_still_at = row.at + STANDS_STILL_AFTER
    people = Operator.objects.filter(is_active=True, last_seen_at__isnull=False, account__isnull=False)
    for lease in people.values_list("account__operator_lease", flat=True).distinct().order_by():
        lasting, of_lease = timedelta(seconds=lease), people.filter(account__operator_lease=lease)
        gone = of_lease.filter(last_seen_at__lt=stood_still_at - lasting)
        # a clock set back must not bring them back (Z3): their last sign of life is ahead of it now
        gone.filter(last_seen_at__gte=now - lasting).update(last_seen_at=now - lasting - timedelta(seconds=1))
        of_lease.filter(last_seen_at__gte=stood_still_at - lasting).update(last_seen_at=now)
    row.at = now
    row.save(update_fields=["at"])


def record_expiries() -> int:
    """Record leases of workspaces that have run out, each with the moment it happened (A2, A4); returns how many."""
    online = Operator.objects.filter(counted_online=True)
    now = judged_at(database_now(), WorkspacesHeard.objects.values_list("at", flat=True).first())
    recorded = 0
    for lease in online.values_list("account__operator_lease", flat=True).distinct().order_by():
        silent = online.filter(account__operator_lease=lease, last_seen_at__lt=now - timedelta(seconds=lease))
        for account_id in silent.values_list("account_id", flat=True).distinct().order_by():
            with transaction.atomic():
                recorded += Change(lock_account(account_id), counted_online=True).expired
                publish(service_channel(account_id), workspace_channel(account_id))
    return recorded
