"""Why is it here? The whole timeline of a dialog: what is told together, what is left out, who sees it (B3, P11, X1, X3)."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation

from dialogs.actions.assignment_by_hand import take
from dialogs.actions.conversation import (
    Contacts,
    answer,
    bring_into_workspace,
    close_by_operator,
    close_by_visitor,
    leave_contacts,
)
from dialogs.actions.devices import remove_token, set_token
from dialogs.events import read_strictly
from dialogs.models import DeliveryStatus, Dialog, DialogEvent, EventKind
from dialogs.reading.lengths import NO_BREAK
from dialogs.reading.timeline import LATEST, MOST_EVENTS, MOST_UNFOLDED, lines_of, timeline
from dialogs.tasks import advance_dialogs, apply_setting_changes
from notifications.tasks import send_letters, write_letters
from operators.actions.settings import change_settings
from operators.models import Operator, Role
from tests import people
from tests.notifications.mail import RunningHost
from tests.passing_time import let_pass

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
VERA = Operator(pk=1, account_id=1, name="Vera", role=Role.SUPERVISOR)
ANNA = Operator(pk=2, account_id=1, name="Anna")
BORIS = Operator(pk=3, account_id=1, name="Boris")
LEFT = "left@north.example"


@pytest.fixture(autouse=True)
def english():
    with translation.override("en"):
        yield


def event(kind, minutes=0, actor=None, **data) -> DialogEvent:
    read_strictly(kind, data)
    return DialogEvent(kind=kind, at=NOON + timedelta(minutes=minutes), actor=actor, data=data)


def letter(status, minutes=0, to=LEFT, letter="1", **data) -> DialogEvent:
    return event(EventKind.DELIVERY, minutes, key=f"{letter}:{to}", recipient=to, status=status.value, after=60 * minutes, **data)


def told(events, reader=VERA):
    """(minutes after noon, the last of several, sentence) of each line."""
    return [
        (
            (line.at - NOON) // timedelta(minutes=1),
            (line.until - NOON) // timedelta(minutes=1) if line.until else None,
            line.sentence.replace(NO_BREAK, " "),
        )
        for line in lines_of(events, reader)
    ]


def absence(minutes, away=60):
    return [event(EventKind.VISITOR_LEFT, minutes), event(EventKind.VISITOR_CAME_BACK, minutes + away / 60, away=away)]


class TestWhatIsToldTogether:
    def test_an_absence_that_moved_nothing_is_one_line(self):
        noticed = [
            event(EventKind.VISITOR_LEFT, 10),
            event(EventKind.LEFT_NOTICE, 12, away=120),
            event(EventKind.VISITOR_CAME_BACK, 15, away=300),
            event(EventKind.RETURNED, 15),
        ]
        assert told(absence(1, 45)) == [(1, None, "The visitor left the site and came back after 45 seconds.")]
        assert told(noticed) == [(10, None, "The visitor left the site and came back after 5 minutes.")]

    def test_many_short_absences_are_one_line_with_their_number(self):
        events = [row for n in range(14) for row in absence(n * 3)]
        assert told(events) == [(0, 40, "The visitor left the site and came back 14 times.")]
        with translation.override("ru"):
            assert told(events)[0][2] == "Посетитель покинул сайт и вернулся 14 раз."

    def test_an_absence_that_moved_the_dialog_is_told_step_by_step(self):
        events = [
            event(EventKind.VISITOR_LEFT, 0),
            event(EventKind.LEFT_NOTICE, 2, away=120),
            event(EventKind.WENT_OFFLINE, 20, away=1200, queue="offline"),
            event(EventKind.VISITOR_CAME_BACK, 30, away=1800, queue="general"),
            event(EventKind.RETURNED, 30),
        ]
        assert [(at, sentence.partition(":")[0]) for at, _, sentence in told(events)] == [
            (0, "The visitor left the site."),
            (2, "“Visitor left the site” was written into the dialog"),
            (20, "Moved to Offline inquiries"),
            (30, "Moved to General queue"),
        ]

    def test_an_absence_that_lasts_is_not_told_as_over(self):
        assert told([*absence(0), event(EventKind.VISITOR_LEFT, 5)]) == [
            (0, None, "The visitor left the site and came back after 1 minute."),
            (5, None, "The visitor left the site."),
        ]

    def test_what_happened_within_an_absence_stands_at_its_place(self):
        left, back = absence(0, 600)
        assert [sentence for _, _, sentence in told([left, event(EventKind.PICKED_UP, 5, ANNA), back])] == [
            "The visitor left the site.",
            "Anna took the dialog.",
            "The visitor came back after 10 minutes.",
        ]

    @pytest.mark.parametrize(
        ("who", "english", "russian"),
        [
            ("v", "The visitor wrote again.", "Посетитель написал ещё раз."),
            ("vvv", "The visitor wrote 3 messages.", "Посетитель написал 3 сообщения."),
            ("a", "Anna answered.", "Anna: ответ посетителю."),
            ("aa", "2 answers from Anna.", "2 ответа посетителю: Anna."),
            ("y", "You answered.", "Вы ответили."),
            (
                "vavyvvb",
                "Conversation with Anna, you and Boris: 7 messages.",
                "Переписка, 7 сообщений; отвечали: Anna, вы и Boris.",
            ),
            ("vy" * 10 + "v", "Conversation with you: 21 messages.", "Переписка, 21 сообщение; отвечали: вы."),
        ],
    )
    def test_messages_that_follow_each_other_are_counted(self, who, english, russian):
        people = {"a": ANNA, "b": BORIS, "y": VERA}
        events = [
            event(EventKind.OPERATOR_WROTE if letter in people else EventKind.VISITOR_WROTE, n, people.get(letter))
            for n, letter in enumerate(who)
        ]
        assert told(events) == [(0, len(who) - 1 or None, english)]
        with translation.override("ru"):
            assert told(events)[0][2] == russian

    def test_each_letter_is_told_by_what_became_of_it(self):
        events = [
            letter(DeliveryStatus.QUEUED, to="a@x.example"),
            letter(DeliveryStatus.QUEUED, to="b@x.example"),
            letter(DeliveryStatus.QUEUED, to="c@x.example"),
            letter(DeliveryStatus.ACCEPTED, 1, to="a@x.example"),
            letter(DeliveryStatus.REFUSED, 2, to="b@x.example", detail="550 unknown"),
            letter(DeliveryStatus.ACCEPTED, 3, to="c@x.example"),
        ]
        assert told(events) == [
            (3, None, "The mail server accepted 2 letters: a@x.example and c@x.example."),
            (2, None, "The mail server refused the letter for good: b@x.example (550 unknown)."),
        ]

    def test_two_letters_to_one_person_are_two_letters(self):
        events = [letter(DeliveryStatus.ACCEPTED, 1), letter(DeliveryStatus.ACCEPTED, 2, letter="2")]
        assert told(events) == [(2, None, "The mail server accepted 2 letters: left@north.example.")]

    def test_a_letter_that_waits_long_is_told_when_it_was_written_and_when_it_went(self):
        events = [letter(DeliveryStatus.QUEUED), event(EventKind.PICKED_UP, 1, ANNA), letter(DeliveryStatus.ACCEPTED, 3)]
        assert [sentence for _, _, sentence in told(events)] == [
            "A letter is on its way to the mail server: left@north.example.",
            "Anna took the dialog.",
            "The mail server accepted the letter after 3 minutes: left@north.example.",
        ]


# ----- a dialog that lives -----


def later(seconds: float) -> None:
    """Some time later the clock worker runs."""
    let_pass(seconds, in_silence=True)
    apply_setting_changes()
    advance_dialogs()


def mail(waits: float = 0) -> None:
    """The clock worker writes the letters that are due, and after a while the mail worker sends them."""
    write_letters()
    let_pass(waits)
    send_letters()


def whole(dialog, reader):
    """(whole minutes after the start, sentence) of every line, and the place."""
    dialog = Dialog.objects.get(pk=dialog.pk)
    shown = timeline(dialog, reader)
    minutes = [(line.at - dialog.created_at) // timedelta(minutes=1) for line in shown.lines]
    # how long a mail server takes is its own affair
    words = [line.sentence.replace(NO_BREAK, " ") for line in shown.lines]
    words = [re.sub(r"after (a moment|\d+ seconds?): ", "at once: ", sentence) for sentence in words]
    return [(0, shown.start.sentence), *zip(minutes, words, strict=True)], shown.place


def sentences(dialog, reader):
    return [sentence for _, sentence in whole(dialog, reader)[0]]


@pytest.fixture
def host(settings):
    """A mail server that takes everything until told otherwise."""
    running = RunningHost()
    running.start()
    settings.MAIL_SERVER = running.address
    yield running.host
    running.stop()


@pytest.fixture
def visitor(account, process):
    """Marina, on the site."""
    visitor = people.make_visitor(account, name="Marina")
    people.arrive(visitor, process)
    return visitor


class TestALife:
    def test_from_the_question_at_night_to_the_close(self, account, anna, boris, process, visitor, host):
        account.left_messages_email = LEFT
        account.save(update_fields=["left_messages_email"])
        dialog = people.start_dialog(account, visitor=visitor)
        later(20)
        mail(waits=3 * 3600)
        people.depart(visitor, process)
        later(130)
        later(1080)
        leave_contacts(visitor.pk, Contacts(email="marina@mail.example"))
        later(3 * 3600)
        mail()
        people.arrive(visitor, process, "page-2")
        take(dialog.pk, anna)
        later(70)
        mail()
        answer(dialog.pk, anna, "Good morning! Which order?", key="a1")
        people.write(visitor, "88107")
        later(30)
        answer(dialog.pk, anna, "It comes today.", key="a2")
        later(60)
        close_by_operator(dialog.pk, anna)
        lines, place = whole(dialog, boris)
        assert place == ""
        assert lines == [
            (
                0,
                (
                    "Started offline: none of the 2 operators of Support who speak English was online."
                    " Put into General queue: the visitor was on the site."
                ),
            ),
            (180, "The mail server accepted the letter after 3 hours: left@north.example."),
            (180, "The visitor left the site."),
            (182, "“Visitor left the site” was written into the dialog: the visitor had been away for 2 minutes."),
            (200, "Moved to Offline inquiries: the visitor had been away for 20 minutes."),
            (200, "The visitor left contacts: email."),
            (380, "The mail server accepted the letter at once: left@north.example."),
            (380, "Moved to General queue: the visitor came back after 3 hours 20 minutes."),
            (380, "Anna took the dialog."),
            (381, "The mail server accepted the letter at once: left@north.example."),
            (381, "Conversation with Anna: 3 messages."),
            (383, "Anna closed the dialog."),
        ]
        assert sentences(dialog, anna)[-2:] == ["Conversation with you: 3 messages.", "You closed the dialog."]

    def test_the_limit_is_the_one_that_held_then(self, account, anna, process, visitor):
        """Z2: settings that change later change no sentence; one that is lowered acts from then on, and says so."""
        dialog = people.start_dialog(account, visitor=visitor)
        people.depart(visitor, process)
        later(1200)
        first = sentences(dialog, anna)
        change_settings(account, {"left_notice_after": 30, "offline_after": 60}, actor=None)
        assert sentences(dialog, anna) == first
        assert "away for 20 minutes" in first[-1]
        account.refresh_from_db()
        other = people.make_visitor(account)
        people.arrive(other, process)
        second = people.start_dialog(account, visitor=other)
        change_settings(account, {"left_notice_after": 0, "offline_after": 86_400}, actor=None)
        people.depart(other, process)
        later(2 * 3600 + 600)
        change_settings(account, {"offline_after": 240}, actor=None)
        later(0)
        lines, place = whole(second, anna)
        assert lines[-1] == (
            130,
            "Moved to Offline inquiries: the visitor had been away for 2 hours 10 minutes when the limit became 4 minutes.",
        )
        assert place == "It waits in Offline inquiries: nobody has taken it yet, and the visitor is not on the site."

    def test_a_departure_that_is_heard_of_late_is_no_change_of_a_limit(self, account, anna, process, visitor):
        change_settings(account, {"left_notice_after": 0, "offline_after": 3600}, actor=None)
        dialog = people.start_dialog(account, visitor=visitor)
        let_pass(4 * 3600)
        people.depart(visitor, process, ago=2 * 3600)
        assert sentences(dialog, anna)[-1] == "Moved to Offline inquiries: the visitor had been away for 2 hours."

    def test_a_dialog_that_somebody_has_stays_there(self, account, anna, boris, process, visitor):
        dialog = people.start_dialog(account, visitor=visitor)
        assert whole(dialog, anna)[1] == "It waits in General queue: nobody has taken it yet."
        take(dialog.pk, anna)
        people.depart(visitor, process)
        later(7260)
        people.arrive(visitor, process, "page-2")
        assert sentences(dialog, boris)[-2:] == [
            "The dialog went offline: the visitor had been away for 20 minutes.",
            "The visitor came back after 2 hours 1 minute.",
        ]
        assert whole(dialog, boris)[1] == "Anna has this dialog."
        assert whole(dialog, anna)[1] == "It is in dialog with you."
        Dialog.objects.filter(pk=dialog.pk).update(state="queue")  # assigned, not picked up (Q2)
        assert whole(dialog, boris)[1] == "It waits for a reply: Anna has it."
        assert whole(dialog, anna)[1] == "It waits for your reply."

    def test_one_that_began_without_any_visit(self, account, anna, process):
        """P10."""
        visitor = people.make_visitor(account)
        dialog = people.start_dialog(account, visitor=visitor)
        later(9999)
        people.arrive(visitor, process)
        assert [sentence.rpartition(".")[0].rpartition(". ")[2] for sentence in sentences(dialog, anna)] == [
            "Put into Offline inquiries: the visitor was not on the site",
            "Moved to General queue: the visitor came to the site",
        ]

    def test_left_by_mail_refused_and_brought_in(self, account, vera, host, visitor):
        """M5, M7: where it was, why it came, and by whose hand the next one."""
        account.left_messages_email, account.left_messages_in_workspace = LEFT, False
        account.save(update_fields=["left_messages_email", "left_messages_in_workspace"])
        host.on_rcpt = lambda _: "550 no such user"
        leave_contacts(visitor.pk, Contacts(email="marina@mail.example"))
        dialog = people.start_dialog(account, visitor=visitor)
        assert whole(dialog, vera)[1] == "It only goes by mail and is in no section of the workspace."
        later(16)
        mail()
        lines, place = whole(dialog, vera)
        assert lines[0][1].endswith("It only went by mail: the account kept left messages out of the workspace.")
        assert [sentence for _, sentence in lines[1:]] == [
            "The mail server refused the letter for good: left@north.example (550 no such user).",
            (
                "Brought into the workspace because the letter could not be delivered:"
                " the mail server refused it for good (550 no such user)."
            ),
        ]
        assert place == "It waits in General queue: nobody has taken it yet."
        close_by_visitor(visitor.pk, dialog.number)
        assert sentences(dialog, vera)[-1] == "The visitor ended the chat."
        second = people.start_dialog(account)
        bring_into_workspace(second.pk, actor=vera)
        assert sentences(second, vera)[-1] == "You brought it into the workspace."

    def test_one_by_mail_that_is_continued_and_the_one_that_continues_it(self, account, anna, vera, visitor):
        """M10: linked both ways."""
        account.left_messages_email, account.left_messages_in_workspace = LEFT, False
        account.save(update_fields=["left_messages_email", "left_messages_in_workspace"])
        leave_contacts(visitor.pk, Contacts(email="marina@mail.example"))
        by_mail = people.start_dialog(account, visitor=visitor)
        people.go_online(anna)
        second = people.start_dialog(account, visitor=visitor)
        assert f"#{second.number} continues it" in whole(by_mail, vera)[1]
        assert sentences(second, anna)[0].endswith(f"It continues #{by_mail.number}, which only goes by mail.")

    def test_by_mail_closed_by_time(self, account, vera, visitor):
        account.left_messages_email, account.left_messages_in_workspace = LEFT, False
        account.save(update_fields=["left_messages_email", "left_messages_in_workspace"])
        leave_contacts(visitor.pk, Contacts(email="marina@mail.example"))
        dialog = people.start_dialog(account, visitor=visitor)
        let_pass(30 * 86_400)
        advance_dialogs()
        assert whole(dialog, vera)[0][-1] == (43_200, "Closed by time: nobody wrote for 30 days.")

    def test_from_an_app(self, account, anna, process, visitor):
        """P7."""
        set_token(visitor.pk, device="phone", token="token")
        dialog = people.start_dialog(account, visitor=visitor, from_app=True)
        people.depart(visitor, process)
        later(600)
        remove_token(account.pk, "token")
        later(1260)
        set_token(visitor.pk, device="phone", token="another")
        lines, place = whole(dialog, anna)
        assert lines[0][1].endswith("Put into General queue: the visitor was reachable in the app.")
        assert lines[1:] == [
            (10, "The push service does not know the app any more: the visitor counts as away from this moment."),
            (12, "“Visitor left the site” was written into the dialog: the visitor had been away for 2 minutes."),
            (30, "Moved to Offline inquiries: the visitor had been away for 20 minutes."),
            (31, "Moved to General queue: the visitor is reachable in the app from now on."),
        ]
        assert place == "It waits in General queue: nobody has taken it yet."


# ----- bounds, and pages -----


def fill(dialog, count, kind=EventKind.PICKED_UP, actor=None):
    """So many events more, each a line of its own."""
    now = timezone.now()
    first = dialog.revision + 1
    DialogEvent.objects.bulk_create(
        DialogEvent(account_id=dialog.account_id, dialog=dialog, kind=kind, at=now, actor=actor, revision=first + n, handled_at=now)
        for n in range(count)
    )
    dialog.revision += count
    dialog.save(update_fields=["revision"])


class TestBounds:
    def test_a_long_life_is_told_in_pages_with_nothing_lost(self, account, anna):
        dialog = people.start_dialog(account)
        fill(dialog, 2 * MOST_EVENTS + 10, actor=anna)
        start = timeline(dialog, anna).start
        assert "Put into" in start.sentence
        seen, before = 0, None
        while True:
            page = timeline(dialog, anna, before=before)
            assert page.start == start
            assert len(page.lines) <= MOST_EVENTS
            seen += len(page.lines)
            if page.earlier is None:
                break
            before = page.earlier
        assert seen == 2 * MOST_EVENTS + 10

    def test_the_queries_are_few_and_do_not_grow(self, account, anna, django_assert_max_num_queries):
        dialog = people.start_dialog(account)
        with django_assert_max_num_queries(1):
            timeline(dialog, anna)
        fill(dialog, MOST_EVENTS + 50, actor=anna)
        with django_assert_max_num_queries(2):
            timeline(dialog, anna)

    def test_only_the_latest_lines_are_unfolded(self, account, anna):
        dialog = people.start_dialog(account)
        fill(dialog, MOST_UNFOLDED, actor=anna)
        page = timeline(dialog, anna)
        assert (page.folded, len(page.latest)) == ([], MOST_UNFOLDED)
        fill(dialog, 1, actor=anna)
        page = timeline(dialog, anna)
        assert (len(page.folded), len(page.latest)) == (MOST_UNFOLDED + 1 - LATEST, LATEST)
        assert page.folded + page.latest == page.lines


def why(html):
    """The words of the block, and what can be unfolded there."""
    block = html.split('id="why"')[1].split("</section>")[0]
    return " ".join(re.sub(r"<[^>]+>", " ", block).split())


class TestTheWorkspace:
    @pytest.fixture
    def as_anna(self, client, anna):
        client.force_login(anna)
        return client

    def test_the_dialogs_page_and_its_fragment_say_why(self, as_anna, account, anna):
        dialog = people.start_dialog(account)
        take(dialog.pk, anna)
        for address in (f"/workspace/{dialog.number}/", f"/workspace/{dialog.number}/fragment/"):
            words = why(as_anna.get(address).content.decode())
            assert "Started offline: Anna, the only operator of Support who speaks English, was not online." in words
            assert "You took the dialog." in words
            assert words.endswith("Now It is in dialog with you.")

    def test_names_and_answers_of_servers_are_no_html(self, as_anna, account, anna):
        boris = people.make_operator(account, "boris", name="<b>Boris</b>")
        dialog = people.start_dialog(account)
        take(dialog.pk, boris)
        fill(dialog, 1, actor=boris)
        page = as_anna.get(f"/workspace/{dialog.number}/").content.decode()
        assert "<b>Boris" not in page
        assert "&lt;b&gt;Boris&lt;/b&gt; took the dialog." in page

    def test_earlier_steps_have_a_page(self, as_anna, account, anna):
        dialog = people.start_dialog(account)
        fill(dialog, MOST_EVENTS + 3, actor=anna)
        page = as_anna.get(f"/workspace/{dialog.number}/").content.decode()
        address = re.search(r'href="([^"]+)">Earlier steps', page).group(1)
        older = as_anna.get(address).content.decode()
        assert older.count("You took the dialog.") == 3
        assert "Earlier steps" not in older
        assert "Latest steps" in older
        newest = as_anna.get(address.partition("?")[0]).content.decode()
        assert newest.count("You took the dialog.") == MOST_EVENTS
        for nonsense in ("", "-1", "x", "9" * 30, "٣"):
            assert as_anna.get(f"/workspace/{dialog.number}/history/", {"before": nonsense}).status_code == 200

    def test_another_accounts_operator_sees_nothing(self, client, account, other_account):
        dialog = people.start_dialog(account)
        client.force_login(people.make_operator(other_account, "mallory", role="supervisor"))
        for address in ("", "fragment/", "history/"):
            assert client.get(f"/workspace/{dialog.number}/{address}").status_code == 404
        client.logout()
        assert client.get(f"/workspace/{dialog.number}/history/").status_code == 302

    def test_an_operator_of_another_department_sees_nothing_either(self, client, account):
        dialog = people.start_dialog(account)
        client.force_login(people.make_operator(account, "sam", departments=("sales",)))
        assert client.get(f"/workspace/{dialog.number}/history/").status_code == 404

    def test_moments_are_in_the_accounts_time_zone(self, as_anna, account):
        account.time_zone = "Asia/Yekaterinburg"
        account.save(update_fields=["time_zone"])
        dialog = people.start_dialog(account)
        Dialog.objects.filter(pk=dialog.pk).update(created_at=datetime(2026, 11, 21, 20, 30, tzinfo=UTC))
        page = as_anna.get(f"/workspace/{dialog.number}/").content.decode()
        assert "22 November, 01:30</time>" in page
        assert 'data-zone="Asia/Yekaterinburg"' in page
        assert timezone.get_current_timezone_name() == "UTC", "the next request has its own"

    def test_the_page_takes_the_same_queries_however_long_the_life(self, as_anna, account, anna):
        dialog = people.start_dialog(account)

        def queries():
            Operator.objects.filter(pk=anna.pk).update(last_seen_at=timezone.now())
            with CaptureQueriesContext(connection) as captured:
                as_anna.get(f"/workspace/{dialog.number}/fragment/")
            return len(captured)

        short = queries()
        fill(dialog, MOST_EVENTS * 2, actor=anna)
        assert queries() <= short + 1  # the start, which is not among the newest


class TestTheAdmin:
    @pytest.fixture
    def as_vera(self, client, vera):
        client.force_login(vera)
        return client

    def page(self, dialog):
        return f"/admin/dialogs/dialog/{dialog.pk}/change/"

    def words(self, html):
        block = html.split('class="module why"')[1].split("</fieldset>")[0]
        return " ".join(re.sub(r"<[^>]+>", " ", block).split())

    def test_the_dialogs_page_says_why(self, as_vera, account, anna):
        dialog = people.start_dialog(account)
        take(dialog.pk, anna)
        html = as_vera.get(self.page(dialog)).content.decode()
        assert "Why is it here?" in html
        words = self.words(html)
        assert "Started offline" in words
        assert "Anna took the dialog." in words
        assert words.endswith("Now Anna has this dialog. Times: UTC")
        events = html.split("Events (the latest 200)")[1]
        assert "Anna took the dialog." in events, "the table of events says each in full"

    def test_support_staff_have_no_name_there(self, client, account, vera):
        account.left_messages_email, account.left_messages_in_workspace = LEFT, False
        account.save(update_fields=["left_messages_email", "left_messages_in_workspace"])
        dialog = people.start_dialog(account)
        support = people.make_operator(None, "helga")
        bring_into_workspace(dialog.pk, actor=support)
        client.force_login(vera)
        html = client.get(self.page(dialog)).content.decode()
        assert "Helga" not in html
        assert "Support staff brought it into the workspace." in html
        client.force_login(support)
        assert "You brought it into the workspace." in client.get(self.page(dialog)).content.decode()

    def test_earlier_steps_are_reached(self, as_vera, account, anna):
        dialog = people.start_dialog(account)
        fill(dialog, MOST_EVENTS + 3, actor=anna)
        html = as_vera.get(self.page(dialog)).content.decode()
        before = re.search(r'href="\?before=(\d+)#why">Earlier steps', html).group(1)
        older = self.words(as_vera.get(self.page(dialog), {"before": before}).content.decode())
        assert older.count("Anna took the dialog.") == 3
        assert "Latest steps" in older

    def test_another_accounts_supervisor_sees_nothing(self, client, account, other_account):
        dialog = people.start_dialog(account)
        client.force_login(people.make_operator(other_account, "mallory", role="supervisor"))
        answer = client.get(self.page(dialog))
        assert answer.status_code == 302
        assert "Started" not in answer.content.decode()
