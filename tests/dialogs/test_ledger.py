"""The delivery ledger: a line a letter and recipient, and an event for each change of its status (B2, B3)."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from dialogs.actions import record
from dialogs.actions.ledger import record_deliveries
from dialogs.actions.record import dialog_channel
from dialogs.models import Delivery, DeliveryStatus, EventKind
from tests import people
from webim_offline.foundation.database.clock import database_now


@pytest.fixture
def dialog(account):
    return people.start_dialog(account)


def line(dialog, status, *, recipient="left@north.example", written=None, after=0, detail=""):
    written = written or dialog.created_at
    return Delivery(
        dialog_id=dialog.pk,
        key=f"first:{recipient}",
        recipient=recipient,
        status=status,
        detail=detail,
        queued_at=written,
        updated_at=written + timedelta(seconds=after),
    )


def told(dialog):
    rows = dialog.events.filter(kind=EventKind.DELIVERY)
    return [(event.details.recipient, event.details.status, event.at, event.details.after) for event in rows]


def test_each_change_of_status_is_an_event_with_its_own_moment(dialog):
    at = dialog.created_at
    record_deliveries([line(dialog, DeliveryStatus.QUEUED)])
    record_deliveries([line(dialog, DeliveryStatus.QUEUED, after=20, detail="451 later")])  # put off: not another status
    record_deliveries([line(dialog, DeliveryStatus.ACCEPTED, after=38)])
    record_deliveries([line(dialog, DeliveryStatus.ACCEPTED, after=38)])  # told twice, after a crash
    assert told(dialog) == [
        ("left@north.example", "queued", at, 0),
        ("left@north.example", "accepted", at + timedelta(seconds=38), 38),
    ]
    assert dialog.deliveries.get().status == DeliveryStatus.ACCEPTED


def test_what_the_server_said_is_kept_with_a_refusal(dialog):
    record_deliveries([line(dialog, DeliveryStatus.REFUSED, detail="550 no such user")])
    assert dialog.events.get(kind=EventKind.DELIVERY).details.detail == "550 no such user"


def test_events_move_the_revision_and_wait_for_nobody(dialog):
    before = dialog.revision
    record_deliveries([line(dialog, DeliveryStatus.QUEUED), line(dialog, DeliveryStatus.QUEUED, recipient="b@north.example")])
    dialog.refresh_from_db()
    assert dialog.revision == before + 2
    events = dialog.events.filter(kind=EventKind.DELIVERY)
    assert [event.revision for event in events] == [before + 1, before + 2]
    assert not events.filter(handled_at=None).exists()


def test_only_the_dialogs_own_page_looks_again(dialog, monkeypatch):
    hints = []
    monkeypatch.setattr(record, "publish", lambda *channels: hints.extend(channels))
    record_deliveries([line(dialog, DeliveryStatus.QUEUED)])
    record_deliveries([line(dialog, DeliveryStatus.QUEUED, after=5, detail="451 later")])
    assert hints == [dialog_channel(dialog.pk)] * 2


def test_many_lines_cost_as_many_statements_as_one(account):
    dialogs = [people.start_dialog(account) for _ in range(20)]

    def statements(lines):
        with CaptureQueriesContext(connection) as captured:
            record_deliveries(lines)
        return len(captured) if connection.vendor == "postgresql" else len({query["sql"].split("(")[0] for query in captured})

    now = database_now()
    few = statements([line(dialogs[0], DeliveryStatus.QUEUED, written=now)])
    many = statements([line(dialog, DeliveryStatus.ACCEPTED, written=now) for dialog in dialogs[1:]])
    assert many <= few
    assert EventKind.DELIVERY in set(dialogs[7].events.values_list("kind", flat=True))
