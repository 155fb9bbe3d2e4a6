"""Which letters are written, when, to whom and with what in them (M1, M2, M5, M7)."""

import socket

import pytest

from dialogs.actions.assignment_by_hand import take
from dialogs.actions.conversation import Contacts, answer, bring_into_workspace, close_by_visitor, leave_contacts
from dialogs.models import Delivery, DeliveryStatus, Dialog, DialogEvent, Duty
from notifications.models import LetterKind, OutgoingEmail
from notifications.outgoing import letters
from notifications.tasks import write_letters
from operators.models import Department, Language
from tests import people
from tests.notifications.conftest import LEFT
from tests.notifications.mail import after_window
from tests.passing_time import let_pass
from webim_offline.foundation.environment import MailServer


def unhandled(dialog: Dialog) -> int:
    """How many events of the dialog nobody has considered yet, by the column that former releases read; a duty says the same."""
    events = DialogEvent.objects.filter(dialog=dialog, handled_at=None).count()
    assert bool(events) == dialog.duties.exists()
    return events


@pytest.fixture
def visitor(account):
    return people.make_visitor(account, name="Marina", email="marina@mail.example", phone="+7 912 555-01-47")


@pytest.fixture
def mail_only(account):
    """Support staff keep left messages out of the workspace (M5)."""
    account.left_messages_in_workspace = False
    account.save(update_fields=["left_messages_in_workspace"])
    return account


class TestTheFirstLetter:
    def test_is_written_fifteen_seconds_after_the_first_message(self, account, visitor):
        dialog = people.write(visitor).dialog
        let_pass(14)
        write_letters()
        assert not OutgoingEmail.objects.exists()
        let_pass(1)
        write_letters()
        letter = OutgoingEmail.objects.get()
        assert (letter.recipient, letter.kind, letter.dialog) == (LEFT, LetterKind.FIRST, dialog)
        assert unhandled(dialog) == 0

    def test_holds_everything_the_company_needs(self, account, visitor):
        account.time_zone = "Europe/Moscow"
        account.save(update_fields=["time_zone"])
        visitor.own_fields = {"Order": "88240"}
        visitor.save(update_fields=["own_fields"])
        dialog = people.write(
            visitor, "Where is my order?", language="ru", page_url="https://shop.example/cart", page_title="Cart"
        ).dialog
        [letter] = after_window()
        moscow = dialog.created_at.strftime("%Y")
        for part in (letter.text, letter.html):
            for fact in (
                f"#{dialog.number}",
                "Marina",
                "marina@mail.example",
                "+7 912 555-01-47",
                "Order",
                "88240",
                "Support",
                "Russian",
                "Where is my order?",
                "https://shop.example/cart",
                "Cart",
                "Europe/Moscow, UTC+3",
                moscow,
                "Started offline: nobody in Support speaks Russian.",
                f"https://chat.north.example/workspace/{dialog.number}/",
            ):
                assert fact in part.replace("\n", " ").replace("</span>", ""), fact
        assert letter.subject == f"Left message #{dialog.number}: Marina"
        assert letter.message_id.endswith("@chat.north.example>")

    def test_carries_all_messages_of_the_window(self, account, visitor):
        people.write(visitor, "First")
        people.write(visitor, "Second")
        [letter] = after_window()
        assert letter.text.index("First") < letter.text.index("Second")
        write_letters()
        assert OutgoingEmail.objects.count() == 1

    def test_says_a_pick_up_that_came_before_it(self, account, visitor, anna):
        dialog = people.write(visitor).dialog
        take(dialog.pk, anna)
        write_letters()
        assert not OutgoingEmail.objects.exists()  # a pick-up does not hurry the first letter
        [letter] = after_window()
        assert letter.kind == LetterKind.FIRST
        assert "Anna has taken this dialog" in letter.text
        people.write(visitor, "Thank you")
        assert after_window() == []

    def test_is_written_for_a_dialog_that_was_closed_meanwhile(self, account, visitor):
        dialog = people.write(visitor).dialog
        close_by_visitor(visitor.pk, dialog.number)
        [letter] = after_window()
        assert letter.kind == LetterKind.FIRST
        assert unhandled(dialog) == 0

    def test_goes_to_each_address(self, account, visitor):
        account.left_messages_email = f"{LEFT}, second@north.example"
        account.save(update_fields=["left_messages_email"])
        people.write(visitor)
        letters = after_window()
        assert [letter.recipient for letter in letters] == [LEFT, "second@north.example"]
        assert len({letter.message_id for letter in letters}) == 2

    def test_goes_to_the_departments_own_address(self, account, visitor):
        Department.objects.filter(account=account, slug="sales").update(left_messages_email="sales@north.example")
        people.write(visitor, department="sales")
        assert [letter.recipient for letter in after_window()] == ["sales@north.example"]

    def test_speaks_the_accounts_first_language(self, account, visitor):
        Language.objects.filter(account=account, code="ru").update(position=0)
        Language.objects.filter(account=account, code="en").update(position=1)
        people.write(visitor)
        [letter] = after_window()
        assert '<html lang="ru">' in letter.html

    def test_speaks_english_where_we_do_not_speak_the_accounts_language(self, visitor, account):
        Language.objects.create(account=account, code="de", position=0)
        Language.objects.filter(account=account).exclude(code="de").update(position=5)
        people.write(visitor)
        [letter] = after_window()
        assert "Left message" in letter.subject

    def test_a_dialog_that_started_online_is_never_mailed(self, account, visitor, anna):
        people.go_online(anna)
        dialog = people.write(visitor).dialog
        write_letters()
        assert unhandled(dialog) == 0  # at once, not after the window
        assert after_window() == []
        assert not Delivery.objects.exists()

    def test_the_ledger_has_a_line_for_each_recipient(self, account, visitor):
        dialog = people.write(visitor).dialog
        after_window()
        line = Delivery.objects.get(dialog=dialog)
        assert (line.recipient, line.status) == (LEFT, DeliveryStatus.QUEUED)

    def test_without_an_address_the_ledger_says_so(self, account, visitor):
        account.left_messages_email = ""
        account.save(update_fields=["left_messages_email"])
        dialog = people.write(visitor).dialog
        assert after_window() == []
        assert Delivery.objects.get(dialog=dialog).status == DeliveryStatus.NO_ADDRESS
        assert unhandled(dialog) == 0
        people.write(visitor, "Anyone?")
        assert after_window() == []
        assert Delivery.objects.filter(dialog=dialog).count() == 1

    def test_an_address_that_is_set_later_gets_the_whole_dialog(self, account, visitor):
        account.left_messages_email = ""
        account.save(update_fields=["left_messages_email"])
        people.write(visitor, "First")
        after_window()
        account.left_messages_email = LEFT
        account.save(update_fields=["left_messages_email"])
        people.write(visitor, "Second")
        [letter] = after_window()
        assert letter.kind == LetterKind.FIRST
        assert "First" in letter.text
        assert "Second" in letter.text


