"""What messages cost the database and Redis, and what is kept in a process for a second."""

import json
import secrets
from itertools import count

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.utils import timezone

from dialogs.actions import assignment_by_hand, conversation
from dialogs.models import Dialog, Message
from operators import known_accounts
from operators.actions.settings import change_settings
from operators.known_accounts import forget_known_accounts, known_account
from operators.models import Account, ContactField, Requirement
from tests import people
from tests.costs import counted

pytestmark = pytest.mark.django_db
POSTGRESQL = connection.vendor == "postgresql"
serial = count(1)


class Visit:
    """A page of a visitor's browser, by the requests of the widget."""

    def __init__(self, account):
        self.client, self.token = Client(), ""
        self.mine = {"account": account.slug, "visit": f"page-{next(serial):08}", "language": "en", "department": "support"}

    def ask(self, verb, **body):
        given = self.mine | {"token": self.token} | body
        return self.client.post(f"/widget/api/{verb}", json.dumps(given), content_type="text/plain")

    def open(self):
        self.token = self.ask("session").json()["token"]

    def write(self, text="Where is my order?", **body):
        contacts = {"email": "marina@mail.example"}
        return self.ask("messages", text=text, key=f"key-{next(serial):08}", contacts=contacts, **body)


@pytest.fixture
def known(account, anna):
    """The account after a first message: what a process finds out once, it knows."""
    first = Visit(account)
    first.open()
    first.write()
    return account


class TestLeftMessage:
    def test_of_somebody_new(self, known):
        with counted() as cost:
            visit = Visit(known)
            visit.open()
            answer = visit.write()
        assert answer.status_code == 201
        assert cost.statements <= 16, cost.log
        if settings.REDIS_URL:
            assert cost.redis <= 2
        if POSTGRESQL:
            assert cost.messages <= 4, cost.log

    def test_when_the_account_has_to_be_read_as_well(self, known):
        forget_known_accounts()
        with counted() as cost:
            visit = Visit(known)
            visit.open()
            visit.write()
        assert cost.statements <= 16, cost.log

    def test_a_second_message_joins(self, known):
        visit = Visit(known)
        visit.open()
        visit.write()
        with counted() as cost:
            answer = visit.write("And the cups?")
        assert [message["text"] for message in answer.json()["conversation"]["messages"]] == ["Where is my order?", "And the cups?"]
        assert cost.statements <= 14, cost.log
        if POSTGRESQL:
            assert cost.messages <= 4, cost.log

    def test_another_language_than_last_time_is_asked_for_anew(self, known):
        """The candidates travel with what says whose they are; a guess that was wrong is no answer."""
        somebody = people.make_operator(known, "olga", languages=("ru",), online=True)
        for language, online in (("en", False), ("ru", True), ("en", False)):
            visit = Visit(known)
            visit.mine["language"] = language
            visit.open()
            number = visit.write().json()["number"]
            dialog = Dialog.objects.get(account=known, number=number)
            assert (dialog.start_state == "online") is online
            names = [candidate["name"] for candidate in dialog.evidence["candidates"]]
            assert (somebody.name in names) is online

    def test_a_department_that_was_archived_since_is_none(self, known):
        department = known.departments.get(slug="support")
        department.archived_at = timezone.now()
        department.save()
        visit = Visit(known)
        visit.open()
        number = visit.write().json()["number"]
        assert Dialog.objects.get(account=known, number=number).department is None

    def test_numbers_have_no_gaps_where_a_message_is_refused(self, known):
        change_settings(known, {"contact_phone": "required"}, actor=None)
        refused = Visit(known)
        refused.open()
        assert refused.ask("messages", text="Hello", key="key-refused-1", from_form=True).status_code == 400
        visit = Visit(known)
        visit.open()
        assert visit.write().json()["number"] == 2

    def test_the_answer_is_what_a_reading_tells(self, known):
        visit = Visit(known)
        visit.open()
        told = visit.write().json()["conversation"]
        assert told == visit.ask("conversation", number=0, after=0).json()["conversation"]


