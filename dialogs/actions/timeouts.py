"""An account's timeouts as the rules of absences want them, with those they replaced meanwhile (P4, P5, Z2)."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import groupby

from dialogs.rules import presence
from operators.actions.settings import TIMEOUTS
from operators.models import Account, SettingChange

LONGEST_HISTORY = 100  # changes looked back at


def timeouts_in_force(account: Account, away_since: datetime | None, now: datetime) -> presence.Timeouts:
    """The settings that act on an absence since `away_since`; None: on one that begins now."""
    return timeouts_by_account({account.pk: account}, [(account.pk, away_since or now)], now)[account.pk]


def timeouts_by_account(
    accounts: Mapping[int, Account], absences: Iterable[tuple[int, datetime]], now: datetime
) -> dict[int, presence.Timeouts]:
    """The settings of each account that act on its absences (account id, since when): one query more if any changed since."""
    earliest: dict[int, datetime] = {}
    for account_id, away_since in absences:
        earliest[account_id] = min(away_since, earliest.get(account_id, away_since))
    changed = {pk: since for pk, since in earliest.items() if accounts[pk].timeouts_changed_at > since}
    changes: dict[int, list[SettingChange]] = {}
    if changed:
        rows = SettingChange.objects.filter(account__in=changed, setting__in=TIMEOUTS, at__gt=min(changed.values()))
        for change in rows.order_by("-pk")[:LONGEST_HISTORY]:
            changes.setdefault(change.account_id, []).append(change)
    return {pk: _in_force(account, changes.get(pk, []), now) for pk, account in accounts.items()}


def _in_force(account: Account, newest_first: list[SettingChange], now: datetime) -> presence.Timeouts:
    # after the clock was set back a setting may seem to come from the future: it is stored, so it acts (Z3)
    since: datetime | None = min(account.timeouts_changed_at, now)
    numbers = {"left_notice_after": account.left_notice_after, "offline_after": account.offline_after}
    ages = [(since, dict(numbers))]
    groups = [list(group) for _, group in groupby(newest_first, key=lambda change: change.at)]
    for place, group in enumerate(groups):
        for change in group:
            numbers[change.setting] = change.before
        before_that = groups[place + 1][0].at if place + 1 < len(groups) else None
        ages.append((before_that, dict(numbers)))
    *newer, (since, numbers) = ages
    timeouts = presence.timeouts_from_seconds(**numbers, since=since, reopen_window=account.reopen_window)
    for since, numbers in reversed(newer):
        timeouts = presence.timeouts_from_seconds(**numbers, since=since, before=timeouts, reopen_window=account.reopen_window)
    return timeouts
