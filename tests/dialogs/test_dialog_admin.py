"""Dialogs and visitors in the admin (S3, M8, B2, P11)."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from dialogs.actions.conversation import answer
from dialogs.actions.ledger import record_deliveries
from dialogs.models import Delivery, DeliveryStatus, Dialog, EventKind, Message, MessageKind
from dialogs.reading.evidence import start_sentence
from tests import people
from webim_offline.foundation.database.clock import database_now

LIST = "/admin/dialogs/dialog/"


@pytest.fixture
def browser(client, vera):
    """The supervisor's browser."""
    client.force_login(vera)
    return client


@pytest.fixture
def by_mail(account):
    """A left message that only went by mail (M5)."""
    account.left_messages_email, account.left_messages_in_workspace = "left@north.example", False
    account.save()
    return people.start_dialog(account)


def page(dialog):
    return f"{LIST}{dialog.pk}/change/"


def found(browser, **query):
    return {dialog.number for dialog in browser.get(LIST, query).context["cl"].queryset}


def test_the_list_has_the_promised_columns(browser, account, by_mail):
    body = browser.get(LIST).content.decode()
    for column in ("Number", "Visitor", "Start state", "Current state", "State", "Email-only"):
        assert f">{column}<" in body.replace("\n", ""), column
    assert f"#{by_mail.number}</a>" in body
    assert "Marina" in body


def test_it_is_searched_by_number_and_by_visitor(browser, account):
    first = people.start_dialog(account)
    oleg = people.make_visitor(account, name="Oleg Smirnov", email="oleg@mail.example", phone="79125550147")
    second = people.start_dialog(account, visitor=oleg)
    assert found(browser, q=str(second.number)) == {second.number}
    assert found(browser, q=f" #{first.number} ") == {first.number}
    assert found(browser, q="smirnov") == {second.number}
    assert found(browser, q="OLEG@mail.example") == {second.number}
    assert found(browser, q="79125550147") == {second.number}
    assert found(browser, q="#") == set()
    assert found(browser, q="77777") == set()


def test_it_is_filtered(browser, account, by_mail):
    sales = account.departments.get(slug="sales")
    other = people.start_dialog(account, department="sales")
    assert found(browser, department__id__exact=sales.pk) == {other.number}
    assert found(browser, email_only__exact=1) == {by_mail.number, other.number}
    assert found(browser, start_state__exact="online") == set()
    assert found(browser, state__exact="queue") == {by_mail.number, other.number}


def test_a_dialogs_page_shows_everything_and_no_form(browser, account, anna):
    dialog = people.start_dialog(account, text="Where is <b>my</b> order?")
    answer(dialog.pk, anna, "On its way", key="a")
    now = database_now()
    line = Delivery(
        dialog=dialog, key="k", recipient="left@north.example", status=DeliveryStatus.NO_SERVER, queued_at=now, updated_at=now
    )
    record_deliveries([line])
    Message.objects.create(dialog=dialog, kind=MessageKind.SYSTEM, code="left", at=now, revision=99)
    body = browser.get(page(dialog)).content.decode()
    assert "Where is &lt;b&gt;my&lt;/b&gt; order?" in body
    assert "On its way" in body
    assert "Visitor left the site" in body
    assert "left@north.example" in body
    assert "picked up" in body
    assert 'name="_save"' not in body
    assert "online" in body


def test_it_says_why_the_dialog_started_so(browser, account, by_mail):
    sentence = start_sentence(by_mail)
    assert sentence
    row = browser.get(page(by_mail)).context["adminform"]
    assert sentence in [field.contents() for fieldset in row for line in fieldset for field in line]


def test_long_dialogs_are_bounded_and_cost_the_same_queries(browser, account):
    dialog = people.start_dialog(account)

    def queries():
        with CaptureQueriesContext(connection) as captured:
            response = browser.get(page(dialog))
        return len(captured), response

    queries()
    before, _ = queries()
    now = database_now()
    Message.objects.bulk_create(
        Message(dialog=dialog, kind=MessageKind.VISITOR, visitor=dialog.visitor, text=f"line {n:03}", at=now, revision=100 + n)
        for n in range(300)
    )
    after, response = queries()
    assert after == before
    shown = [message.text for message in response.context["inline_admin_formsets"][0].formset.get_queryset()]
    assert shown == [f"line {n:03}" for n in range(100, 300)]


class TestBringingIntoTheWorkspace:
    def bring(self, browser, *dialogs):
        data = {"action": "bring", "_selected_action": [dialog.pk for dialog in dialogs]}
        return browser.post(LIST, data, follow=True).content.decode()

    def test_an_email_only_dialog_enters_and_it_is_recorded(self, browser, by_mail, vera):
        assert "1 dialog is in the workspace now" in self.bring(browser, by_mail)
        by_mail.refresh_from_db()
        assert by_mail.in_workspace
        assert by_mail.email_only, "the decision of the start never changes (S2)"
        assert by_mail.events.get(kind=EventKind.ENTERED_WORKSPACE).actor == vera
        assert "Vera brought this left message into the workspace" in browser.get(page(by_mail)).content.decode()

    def test_one_that_is_there_already_is_left_alone(self, browser, account):
        dialog = people.start_dialog(account)
        assert "already" in self.bring(browser, dialog)
        assert not dialog.events.filter(kind=EventKind.ENTERED_WORKSPACE).exists()

    def test_a_closed_one_is_refused_with_its_number(self, browser, by_mail):
        Dialog.objects.filter(pk=by_mail.pk).update(state="closed")
        assert f"#{by_mail.number}: This dialog is closed." in self.bring(browser, by_mail)

    def test_an_operator_cannot(self, client, anna, by_mail):
        client.force_login(anna)
        client.post(LIST, {"action": "bring", "_selected_action": [by_mail.pk]})
        by_mail.refresh_from_db()
        assert not by_mail.in_workspace


def test_a_visitors_page_lists_the_dialogs(browser, account):
    dialog = people.start_dialog(account)
    body = browser.get(f"/admin/dialogs/visitor/{dialog.visitor_id}/change/").content.decode()
    assert f'<a href="{page(dialog)}">#{dialog.number}</a>' in body
    assert "marina@mail.example" in body


def test_a_visitor_without_a_name_is_a_visitor(browser, account):
    people.start_dialog(account, visitor=people.make_visitor(account))
    assert ">Visitor<" in browser.get("/admin/dialogs/visitor/").content.decode()