class TestReplies:
    @pytest.fixture
    def dialog(self, account, visitor):
        dialog = people.write(visitor, "Where is my order?").dialog
        after_window()
        return dialog

    def test_a_later_message_follows_in_the_same_thread(self, dialog, visitor):
        first = OutgoingEmail.objects.get()
        people.write(visitor, "It is number 88240")
        people.write(visitor, "Sent on Monday")
        let_pass(14)
        write_letters()
        assert OutgoingEmail.objects.count() == 1
        [second] = after_window()
        assert second.kind == LetterKind.FOLLOW_UP
        assert second.thread == [first.message_id]
        assert second.subject == f"Re: {first.subject}"
        assert "88240" in second.text
        assert "Monday" in second.text
        assert "Where is my order?" not in second.text  # only what is new, nothing quoted
        assert "marina@mail.example" not in second.text
        people.write(visitor, "Hello?")
        [third] = after_window()
        assert third.thread == [first.message_id, second.message_id]
        assert third.subject == f"Re: {first.subject}"

    def test_each_recipient_has_an_own_thread(self, dialog, visitor, account):
        account.left_messages_email = f"new@north.example,{LEFT}"
        account.save(update_fields=["left_messages_email"])
        people.write(visitor, "More")
        new, known = after_window()
        assert (new.kind, new.thread) == (LetterKind.FIRST, [])
        assert "Where is my order?" in new.text
        assert (known.recipient, known.kind, len(known.thread)) == (LEFT, LetterKind.FOLLOW_UP, 1)
        people.write(visitor, "And more")
        again_new, again_known = sorted(after_window(), key=lambda letter: letter.recipient != "new@north.example")
        assert again_new.thread == [new.message_id]
        assert len(again_known.thread) == 2

    def test_the_thread_keeps_its_first_letter_however_long_it_grows(self, dialog, visitor):
        first = OutgoingEmail.objects.get()
        for place in range(12):
            people.write(visitor, f"Message {place}")
            [letter] = after_window()
        assert letter.thread[0] == first.message_id
        assert len(letter.thread) == letters.LONGEST_THREAD

    def test_the_pick_up_is_said_in_one_last_reply(self, dialog, visitor, anna):
        people.write(visitor, "One more thing")
        take(dialog.pk, anna)
        write_letters()  # at once: whoever reads mail must not answer too
        letter = OutgoingEmail.objects.get(kind=LetterKind.PICKED_UP)
        assert "Anna has taken this dialog" in letter.text
        assert "One more thing" in letter.text
        answer(dialog.pk, anna, "On its way", key="a1")
        people.write(visitor, "Thank you")
        assert after_window() == []
        assert unhandled(dialog) == 0

    def test_the_pick_up_reply_leaves_out_what_was_written_after_it(self, dialog, visitor, anna):
        take(dialog.pk, anna)
        people.write(visitor, "Private to Anna")
        write_letters()
        letter = OutgoingEmail.objects.get(kind=LetterKind.PICKED_UP)
        assert "Private to Anna" not in letter.text

    def test_contacts_left_later_are_told_once(self, dialog, visitor):
        leave_contacts(visitor.pk, Contacts(phone="+44 20 7946 0000"))
        [letter] = after_window()
        assert "+44 20 7946 0000" in letter.text
        assert "marina@mail.example" not in letter.text
        leave_contacts(visitor.pk, Contacts(phone="+44 20 7946 0000"))
        assert after_window() == []

    def test_an_address_taken_out_of_the_settings_gets_nothing_more(self, dialog, visitor, account):
        account.left_messages_email = "other@north.example"
        account.save(update_fields=["left_messages_email"])
        people.write(visitor, "More")
        assert [letter.recipient for letter in after_window()] == ["other@north.example"]


