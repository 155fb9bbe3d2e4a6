"""Where a visitor's message goes: the pure rule, and that the visitor API and `visitor_writes` agree on it (Q9, M10)."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from dialogs.models import Dialog, State
from dialogs.reading.service import find_service
from dialogs.reading.visitor_dialogs import as_of, open_or_reopenable
from dialogs.rules.destination import Destination, VisitorDialog, Way, destination_of
from operators.models import Department, Language
from tests import people
from webim_offline.foundation.database.clock import database_now

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
CHAT = VisitorDialog(1, is_open=True, is_reopenable=False)
BY_MAIL = VisitorDialog(2, is_open=True, is_reopenable=False, email_only=True, in_workspace=False)
BROUGHT_IN = VisitorDialog(3, is_open=True, is_reopenable=False, email_only=True)
CLOSED = VisitorDialog(4, is_open=False, is_reopenable=True, closed_at=NOON)
CLOSED_LATER = VisitorDialog(5, is_open=False, is_reopenable=True, closed_at=NOON + timedelta(minutes=1))
OVER = VisitorDialog(6, is_open=False, is_reopenable=False, closed_at=NOON)


@pytest.mark.parametrize(
    ("dialogs", "online", "destination"),
    [
        ([], None, Destination(Way.START)),
        ([OVER], None, Destination(Way.START)),
        ([CHAT, BY_MAIL, CLOSED], None, Destination(Way.JOIN, CHAT.id)),
        ([CLOSED, CLOSED_LATER], None, Destination(Way.REOPEN, CLOSED_LATER.id)),
        ([BY_MAIL, CLOSED], None, Destination(Way.REOPEN, CLOSED.id)),
        ([BROUGHT_IN, CLOSED], None, Destination(Way.JOIN, BROUGHT_IN.id)),
        ([BY_MAIL], False, Destination(Way.JOIN, BY_MAIL.id)),
        ([BY_MAIL, OVER], True, Destination(Way.START_LINKED, BY_MAIL.id)),
    ],
)
def test_where_a_message_goes(dialogs, online, destination):
    """`online` is None where nobody may ask for it: it costs a query."""

    def is_service_online():
        assert online is not None, "asked for nothing"
        return online

    for order in itertools.permutations(dialogs):
        assert destination_of(order, is_service_online=is_service_online) == destination


def ages(dialog):
    """Stored moments of closing: none, over by a little (the sweep has not come yet), and still ahead."""
    return [None, dialog.created_at - timedelta(seconds=1), dialog.created_at + timedelta(hours=1)]


@pytest.mark.parametrize("online", [False, True])
@pytest.mark.parametrize("state", State.values)
@pytest.mark.parametrize("by_mail", ["no", "only", "brought in"])
def test_the_api_and_the_action_decide_alike(account, anna, online, state, by_mail):
    """The API decides before the message about its limits, the action under the visitor's lock about the message itself."""
    if online:
        people.go_online(anna)
    for place in range(3):
        visitor = people.make_visitor(account, email="m@mail.example")
        dialog = people.start_dialog(account, visitor=visitor)
        closes_at = ages(dialog)[place]
        is_open = state in {State.QUEUE, State.CHATTING}
        if (state == State.CLOSED) != (closes_at is None) and not (is_open and closes_at is None):
            continue  # no action stores this
        Dialog.objects.filter(pk=dialog.pk).update(
            state=state,
            operator=anna if state == State.CHATTING else None,
            email_only=by_mail != "no",
            in_workspace=by_mail != "only",
            closed_at=None if is_open else dialog.created_at - timedelta(minutes=1),
            closes_at=closes_at,
            wake_at=closes_at,
            last_is_visitors=False,
        )
        service = find_service(account, "support", [])
        standing = [as_of(one, service.now, account.reopen_window) for one in open_or_reopenable(visitor)]
        before = destination_of(standing, is_service_online=lambda service=service: service.is_online)
        written = people.write(visitor)
        assert written.is_new == before.is_start
        assert (written.dialog.pk == dialog.pk) == (before.way in {Way.JOIN, Way.REOPEN})
        assert (written.dialog.continues_id == dialog.pk) == (before.way == Way.START_LINKED)


class TestService:
    def test_unknown_and_archived_names_become_what_exists(self, account):
        """A5."""
        Department.objects.filter(slug="sales").update(archived_at=database_now())
        english, russian = Language.objects.order_by("position")
        asked = {
            ("support", ("ru",)): (Department.objects.get(slug="support").pk, russian.pk),
            ("sales", ("fr", "ru-RU")): (None, russian.pk),
            ("nothing", ("EN_gb", "ru")): (None, english.pk),
            ("", ("fr",)): (None, english.pk),
            ("", ()): (None, english.pk),
        }
        for (department, languages), route in asked.items():
            assert find_service(account, department, languages).route == route

    def test_two_queries_tell_everything(self, account, anna):
        people.go_online(anna)
        with CaptureQueriesContext(connection) as captured:
            service = find_service(account, "support", ["en"])
            assert service.is_online
        assert len(captured) == 2
        assert service.evidence()["candidates"][0]["name"] == "Anna"

    def test_an_account_without_a_language_has_no_service(self, account):
        Language.objects.update(archived_at=database_now())
        with pytest.raises(Language.DoesNotExist):
            find_service(account, "", [])
