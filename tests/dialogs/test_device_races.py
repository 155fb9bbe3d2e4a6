"""Push tokens on many connections at once: against departures, returns, starts, the sweep and one another (P7, P8)."""

import threading
import time
from functools import partial

import pytest
from django.db import connection

from dialogs.actions import deadlines, devices
from dialogs.actions.devices import device_used, remove_token, set_token
from dialogs.models import Device, Dialog, EventKind, Visitor
from operators.models import Account
from tests import people
from tests.dialogs.test_concurrency import at_once
from webim_offline.foundation.database.clock import database_now

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer"),
]


def check_everybody():
    """What stands on visitors and dialogs is what the devices and visits say."""
    owners = set(Device.objects.exclude(token="").values_list("visitor_id", flat=True))
    for visitor in Visitor.objects.all():
        assert visitor.has_token == (visitor.pk in owners)
        assert visitor.is_present == visitor.visits.filter(ended_at=None).exists()
        for dialog in visitor.dialogs.filter(from_app=True):
            assert dialog.always_online == visitor.has_token
            assert (dialog.away_since is None) == (visitor.is_present or visitor.has_token)
            assert not (dialog.is_offline and dialog.away_since is None)
            revisions = [*dialog.events.values_list("revision", flat=True), *dialog.messages.values_list("revision", flat=True)]
            assert sorted(revisions) == list(range(1, dialog.revision + 1)), "nothing lost, nothing twice"


def in_the_app(account, process, count):
    """Visitors with the app open, a token each (their id says which) and a dialog."""
    visitors = people.make_visitors(account, count)
    for visitor in visitors:
        set_token(visitor.pk, device=f"phone-{visitor.pk}", token=f"token-{visitor.pk}")
        people.arrive(visitor, process)
        people.write(visitor, from_app=True)
    return visitors


def test_tokens_go_while_people_leave_return_and_alarms_ring(account, process):
    Account.objects.update(left_notice_after=1, offline_after=1)
    visitors = in_the_app(account, process, 40)
    over = threading.Event()
    removed = {visitor.pk: threading.Event() for visitor in visitors}

    def sweeps():
        while not over.is_set():
            deadlines.advance_due_dialogs(limit=7)
            time.sleep(0.01)

    def removals():
        try:
            for visitor in visitors:
                remove_token(account.pk, f"token-{visitor.pk}")
                removed[visitor.pk].set()
        finally:
            time.sleep(1.5)
            over.set()

    def departures():
        for visitor in reversed(visitors):
            people.depart(visitor, process)

    def returns():
        time.sleep(0.3)
        for visitor in visitors[::3]:
            people.arrive(visitor, process, "back")

    def arrivals_of_tokens():
        for visitor in visitors[1::3]:
            assert removed[visitor.pk].wait(60)  # a token that replaced the old one would leave nothing to remove
            set_token(visitor.pk, device=f"phone-{visitor.pk}", token=f"new-{visitor.pk}")

    assert at_once(sweeps, sweeps, removals, departures, returns, arrivals_of_tokens) == [None] * 6
    while deadlines.advance_due_dialogs():
        pass
    check_everybody()
    told = set()
    for dialog in Dialog.objects.all():
        kinds = list(dialog.events.exclude(kind__in=["started"]).order_by("revision").values_list("kind", flat=True))
        assert kinds.count(EventKind.TOKEN_REMOVED) == 1
        assert kinds.count(EventKind.LEFT_NOTICE) == kinds.count(EventKind.WENT_OFFLINE) <= 1
        codes = list(dialog.messages.filter(kind="system").values_list("code", flat=True))
        assert codes in ([], ["left", "went_offline"], ["left", "went_offline", "returned"])
        told.update(codes)
    assert told >= {"left", "went_offline"}


def test_a_departure_beside_a_removal_is_not_overlooked(account, process, monkeypatch):
    """Each asks what the other decides: whether a visit is alive, whether there is a token."""
    (visitor,) = in_the_app(account, process, 1)
    has_read = threading.Event()

    def slowly():
        """Asked when the visitor is read, and before anything is written."""
        has_read.set()
        time.sleep(0.7)
        return database_now()

    monkeypatch.setattr(devices, "database_now", slowly)

    def departs():
        has_read.wait(10)
        people.depart(visitor, process)

    assert at_once(partial(remove_token, account.pk, f"token-{visitor.pk}"), departs) == [None, None]
    check_everybody()
    assert Dialog.objects.get().away_since is not None


def test_a_device_that_eight_visitors_use_at_once_is_one_visitors(account, process):
    visitors = in_the_app(account, process, 8)
    for _ in range(5):
        results = at_once(
            *(partial(set_token, v.pk, device="shared-phone", token="shared") for v in visitors[:6]),
            *(partial(device_used, v.pk, device="shared-phone") for v in visitors[6:]),
        )
        assert results == [None] * 8
        assert Device.objects.filter(key="shared-phone", token="shared").count() == 1
        check_everybody()


def test_a_token_that_eight_devices_report_at_once_is_on_one(account, process):
    visitors = in_the_app(account, process, 8)
    for visitor in visitors:
        remove_token(account.pk, f"token-{visitor.pk}")
    for serial in range(5):
        results = at_once(*(partial(set_token, v.pk, device=f"phone-{v.pk}", token=f"one-{serial}") for v in visitors))
        assert results == [None] * 8
        assert Device.objects.exclude(token="").count() == 1
        check_everybody()


def test_people_who_swap_phones_and_tokens_wait_for_nobody_for_ever(account, process):
    visitors = in_the_app(account, process, 4)

    def swaps(mine, other):
        for serial in range(15):
            set_token(mine.pk, device=f"phone-{other.pk}", token=f"token-{(mine if serial % 2 else other).pk}")
            device_used(mine.pk, device=f"phone-{mine.pk}")
            remove_token(account.pk, f"token-{other.pk}")

    pairs = [(visitors[i], visitors[j]) for i, j in ((0, 1), (1, 0), (2, 3), (3, 2), (0, 3), (3, 0))]
    assert at_once(*(partial(swaps, *pair) for pair in pairs)) == [None] * 6
    check_everybody()


def test_dialogs_that_start_while_tokens_come_and_go(account, process):
    visitors = people.make_visitors(account, 30)

    def tokens():
        for serial in range(3):
            for visitor in visitors:
                set_token(visitor.pk, device=f"phone-{visitor.pk}", token="none" if serial == 1 else f"token-{visitor.pk}")

    def starts():
        for visitor in visitors:
            people.write(visitor, from_app=True)

    assert at_once(tokens, starts, starts) == [None] * 3
    assert Dialog.objects.filter(always_online=True).count() == 30
    check_everybody()
