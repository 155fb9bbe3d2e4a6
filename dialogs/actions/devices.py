"""The devices of mobile apps, their push tokens, and what these mean for dialogs that started in the app (P7).

Only this module writes devices. What everybody else needs to know is kept on the visitor (`has_token`) and on the dialog
(`always_online`); see decision 0012.

Locks are taken in this order: account, devices, visitors by id, dialogs by id.
"""

import re
from collections.abc import Mapping

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from dialogs.actions.assignment_by_hand import assign_soon_in
from dialogs.actions.deadlines import catch_up
from dialogs.actions.record import Record, queue_now
from dialogs.actions.timeouts import timeouts_in_force
from dialogs.events import TokenLossReason, TokenRemoved, TokenSet
from dialogs.locks import lock_open_dialogs, lock_visitors
from dialogs.models import LONGEST_DEVICE_KEY, LONGEST_PUSH_TOKEN, Device, Platform, Visitor
from dialogs.rules import presence
from operators.locks import lock_account, lock_account_shared
from operators.models import Account
from webim_offline.foundation.database.bulk import update_rows
from webim_offline.foundation.database.clock import database_now

NO_TOKEN = "none"  # noqa: S105 - what an app sends when it has no token
MOST_DEVICES = 20  # of one visitor (X3); beyond that, the devices that were used longest ago are forgotten
TOKEN = re.compile(rf"[!-~]{{1,{LONGEST_PUSH_TOKEN}}}")


def set_token(visitor_id: int, *, device: str, token: str, platform: str = "") -> None:
    """Store that the visitor uses this device, and that `token` is its push token; "none" or "" removes the token.

    `device` is the id that the client has given to the device; it means something within the account only (X1). `platform` is one
    of `Platform`; if it is empty, the stored one stays. If another visitor used the device before, it is now this visitor's, with
    its token. Another device that had the same token loses it.

    Raises ValidationError with messages by field name, and Visitor.DoesNotExist.
    """
    token = "" if token == NO_TOKEN else token
    _check(device, platform, token)
    _use(visitor_id, device, platform, token)


def device_used(visitor_id: int, *, device: str, platform: str = "") -> None:
    """Store that the visitor uses this device, about whose token the app has said nothing. A stored token stays.

    If another visitor used the device before, it is now this visitor's, with its token. Raises ValidationError with messages by
    field name, and Visitor.DoesNotExist.
    """
    _check(device, platform, "")
    _use(visitor_id, device, platform, None)


@transaction.atomic
def remove_token(account_id: int, token: str) -> None:
    """Remove a token that a push service has called invalid from the device of the account that has it.

    Nothing changes if no device has it (any more).
    """
    if not TOKEN.fullmatch(token):
        return
    account = lock_account_shared(account_id)
    device = Device.objects.filter(account=account_id, token=token).select_for_update(no_key=True).first()
    if device is None:
        return
    visitors = lock_visitors({device.visitor_id})
    record = Record(database_now())
    _write(device, record, token="")
    _settle(account, visitors, record, {device.visitor_id: TokenLossReason.INVALID})


def _check(device: str, platform: str, token: str) -> None:
    """Raise ValidationError, with a message for each field, if a value has not the form that it must have."""
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
    """Give the device with this key to the visitor. A `token` of None leaves the stored one, "" removes it."""
    account_id = Visitor.objects.values_list("account_id", flat=True).get(pk=visitor_id)
    device = Device.objects.filter(account=account_id, key=key).first()
    if device is None and not token:
        return  # a device without a token is not stored
    if device is not None and _is_so(device, visitor_id, platform, token):
        return
    try:
        with transaction.atomic():
            _take_over(lock_account_shared(account_id), visitor_id, key, platform, token)
    except IntegrityError:
        # Somebody else has stored the same device or token at the same moment. Their row can be seen now; with the exclusive lock
        # of the account nobody can come in between again.
        with transaction.atomic():
            _take_over(lock_account(account_id), visitor_id, key, platform, token)


def _is_so(device: Device, visitor_id: int, platform: str, token: str | None) -> bool:
    """Return whether the stored device says all of this already."""
    return device.visitor_id == visitor_id and token in {None, device.token} and platform in {"", device.platform}


def _take_over(account: Account, visitor_id: int, key: str, platform: str, token: str | None) -> None:
    named = Q(key=key) | Q(token=token) if token else Q(key=key)
    rows = Device.objects.filter(named, account=account).select_for_update(no_key=True).order_by("pk")
    devices = {device.key: device for device in rows}
    device = devices.pop(key, None)
    if device is None and not token:
        return  # it was forgotten meanwhile
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
    _settle(account, visitors, record, {visitor_id: TokenLossReason.REMOVED})


def _write(device: Device, record: Record, **values: object) -> None:
    for name, value in values.items():
        setattr(device, name, value)
    device.updated_at = record.now
    if device.pk is None:
        device.save(force_insert=True)
    else:
        device.save(update_fields=[*values, "updated_at"])


def _forget_surplus(visitor_id: int) -> None:
    """Delete the visitor's devices beyond MOST_DEVICES, those first that were used longest ago."""
    # A device that somebody else has locked is in use, so it is passed over. Waiting for it would break the order of locks.
    rows = Device.objects.filter(visitor=visitor_id).order_by("-updated_at", "-pk").select_for_update(skip_locked=True)
    if surplus := [device.pk for device in rows[MOST_DEVICES : MOST_DEVICES * 2]]:
        Device.objects.filter(pk__in=surplus).delete()


def _settle(account: Account, visitors: Mapping[int, Visitor], record: Record, reasons: Mapping[int, TokenLossReason]) -> None:
    """Bring `has_token` of these locked visitors, and their open dialogs from the app, into line with their devices.

    A dialog that becomes always online, or no longer is, gets an event. `reasons` says by visitor id why a token was removed; a
    visitor who is not in it has lost the token to another visitor.
    """
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
            dialog.settle(presence.token_arrived(before), presence.NO_ABSENCE)
            record.event(dialog, TokenSet(queue=queue_now(dialog) if before.is_offline else None), record.now)
        else:
            facts = presence.token_removed(before, record.now, present=visitor.is_present)
            dialog.settle(facts, timeouts_in_force(account, facts.away_since, record.now))
            reason = reasons.get(visitor.pk, TokenLossReason.MOVED)
            record.event(dialog, TokenRemoved(reason=reason, is_away=not visitor.is_present), record.now)
    record.write(dialogs)
    assign_soon_in(account)