class TestMailOnly:
    def test_the_letter_links_to_no_workspace_and_says_why(self, mail_only, visitor):
        dialog = people.write(visitor).dialog
        [letter] = after_window()
        assert not dialog.in_workspace
        assert "/workspace/" not in letter.text + letter.html
        assert "only goes by mail" in letter.text

    def test_follow_ups_go_on(self, mail_only, visitor):
        people.write(visitor, "First")
        after_window()
        for place in range(3):
            people.write(visitor, f"Message {place}")
            [letter] = after_window()
            assert letter.kind == LetterKind.FOLLOW_UP

    def test_once_in_the_workspace_and_picked_up_the_mail_ends(self, mail_only, visitor, anna, vera):
        dialog = people.write(visitor).dialog
        after_window()
        bring_into_workspace(dialog.pk, actor=vera)
        people.write(visitor, "Hello?")
        [letter] = after_window()
        assert f"/workspace/{dialog.number}/" in letter.text
        take(dialog.pk, anna)
        write_letters()
        assert OutgoingEmail.objects.filter(kind=LetterKind.PICKED_UP).count() == 1
        people.write(visitor, "Thanks")
        assert after_window() == []

    def test_changing_the_switch_later_moves_nothing(self, account, visitor):
        dialog = people.write(visitor).dialog
        account.left_messages_in_workspace = False
        account.save(update_fields=["left_messages_in_workspace"])
        [letter] = after_window()
        assert f"/workspace/{dialog.number}/" in letter.text

    def test_without_any_address_the_dialog_comes_into_the_workspace(self, mail_only, visitor):
        dialog = people.write(visitor).dialog
        mail_only.left_messages_email, mail_only.left_messages_in_workspace = "", True
        mail_only.save(update_fields=["left_messages_email", "left_messages_in_workspace"])
        after_window()
        dialog.refresh_from_db()
        assert dialog.in_workspace
        assert dialog.messages.get(code="entered_undelivered").params["undelivered"] == "no_address"


def test_writing_twice_writes_once(account, visitor):
    people.write(visitor)
    let_pass(15)
    duty = Duty.objects.get()
    write_letters()
    assert not Duty.objects.exists()
    DialogEvent.objects.update(handled_at=None)
    duty.save(force_insert=True)  # as if the first run had been forgotten
    write_letters()
    assert OutgoingEmail.objects.count() == 1


def test_a_dialog_that_cannot_be_rendered_holds_nobody_up(account, visitor, monkeypatch):
    bad = people.write(visitor).dialog
    good = people.start_dialog(account)
    render = letters.compose

    def fails_for_one(dialog, *args, **kwargs):
        if dialog.pk == bad.pk:
            raise RuntimeError("a template is broken")
        return render(dialog, *args, **kwargs)

    monkeypatch.setattr(letters, "compose", fails_for_one)
    assert [letter.dialog for letter in after_window()] == [good]
    assert unhandled(bad) == 1
    write_letters()
    monkeypatch.undo()
    assert after_window() == []  # a minute after it failed, not with every run
    let_pass(30)
    assert [letter.dialog for letter in after_window()] == [bad]


def test_a_run_with_nothing_due_only_reads(account, visitor, django_assert_max_num_queries):
    people.write(visitor)
    with django_assert_max_num_queries(3) as captured:
        write_letters()
    assert all(query["sql"].startswith("SELECT") for query in captured.captured_queries)


def test_the_number_of_queries_does_not_grow_with_the_letters_before(account, visitor, django_assert_max_num_queries):
    people.write(visitor)
    after_window()
    for place in range(5):
        people.write(visitor, f"Message {place}")
        after_window()
    people.write(visitor, "Last")
    let_pass(15)
    with django_assert_max_num_queries(25):
        write_letters()


def test_a_visitors_request_touches_no_network(account, visitor, settings, monkeypatch):
    """The mail server hangs or is away: the visitor does not notice."""
    settings.MAIL_SERVER = MailServer("mail.north.example", 25)

    def refuse(*args, **kwargs):
        raise AssertionError("a visitor's message must not wait for mail")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert people.write(visitor).is_new
    assert not OutgoingEmail.objects.exists()
