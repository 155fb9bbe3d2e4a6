"""The outbox in the admin: read-only, one's own account only, and a second try by hand (X1, M3)."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from notifications.models import DeliveryAttempt, EmailStatus, OutgoingEmail
from notifications.tasks import send_letters
from tests import people
from tests.notifications.mail import after_window

LIST = reverse("admin:notifications_outgoingemail_changelist")


def page(letter: OutgoingEmail) -> str:
    return reverse("admin:notifications_outgoingemail_change", args=[letter.pk])


@pytest.fixture
def support(db):
    return people.make_operator(None, "help")


@pytest.fixture
def letter(account):
    people.start_dialog(account)
    [letter] = after_window()
    return letter


def act(client, *letters, **more):
    data = {"action": "try_again_now", "_selected_action": [letter.pk for letter in letters], **more}
    return client.post(LIST, data, follow=True)


def words(response) -> str:
    return " ".join(str(message) for message in response.context["messages"])


def test_an_accepted_letter_reads_sent(client, vera, letter, running):
    send_letters()
    client.force_login(vera)
    html = client.get(LIST).content.decode()
    assert '<td class="field-status">sent</td>' in html
    assert "left@north.example" in html
    assert f"#{letter.dialog.number}</a>" in html


def test_a_supervisor_sees_the_own_accounts_letters_only(client, letter, other_account):
    supervisor = people.make_operator(other_account, "olga", role="supervisor")
    client.force_login(supervisor)
    assert "left@north.example" not in client.get(LIST).content.decode()
    assert client.get(page(letter)).status_code == 302
    assert "left@north.example" not in client.get(LIST, {"q": str(letter.dialog.number)}).content.decode()
    assert act(client, letter, confirmed="1").status_code == 200
    letter.refresh_from_db()
    assert letter.give_up_at == OutgoingEmail.objects.get().give_up_at
    assert client.get(LIST, {"dialog__visitor__name": "Marina"}).status_code in {302, 400}


def test_an_operator_has_no_admin(client, anna, letter):
    client.force_login(anna)
    assert client.get(LIST).status_code == 302


def test_nothing_can_be_written_by_hand(client, support, letter):
    client.force_login(support)
    response = client.get(page(letter))
    assert b'name="recipient"' not in response.content
    assert b"_save" not in response.content
    assert client.post(page(letter), {"recipient": "thief@evil.example"}).status_code == 403
    assert client.get(reverse("admin:notifications_outgoingemail_add")).status_code == 403
    assert client.post(reverse("admin:notifications_outgoingemail_delete", args=[letter.pk]), {"post": "yes"}).status_code == 403
    letter.refresh_from_db()
    assert letter.recipient == "left@north.example"


def test_a_letters_page_shows_its_words_as_text_and_its_attempts(client, vera, account, running):
    people.start_dialog(account, text="<script>alert(1)</script>")
    running.host.on_rcpt = lambda _: "450 <b>come later</b>"
    [letter] = after_window()
    send_letters()
    client.force_login(vera)
    html = client.get(page(letter)).content.decode()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "<script>alert" not in html
    assert "450 &lt;b&gt;come later" in html
    assert "not taken now" in html


@pytest.mark.parametrize(
    ("term", "found"),
    [("left@north", 1), ("#{number}", 1), ("{number}", 1), ("999", 0), ("9" * 30, 0), ("nobody@", 0), ("²", 0), ("#", 0)],
)
def test_search_by_recipient_and_number(client, vera, letter, term, found):
    client.force_login(vera)
    response = client.get(LIST, {"q": term.format(number=letter.dialog.number)})
    assert response.status_code == 200
    assert response.context["cl"].queryset.count() == found


def test_the_list_takes_the_same_queries_for_one_letter_and_many(client, vera, account, letter):
    client.force_login(vera)

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert client.get(LIST).status_code == 200
        return len(captured)

    queries()
    one = queries()
    for _ in range(10):
        people.start_dialog(account)
    after_window()
    assert queries() == one


class TestTryAgain:
    @pytest.fixture
    def refused(self, letter, running):
        running.host.on_rcpt = lambda _: "550 mailbox is full"
        send_letters()
        running.host.on_rcpt = lambda _: "250 OK"
        letter.refresh_from_db()
        assert letter.status == EmailStatus.REFUSED
        return letter

    def test_it_asks_first_and_then_sends(self, client, vera, refused, running):
        client.force_login(vera)
        asked = act(client, refused)
        assert "is handed to the mail server again" in asked.content.decode()
        send_letters()
        assert not running.host.accepted
        done = act(client, refused, confirmed="1")
        assert words(done) == "1 letter is tried again now."
        send_letters()
        refused.refresh_from_db()
        assert refused.status == EmailStatus.SENT
        assert DeliveryAttempt.objects.filter(email=refused).count() == 2

    def test_an_accepted_letter_is_refused(self, client, vera, letter, running):
        send_letters()
        client.force_login(vera)
        assert "an accepted letter is never sent again" in words(act(client, letter, confirmed="1"))
        send_letters()
        assert len(running.host.accepted) == 1

    def test_it_warns_of_a_second_arrival(self, client, vera, letter):
        OutgoingEmail.objects.update(status=EmailStatus.UNKNOWN, next_try_at=None)
        client.force_login(vera)
        assert "may arrive a second time" in act(client, letter).content.decode()

    def test_an_unknown_letter_is_tried_once_more_before_it_is_unknown_again(self, client, vera, letter, running):
        OutgoingEmail.objects.update(status=EmailStatus.UNKNOWN, next_try_at=None, lost_answers=3)
        client.force_login(vera)
        act(client, letter, confirmed="1")
        running.host.cut_after_data = lambda _: True
        send_letters()
        letter.refresh_from_db()
        assert letter.status == EmailStatus.UNKNOWN
        assert running.host.seen == {letter.message_id: 1}
