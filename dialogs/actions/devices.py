"""Push tokens of mobile apps: whose they are, and what that does to dialogs that started there (P7).

Lock order: account, devices, visitors by id, dialogs by id. Nobody else writes devices; what others need to know
stands on the visitor and the dialog.
"""

import re
from collections.abc import Mapping
from enum import StrEnum

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from dialogs import state
from dialogs.actions.assignment import assign_soon_in
from dialogs.actions.deadlines import catch_up
from dialogs.actions.presence import lock_open_dialogs, lock_visitors
from dialogs.actions.record import Record, moved_to
from dialogs.actions.timeouts import timeouts_of
from dialogs.bulk import update_rows
from dialogs.models import LONGEST_DEVICE_KEY, LONGEST_PUSH_TOKEN, Device, Dialog, EventKind, Platform, Visitor
from operators.actions import lock_account, lock_account_shared
from operators.models import Account
from webim_offline.database_clock import database_now

NO_TOKEN = "none"  # noqa: S105 - what an app sends for "I have none"
MOST_DEVICES = 20  # of one visitor (X3); those not heard of for longest are forgotten
TOKEN = re.compile(rf"[!-~]{{1,{LONGEST_PUSH_TOKEN}}}")


class Reason(StrEnum):
    """Why a visitor's last token went; the event keeps it."""

    REMOVED = "removed"  # the app said so
    INVALID = "invalid"  # the push service said so
    MOVED = "moved"  # the device, or the token, is another visitor's now


def set_token(visitor_id: int, *, device: str, token: str, platform: str = "") -> None:
    """The visitor uses this device, and its push token is `token` now; "none" or "" removes it.

    `device` is the client's own id of the device, known within the account only (X1); without `platform` the known one
    stays. Whoever used the device before loses it, with its token; so does a device that had the same token. Raises
    ValidationError by field, Visitor.DoesNotExist.
    """
    token = "" if token == NO_TOKEN else token
    _check(device, platform, token)
    _use(visitor_id, device, platform, token)


def device_used(visitor_id: int, *, device: str, platform: str = "") -> None:
    """The visitor uses this device and says nothing of a token: one that the device has is theirs now.

    Raises ValidationError by field, Visitor.DoesNotExist.
    """
    _check(device, platform, "")
    _use(visitor_id, device, platform, None)


@transaction.atomic
def remove_token(account_id: int, token: str) -> None:
    """A push service said that the token is invalid. One that no device of the account has (any more) changes nothing."""
    if not TOKEN.fullmatch(token):
        return
    account = lock_account_shared(account_id)
    device = Device.objects.filter(account=account_id, token=token).select_for_update(no_key=True).first()
    if device is None:
        return
    visitors = lock_visitors({device.visitor_id})
    record = Record(database_now())
    _write(device, record, token="")
    _settle(account, visitors, record, {device.visitor_id: Reason.INVALID})


def _check(device: str, platform: str, token: str) -> None:
    wrong = {}
    if not device.strip() or len(device) > LONGEST_DEVICE_KEY or not device.isprintable():
        wrong["device"] = _("A device is named by 1 to %(count)s printable characters.") % {"count": LONGEST_DEVICE_KEY}
    if token and not TOKEN.fullmatch(token):
        wrong["token"] = _("A push token is 1 to %(count)s ASCII characters without blanks.") % {"count": LONGEST_PUSH_TOKEN}
    if platform and platform not in Platform.values:
        wrong["platform"] = _("There is no platform “%(platform)s”.") % {"platform": platform[:20]}
    if wrong:
        raise ValidationError(wrong)


def _use(visitor_id: int, key: str, platform: str, token: str | None) -> None:
    account_id = Visitor.objects.values_list("account_id", flat=True).get(pk=visitor_id)
    device = Device.objects.filter(account=account_id, key=key).first()
    if device is None and not token:
        return  # nothing is known of it, and there is nothing to know
    if device is not None and _is_so(device, visitor_id, platform, token):
        return
    try:
        with transaction.atomic():
            _take_over(lock_account_shared(account_id), visitor_id, key, platform, token)
    except IntegrityError:
        # the same device or token was made known at the same moment: now it can be seen, and nobody else is at it
        with transaction.atomic():
            _take_over(lock_account(account_id), visitor_id, key, platform, token)


def _is_so(device: Device, visitor_id: int, platform: str, token: str | None) -> bool:
    return device.visitor_id == visitor_id and token in {None, device.token} and platform in {"", device.platform}


def _take_over(account: Account, visitor_id: int, key: str, platform: str, token: str | None) -> None:
    named = Q(key=key) | Q(token=token) if token else Q(key=key)
    rows = Device.objects.filter(named, account=account).select_for_update(no_key=True).order_by("pk")
    devices = {device.key: device for device in rows}
    device = devices.pop(key, None)
    if device is None and not token:
        return  # forgotten meanwhile
    concerned = {visitor_id, *(other.visitor_id for other in devices.values()), *([device.visitor_id] if device else [])}
    visitors = lock_visitors(concerned)
    record = Record(database_now())
    for other in devices.values():
        _write(other, record, token="")
    if device is None:
        device = Device(account=account, key=key)
    _write(
        device,
        record,
        visitor_id=visitor_id,
        platform=platform or device.platform,
        token=device.token if token is None else token,
    )
    if device.token:
        _forget_surplus(visitor_id)
    _settle(account, visitors, record, {visitor_id: Reason.REMOVED})


def _write(device: Device, record: Record, **values: object) -> None:
    for name, value in values.items():
        setattr(device, name, value)
    device.updated_at = record.now
    if device.pk is None:
        device.save(force_insert=True)
    else:
        device.save(update_fields=[*values, "updated_at"])


def _forget_surplus(visitor_id: int) -> None:
    # one that somebody holds at this moment is in use; waiting for it would turn the order of locks round
    rows = Device.objects.filter(visitor=visitor_id).order_by("-updated_at", "-pk").select_for_update(skip_locked=True)
    if surplus := [device.pk for device in rows[MOST_DEVICES : MOST_DEVICES * 2]]:
        Device.objects.filter(pk__in=surplus).delete()


def _settle(account: Account, visitors: Mapping[int, Visitor], record: Record, reasons: Mapping[int, Reason]) -> None:
    """Tell locked visitors, and their open dialogs from the app, whether any of their devices has a token."""
    with_token = set(Device.objects.filter(visitor__in=visitors).exclude(token="").values_list("visitor_id", flat=True))
    changed = [visitor for visitor in visitors.values() if visitor.has_token != (visitor.pk in with_token)]
    for visitor in changed:
        visitor.has_token = not visitor.has_token
    update_rows(Visitor, ("has_token",), [(visitor.pk, visitor.has_token) for visitor in changed])
    dialogs = [dialog for dialog in lock_open_dialogs(changed) if dialog.from_app] if changed else []
    catch_up(dialogs, record)
    for dialog in dialogs:
        visitor = visitors[dialog.visitor_id]
        before = dialog.facts
        if visitor.has_token:
            dialog.settle(state.token_arrived(before), state.NO_ABSENCE)
            record.event(dialog, EventKind.TOKEN_SET, record.now, data=moved_to(dialog) if before.is_offline else None)
        else:
            facts = state.token_removed(before, record.now, present=visitor.is_present)
            dialog.settle(facts, timeouts_of(account, facts.away_since, record.now))
            data = {"reason": reasons.get(visitor.pk, Reason.MOVED), "away": not visitor.is_present}
            record.event(dialog, EventKind.TOKEN_REMOVED, record.now, data=data)
    record.write(dialogs, Dialog.SETTLED)
    assign_soon_in(account)
