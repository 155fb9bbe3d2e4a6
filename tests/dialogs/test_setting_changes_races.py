"""Timeouts that change while people leave and alarms ring, on many connections (P4, P5, P8, Z2)."""

import threading
import time
from datetime import timedelta

import pytest
from django.db import connection

from dialogs import tasks
from dialogs.actions import deadlines, presence, setting_changes
from dialogs.models import Dialog, Visitor
from operators.actions.settings import change_settings
from operators.models import Account, SettingChange
from tests import people
from tests.dialogs.test_concurrency import at_once
from webim_offline.foundation.database.clock import database_now

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer"),
]


def with_dialogs(account, process, count):
    """Visitors with a page open and a dialog."""
    visitors = people.make_visitors(account, count)
    presence.visits_began([presence.Arrival(v.pk, account.pk, "page-1") for v in visitors], process_id=process.pk)
    for visitor in visitors:
        people.write(visitor)
    return visitors


def fresh_account(account):
    return Account.objects.get(pk=account.pk)


def test_no_absence_that_begins_beside_a_change_sleeps_by_the_old_time(account, process, monkeypatch):
    """A departure that has read the old settings is either found by the change, or the change waits for it."""
    change_settings(account, {"offline_after": 3600}, actor=None)
    (visitor,) = with_dialogs(account, process, 1)
    has_read, may_write = threading.Event(), threading.Event()
    real = presence.departures.timeouts_by_account

    def slowly(*arguments):
        timeouts = real(*arguments)
        has_read.set()
        may_write.wait(10)
        return timeouts

    monkeypatch.setattr(presence.departures, "timeouts_by_account", slowly)

    def departs():
        people.depart(visitor, process)

    def changes():
        has_read.wait(10)
        threading.Timer(0.5, may_write.set).start()
        change_settings(fresh_account(account), {"left_notice_after": 5, "offline_after": 10}, actor=None)
        setting_changes.apply_setting_changes()

    assert at_once(departs, changes) == [None, None]
    dialog = Dialog.objects.get()
    assert dialog.away_since is not None
    assert dialog.wake_at <= dialog.away_since + timedelta(seconds=5)


def test_an_alarm_that_the_sweep_is_setting_by_the_old_time_is_rung_all_the_same(account, process, monkeypatch):
    change_settings(account, {"left_notice_after": 1, "offline_after": 3600}, actor=None)
    (visitor,) = with_dialogs(account, process, 1)
    people.depart(visitor, process)
    time.sleep(1.1)
    has_read, may_write = threading.Event(), threading.Event()
    real = deadlines.timeouts_by_account

    def slowly(*arguments):
        timeouts = real(*arguments)
        has_read.set()
        may_write.wait(10)
        return timeouts

    monkeypatch.setattr(deadlines, "timeouts_by_account", slowly)

    def changes():
        has_read.wait(10)
        threading.Timer(0.5, may_write.set).start()
        change_settings(fresh_account(account), {"offline_after": 2}, actor=None)
        setting_changes.apply_setting_changes()

    assert at_once(deadlines.advance_due_dialogs, changes) == [1, None]
    dialog = Dialog.objects.get()
    assert dialog.left_notice_at is not None
    assert dialog.wake_at <= dialog.away_since + timedelta(seconds=2)


def test_changes_beside_departures_returns_and_sweeps_lose_and_repeat_nothing(account, process):
    change_settings(account, {"left_notice_after": 3600, "offline_after": 3600}, actor=None)
    visitors = with_dialogs(account, process, 60)
    over = threading.Event()

    def sweeps():
        while not over.is_set():
            deadlines.advance_due_dialogs(limit=7)
            time.sleep(0.01)

    def applies():
        while not over.is_set():
            tasks.apply_setting_changes()
            time.sleep(0.05)

    def changes():
        try:
            for serial in range(12):
                numbers = (
                    {"left_notice_after": 3600, "offline_after": 0} if serial % 2 else {"left_notice_after": 1, "offline_after": 1}
                )
                change_settings(fresh_account(account), numbers, actor=None)
                time.sleep(0.1)
            change_settings(fresh_account(account), {"left_notice_after": 1, "offline_after": 1}, actor=None)
            time.sleep(3)
        finally:
            over.set()

    def departures():
        for visitor in visitors:
            people.depart(visitor, process)

    def returns():
        time.sleep(0.3)
        for visitor in visitors[::4]:
            people.arrive(visitor, process, "back")

    assert at_once(sweeps, sweeps, applies, applies, changes, departures, returns) == [None] * 7
    time.sleep(1.1)
    while deadlines.advance_due_dialogs():
        pass
    for visitor in Visitor.objects.all():
        dialog = visitor.dialogs.get()
        codes = list(dialog.messages.filter(kind="system").values_list("code", flat=True))
        if visitor.is_present:
            assert codes in ([], ["left", "went_offline", "returned"], ["left", "returned"])
            assert not dialog.is_offline
        else:
            assert codes == ["left", "went_offline"]
            assert dialog.is_offline
            assert dialog.wake_at is None
    assert not SettingChange.objects.filter(handled_at=None).exists()


def test_ten_thousand_who_are_away_feel_a_change_within_two_seconds(account, process):
    """interfaces.md, "Settings": within 2 s; generously measured here, since the machine is shared."""
    visitors = people.make_visitors(account, 10_000)
    language = account.languages.first()
    left_at = database_now() - timedelta(seconds=600)
    Dialog.objects.bulk_create(
        Dialog(
            account=account, number=visitor.pk, visitor=visitor, language=language, start_state="online", created_at=left_at,
            last_message_at=left_at, away_since=left_at, left_notice_at=left_at + timedelta(seconds=120),
            wake_at=left_at + timedelta(seconds=1200),
        )
        for visitor in visitors
    )  # fmt: skip
    Account.objects.update(timeouts_changed_at=left_at - timedelta(days=1))
    began = time.monotonic()
    change_settings(fresh_account(account), {"offline_after": 300}, actor=None)
    tasks.apply_setting_changes()
    while deadlines.advance_due_dialogs():
        pass
    took = time.monotonic() - began
    print(f"10,000 went offline {took:.2f} s after the change")
    stored_at = fresh_account(account).timeouts_changed_at
    assert Dialog.objects.filter(is_offline=True, went_offline_at=stored_at).count() == 10_000
    assert took < 60
    began = time.monotonic()
    change_settings(fresh_account(account), {"offline_after": 3600}, actor=None)
    assert tasks.apply_setting_changes() == 1
    print(f"the other direction: {time.monotonic() - began:.3f} s")