class TestAnswer:
    @pytest.fixture
    def browser(self, known, boris):
        browser = Client()
        browser.force_login(boris)
        return browser

    @pytest.fixture
    def dialog(self, known, boris):
        dialog = people.start_dialog(known)
        assignment_by_hand.take(dialog.pk, boris, confirmed=True)
        dialog.refresh_from_db()
        return dialog

    def answer(self, browser, dialog, **data):
        form = {"text": "Yes.", "key": secrets.token_hex(8)} | data
        return browser.post(f"/workspace/{dialog.number}/answer/", form, headers={"X-Requested-With": "fetch"})

    def test_it_brings_back_what_the_page_does_not_show(self, browser, dialog):
        self.answer(browser, dialog, after=dialog.revision)
        with counted() as cost:
            answer = self.answer(browser, dialog, after=dialog.revision, text="It left <yesterday>.")
        html = answer.content.decode()
        assert 'id="dialog"' not in html
        assert html.index("Yes.") < html.index("It left &lt;yesterday&gt;.")
        assert "Where is my order?" not in html
        assert float(answer["X-Now"]) > 0
        assert cost.statements <= 17, cost.log
        if POSTGRESQL:
            assert cost.messages <= 7, cost.log

    def test_what_came_meanwhile_stands_before_it(self, browser, dialog):
        shown = dialog.revision
        people.write(dialog.visitor, "Are you there?")
        html = self.answer(browser, dialog, after=shown).content.decode()
        assert html.index("Are you there?") < html.index("Yes.")

    def test_the_whole_dialog_where_much_has_come_since_or_nothing_is_said(self, browser, dialog):
        for number in range(60):
            people.write(dialog.visitor, f"Question {number}")
        for form in ({"after": 1}, {}, {"after": "x"}):
            html = self.answer(browser, dialog, **form).content.decode()
            assert 'id="dialog"' in html

    def test_the_whole_dialog_where_the_answer_picks_it_up(self, browser, known):
        waiting = people.start_dialog(known)
        html = self.answer(browser, waiting, after=waiting.revision, confirmed="1").content.decode()
        assert 'data-mode="mine"' in html

    def test_a_key_that_came_before_sends_nothing(self, browser, dialog):
        for _ in range(2):
            answer = self.answer(browser, dialog, key="the-same-key", after=dialog.revision)
            assert answer.content.decode().count("Yes.") == 1
        assert Message.objects.filter(dialog=dialog, kind="operator").count() == 1

    def test_another_accounts_dialog_is_not_found(self, browser, other_account):
        theirs = people.start_dialog(other_account)
        theirs.__class__.objects.filter(pk=theirs.pk).update(number=4711)
        theirs.refresh_from_db()
        assert self.answer(browser, theirs, after=0).status_code == 404
        assert not Message.objects.filter(dialog=theirs, kind="operator").exists()

    def test_taking(self, browser, known):
        waiting = [people.start_dialog(known) for _ in range(2)]
        headers = {"X-Requested-With": "fetch"}
        browser.post(f"/workspace/{waiting[0].number}/take/", {"confirmed": "1"}, headers=headers)
        with counted() as cost:
            answer = browser.post(f"/workspace/{waiting[1].number}/take/", {"confirmed": "1"}, headers=headers)
        assert answer.status_code == 200
        assert cost.statements <= 22, cost.log
        if POSTGRESQL:
            assert cost.messages <= 11, cost.log


class TestKnownAccounts:
    @pytest.fixture
    def later(self, monkeypatch):
        """Moves this process's steady clock on."""
        offset = [0.0]
        real = known_accounts.steady_now
        monkeypatch.setattr(known_accounts, "steady_now", lambda: real() + offset[0])

        def move(seconds):
            offset[0] += seconds

        return move

    def test_an_account_is_read_once_a_second(self, account, later, django_assert_num_queries):
        known_account(account.slug)
        Account.objects.filter(pk=account.pk).update(name="Renamed")
        with django_assert_num_queries(0):
            assert known_account(account.slug).account.name == account.name
        later(1.1)
        with django_assert_num_queries(1):
            assert known_account(account.slug).account.name == "Renamed"

    @pytest.mark.django_db(transaction=True)
    def test_a_change_made_in_this_process_is_known_at_once(self):
        account = people.make_account()
        assert known_account(account.slug).account.widget_offline_mode != "hidden"
        change_settings(account, {"widget_offline_mode": "hidden"}, actor=None)
        assert known_account(account.slug).account.widget_offline_mode == "hidden"

    def test_its_fields_come_with_it(self, account):
        field = ContactField.objects.create(account=account, label="Order", requirement=Requirement.REQUIRED)
        known = known_account(account.slug)
        assert known.account == account
        assert [(one.pk, one.label) for one in known.contact_fields] == [(field.pk, "Order")]

    def test_one_without_fields_has_none(self, account):
        assert known_account(account.slug).contact_fields == ()

    def test_another_accounts_settings_are_never_told(self, account, other_account):
        assert known_account(account.slug).account == account
        assert known_account(other_account.slug).account == other_account
        assert known_account(account.slug).account == account

    def test_one_that_is_not_there_or_archived_is_not_kept(self, account, later):
        assert known_account("nobody") is None
        people.make_account("nobody")
        assert known_account("nobody") is not None
        Account.objects.filter(pk=account.pk).update(archived_at=timezone.now())
        assert known_account(account.slug) is None

    def test_memory_is_bounded(self, account, other_account, monkeypatch):
        monkeypatch.setattr(known_accounts, "MOST_KEPT", 1)
        known_account(account.slug)
        known_account(other_account.slug)
        assert list(known_accounts._kept) == [other_account.slug]

    def test_an_archived_account_takes_no_message_although_it_is_still_kept(self, account):
        visit = Visit(account)
        visit.open()
        Account.objects.filter(pk=account.pk).update(archived_at=timezone.now())
        answer = visit.write()
        assert answer.status_code == 404
        assert answer.json()["detail"] == "There is no such account."
        assert not Dialog.objects.exists()

    def test_where_left_messages_go_is_decided_by_what_is_stored(self, account):
        """M5: never by what is kept."""
        visit = Visit(account)
        visit.open()
        only_by_mail = {"left_messages_email": "left@north.example", "left_messages_in_workspace": False}
        Account.objects.filter(pk=account.pk).update(**only_by_mail)  # by another process
        visit.write()
        assert Dialog.objects.get().email_only

    def test_a_closed_dialog_is_reopened_for_as_long_as_is_stored(self, account):
        visit = Visit(account)
        visit.open()
        visit.write()
        conversation.close_by_visitor(Dialog.objects.get().visitor_id, 1)
        change_settings(account, {"reopen_window": 0}, actor=None)
        assert visit.write("Again").json()["number"] == 2
