"""Letters over a real SMTP server that behaves well, badly, or not at all (M3, M7)."""

import socket
import threading
import time
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError, connection

from dialogs.models import Delivery, DeliveryStatus, Pulse
from dialogs.reading.system_messages import text_of as words_of
from notifications.models import DeliveryAttempt, EmailStatus, Outcome, OutgoingEmail
from notifications.outgoing import delivery, duties, smtp
from notifications.tasks import send_letters, write_letters
from tests import people
from tests.notifications.conftest import LEFT
from tests.notifications.mail import MailServer, after_window, free_port, html_of, later, text_of
from tests.passing_time import let_pass
from webim_offline.foundation.database.clock import database_now

SECOND = "second@north.example"


@pytest.fixture
def letter(account, running):
    """One written letter, due now."""
    people.start_dialog(account)
    [letter] = after_window()
    return letter


@pytest.fixture
def letters(account, running):
    """One left message, two recipients."""
    account.left_messages_email = f"{LEFT},{SECOND}"
    account.save(update_fields=["left_messages_email"])
    people.start_dialog(account)
    return after_window()


@pytest.fixture
def mail_only(account):
    account.left_messages_in_workspace = False
    account.save(update_fields=["left_messages_in_workspace"])


def now_of(letter: OutgoingEmail) -> OutgoingEmail:
    letter.refresh_from_db()
    return letter


def ledger(letter: OutgoingEmail) -> Delivery:
    return Delivery.objects.get(dialog=letter.dialog_id, key=letter.dedupe_key)


def outcomes(letter: OutgoingEmail) -> list[str]:
    return list(letter.tries.values_list("outcome", flat=True))


class TestInternationalAddresses:
    ADDRESS = "анна@пример.рф"

    def test_it_arrives_where_the_server_has_smtputf8(self, letter, running, host):
        running.stop()
        running.start(enable_SMTPUTF8=True)
        OutgoingEmail.objects.update(recipient=self.ADDRESS)
        send_letters()
        [(recipient, mail)] = host.accepted
        assert recipient == "анна@xn--e1afmkfd.xn--p1ai"
        assert mail["To"] == recipient
        assert now_of(letter).status == EmailStatus.SENT

    def test_where_it_has_not_the_letter_is_refused_and_the_next_one_sent(self, letters, running, host):
        running.stop()
        running.start(enable_SMTPUTF8=False)
        OutgoingEmail.objects.filter(pk=letters[0].pk).update(recipient=self.ADDRESS)
        send_letters()
        assert [recipient for recipient, _mail in host.accepted] == [letters[1].recipient]
        assert now_of(letters[0]).status == EmailStatus.REFUSED
        assert "SMTPUTF8" in now_of(letters[0]).last_error


class TestAccepted:
    def test_a_letter_arrives_once_and_is_recorded(self, letter, host):
        send_letters()
        send_letters()
        later(86_000)
        [(recipient, mail)] = host.accepted
        assert recipient == LEFT
        assert mail["Message-ID"] == letter.message_id
        assert mail["From"].addresses[0].addr_spec == "noreply@chat.north.example"
        assert mail["From"].addresses[0].display_name == "North Tea"
        assert mail["To"] == LEFT
        assert mail["Auto-Submitted"] == "auto-generated"
        assert text_of(mail).strip() == letter.text.strip()
        assert html_of(mail).strip() == letter.html.strip()
        now_of(letter)
        assert (letter.status, letter.attempts, letter.next_try_at) == (EmailStatus.SENT, 1, None)
        assert letter.sent_at is not None
        assert outcomes(letter) == [Outcome.ACCEPTED]
        assert ledger(letter).status == DeliveryStatus.ACCEPTED

    def test_replies_carry_the_headers_of_their_thread(self, account, host):
        visitor = people.make_visitor(account, name="Marina")
        people.write(visitor, "First")
        after_window()
        people.write(visitor, "Second")
        after_window()
        people.write(visitor, "Third")
        after_window()
        send_letters()
        first, second, third = host.letters_to(LEFT)
        assert first["In-Reply-To"] is None
        assert second["In-Reply-To"] == first["Message-ID"]
        assert third["In-Reply-To"] == second["Message-ID"]
        assert third["References"].split() == [first["Message-ID"], second["Message-ID"]]
        assert third["Subject"] == f"Re: {first['Subject']}"

    def test_many_letters_share_one_connection(self, account, host):
        for _ in range(7):
            people.start_dialog(account)
        after_window()
        assert send_letters() == 7
        assert len(host.connections) == 1

    def test_a_server_that_ends_a_conversation_costs_no_letter_an_attempt(self, account, host):
        host.most_letters_a_connection = 3
        for _ in range(8):
            people.start_dialog(account)
        after_window()
        assert send_letters() == 8
        assert len(host.accepted) == 8
        assert set(OutgoingEmail.objects.values_list("attempts", flat=True)) == {1}

    def test_every_recipient_has_an_own_transaction_and_line(self, letters, host):
        host.on_rcpt = lambda to: "550 no such user" if to == SECOND else "250 OK"
        send_letters()
        first, second = map(now_of, letters)
        assert (first.status, second.status) == (EmailStatus.SENT, EmailStatus.REFUSED)
        assert ledger(first).status == DeliveryStatus.ACCEPTED
        assert ledger(second).status == DeliveryStatus.REFUSED
        assert "no such user" in ledger(second).detail
        later(86_000)
        assert len(host.accepted) == 1

    def test_each_run_is_noted(self, db, running):
        send_letters()
        assert Pulse.objects.filter(name=Pulse.MAIL).exists()


class TestTroubleThatPasses:
    def test_a_server_that_is_away_gets_the_letter_when_it_is_back(self, letter, running, host):
        running.stop()
        send_letters()
        assert now_of(letter).status == EmailStatus.WAITING
        assert "refused" in letter.last_error.lower()
        assert outcomes(letter) == [Outcome.PUT_OFF]
        assert ledger(letter).status == DeliveryStatus.QUEUED
        assert "refused" in ledger(letter).detail.lower()
        running.start()
        later(5)
        assert now_of(letter).status == EmailStatus.SENT
        assert letter.last_error == ""
        assert len(host.accepted) == 1

    def test_nothing_is_tried_before_its_pause_is_over(self, letter, running):
        running.stop()
        send_letters()
        send_letters()
        assert now_of(letter).attempts == 1

    @pytest.mark.parametrize("step", ["on_mail", "on_rcpt", "on_data"])
    def test_greylisting_is_waited_for(self, letter, host, step):
        setattr(host, step, lambda _: "451 4.7.1 come again later")
        send_letters()
        assert now_of(letter).status == EmailStatus.WAITING
        assert letter.last_error == "451 4.7.1 come again later"
        setattr(host, step, lambda _: "250 OK")
        later(10)
        assert now_of(letter).status == EmailStatus.SENT
        assert len(host.accepted) == 1

    def test_one_greylisted_letter_does_not_hold_up_the_next(self, letters, host):
        host.on_rcpt = lambda to: "450 later" if to == LEFT else "250 OK"
        send_letters()
        assert [to for to, _ in host.accepted] == [SECOND]
        assert len(host.connections) == 1

    def test_a_server_that_wants_another_login_is_no_refusal_of_the_letter(self, letter, host):
        host.on_mail = lambda _: "530 5.7.0 Authentication required"
        send_letters()
        assert now_of(letter).status == EmailStatus.WAITING

    def test_a_login_that_is_refused_is_retried_and_says_why(self, letter, running, settings):
        settings.MAIL_SERVER = MailServer("127.0.0.1", running.port, user="north", password="wrong")
        send_letters()
        assert now_of(letter).status == EmailStatus.WAITING
        assert letter.last_error

    def test_without_the_encryption_that_was_asked_for_nothing_is_sent(self, letter, running, host, settings):
        settings.MAIL_SERVER = MailServer("127.0.0.1", running.port, starttls=True)
        send_letters()
        assert now_of(letter).status == EmailStatus.WAITING
        assert "STARTTLS" in letter.last_error
        assert not host.accepted

    @pytest.mark.parametrize("hangs", ["before its greeting", "after the text"])
    def test_a_server_that_hangs_is_left_after_a_while(self, letter, settings, monkeypatch, hangs):
        for name, seconds in {"STEP_TIME": 0.4, "GREETING_TIME": 0.4, "ENVELOPE_TIME": 0.4}.items():
            monkeypatch.setattr(smtp, name, seconds)
        server = ScriptedServer([] if hangs == "before its greeting" else [b"220 hi", *[b"250 ok"] * 3, b"354 go"])
        settings.MAIL_SERVER = MailServer("127.0.0.1", server.port)
        began = time.monotonic()
        send_letters()
        assert time.monotonic() - began < 5
        server.close()
        assert now_of(letter).status == EmailStatus.WAITING
        assert outcomes(letter) == [Outcome.PUT_OFF if hangs == "before its greeting" else Outcome.LOST]

    def test_the_pauses_grow(self):
        born = datetime(2026, 11, 22, 12, tzinfo=UTC)
        until = born + timedelta(hours=24)
        now, pauses = born, []
        while now < until:
            pause = delivery.pause_before_next_try(now, until)
            pauses.append(pause.total_seconds())
            now += pause
        assert pauses[:6] == [5, 5, 10, 20, 40, 80]
        assert pauses == sorted(pauses)
        assert max(pauses) == 3600

    def test_after_a_day_it_is_given_up(self, letter, running):
        running.stop()
        tries = 0
        while now_of(letter).status == EmailStatus.WAITING:
            wait = (letter.next_try_at - database_now()).total_seconds()
            later(max(wait, 0) + 0.01)
            tries += 1
            assert tries < 60
        assert letter.status == EmailStatus.GIVEN_UP
        assert ledger(letter).status == DeliveryStatus.GIVEN_UP
        lasted = database_now() - letter.created_at
        assert timedelta(hours=24) <= lasted < timedelta(hours=24, minutes=1)
        assert 25 < tries == letter.attempts == letter.tries.count()

    def test_a_database_that_is_away_for_a_moment_makes_no_second_letter(self, letter, host, monkeypatch):
        record, calls = delivery.record_accepted, []

        def fails_twice(*args, **kwargs):
            calls.append(1)
            if len(calls) <= 2:
                raise OperationalError("the database is restarting")
            return record(*args, **kwargs)

        monkeypatch.setattr(delivery, "record_accepted", fails_twice)
        monkeypatch.setattr(delivery.time, "sleep", lambda _: None)
        monkeypatch.setattr(connection, "close", lambda: None)
        send_letters()
        assert now_of(letter).status == EmailStatus.SENT
        assert len(host.accepted) == 1


class TestRefused:
    @pytest.mark.parametrize("step", ["on_mail", "on_rcpt", "on_data"])
    def test_a_5xx_ends_the_letter(self, letter, host, step):
        setattr(host, step, lambda _: "554 5.7.1 not wanted here")
        send_letters()
        later(86_400)
        assert now_of(letter).status == EmailStatus.REFUSED
        assert letter.attempts == 1
        assert ledger(letter).detail == "554 5.7.1 not wanted here"


class TestLostAnswers:
    def test_after_three_lost_answers_the_letter_is_unknown(self, letter, host):
        host.cut_after_data = lambda _: True
        for _ in range(6):
            later(3600)
        assert now_of(letter).status == EmailStatus.UNKNOWN
        assert host.seen == {letter.message_id: 3}  # the first try and two more, all with the same Message-ID
        assert outcomes(letter) == [Outcome.LOST] * 3
        assert ledger(letter).status == DeliveryStatus.UNKNOWN

    def test_a_server_that_took_it_and_did_not_say_gets_it_with_the_same_id(self, letter, host):
        host.accepts_but_cuts = True
        host.cut_after_data = lambda _: len(host.accepted) == 0
        send_letters()
        later(10)
        assert now_of(letter).status == EmailStatus.SENT
        assert [mail["Message-ID"] for _, mail in host.accepted] == [letter.message_id] * 2

    def test_a_later_refusal_does_not_hide_that_it_was_perhaps_accepted(self, letter, host):
        host.cut_after_data = lambda _: True
        send_letters()
        host.on_rcpt = lambda _: "550 gone"
        later(10)
        assert now_of(letter).status == EmailStatus.UNKNOWN

    def test_a_worker_that_died_may_have_sent_only_the_first_of_its_batch(self, letters, host):
        claim = delivery.claim_letters()
        assert [row.pk for row in claim.letters] == [row.pk for row in letters]
        send_letters()
        assert not host.accepted  # another run cannot have them
        later(delivery.LEASE.total_seconds() + 1)
        assert [to for to, _ in host.accepted] == [LEFT, SECOND]
        assert outcomes(letters[0]) == [Outcome.LOST, Outcome.ACCEPTED]
        assert outcomes(letters[1]) == [Outcome.ACCEPTED]

    def test_a_worker_that_dies_each_time_sends_three_times_at_most(self, letter, host):
        for _ in range(5):
            delivery.claim_letters()
            let_pass(delivery.LEASE.total_seconds() + 1)
        assert now_of(letter).status == EmailStatus.UNKNOWN

    def test_an_outcome_that_comes_after_the_claim_ended_counts_only_if_accepted(self, letter):
        claim = delivery.claim_letters()
        [mine] = claim.letters
        OutgoingEmail.objects.update(claim=uuid.uuid4())  # another run has it now
        delivery.record_outcome(mine, claim, smtp.Reply(smtp.Verdict.REFUSED, "550 late"))
        assert now_of(letter).status == EmailStatus.SENDING
        delivery.record_accepted(mine, claim, smtp.Reply(smtp.Verdict.ACCEPTED, "250 late"))
        assert now_of(letter).status == EmailStatus.SENT
        delivery.record_outcome(mine, claim, smtp.Reply(smtp.Verdict.PUT_OFF, "450 from the other run"))
        assert now_of(letter).status == EmailStatus.SENT

    def test_a_worker_that_died_before_the_ledger_was_told_sends_nothing_again(self, letter, host):
        claim = delivery.claim_letters()
        delivery.record_accepted(claim.letters[0], claim, smtp.Reply(smtp.Verdict.ACCEPTED, "250 OK"))
        send_letters()
        assert ledger(letter).status == DeliveryStatus.QUEUED
        later(delivery.LEASE.total_seconds() + 1)
        assert not host.accepted
        assert ledger(letter).status == DeliveryStatus.ACCEPTED
        assert outcomes(letter) == [Outcome.ACCEPTED]
        assert now_of(letter).next_try_at is None


class TestWithoutAServer:
    def test_letters_are_kept_and_say_so(self, account, settings):
        settings.MAIL_SERVER = None
        people.start_dialog(account)
        [letter] = after_window()
        send_letters()
        assert now_of(letter).status == EmailStatus.KEPT
        assert ledger(letter).status == DeliveryStatus.NO_SERVER
        assert not DeliveryAttempt.objects.exists()

    def test_they_can_be_sent_once_there_is_one(self, account, settings, running):
        settings.MAIL_SERVER = None
        people.start_dialog(account)
        [letter] = after_window()
        send_letters()
        settings.MAIL_SERVER = running.address
        send_letters()
        assert now_of(letter).status == EmailStatus.KEPT  # not by itself: it may be old
        assert delivery.try_again([letter.pk]) == 1
        send_letters()
        assert now_of(letter).status == EmailStatus.SENT


@pytest.mark.usefixtures("mail_only")
class TestNothingIsLost:
    """M7: what mail cannot deliver comes into the workspace."""

    def test_a_refused_letter_brings_its_dialog_in(self, letter, host):
        host.on_rcpt = lambda _: "550 no such user"
        send_letters()
        letter.dialog.refresh_from_db()
        assert letter.dialog.in_workspace
        note = letter.dialog.messages.get(code="entered_undelivered")
        assert note.params == {"undelivered": "refused", "detail": "550 no such user"}
        assert words_of(note.code, note.params).endswith(
            "could not be delivered: the mail server refused it for good (550 no such user)"
        )

    def test_an_unknown_one_too(self, letter, host):
        host.cut_after_data = lambda _: True
        for _ in range(3):
            later(3600)
        letter.dialog.refresh_from_db()
        assert letter.dialog.in_workspace

    def test_one_given_up_too(self, letter, running):
        running.stop()
        later(86_400)
        assert now_of(letter).status == EmailStatus.GIVEN_UP
        letter.dialog.refresh_from_db()
        assert letter.dialog.in_workspace

    def test_one_that_is_not_sent_anywhere_too(self, letter, settings):
        settings.MAIL_SERVER = None
        send_letters()
        letter.dialog.refresh_from_db()
        assert letter.dialog.in_workspace

    def test_one_reached_recipient_is_enough(self, letters, host):
        host.on_rcpt = lambda to: "550 no" if to == SECOND else "250 OK"
        send_letters()
        letters[0].dialog.refresh_from_db()
        assert not letters[0].dialog.in_workspace

    def test_a_recipient_still_waited_for_is_waited_for(self, letters, host):
        host.on_rcpt = lambda to: "550 no" if to == SECOND else "450 later"
        send_letters()
        dialog = letters[0].dialog
        dialog.refresh_from_db()
        assert not dialog.in_workspace
        host.on_rcpt = lambda _: "550 no"
        later(60)
        dialog.refresh_from_db()
        assert dialog.in_workspace

    def test_an_undelivered_follow_up_counts_although_the_first_letter_arrived(self, account, host):
        visitor = people.make_visitor(account, email="m@mail.example")
        dialog = people.write(visitor, "First").dialog
        after_window()
        send_letters()
        host.on_rcpt = lambda _: "550 no longer"
        people.write(visitor, "Second")
        after_window()
        send_letters()
        dialog.refresh_from_db()
        assert dialog.in_workspace

    def test_a_closed_dialog_stays_closed(self, letter, host):
        letter.dialog.state = "closed_by_visitor"
        letter.dialog.save(update_fields=["state"])
        host.on_rcpt = lambda _: "550 no such user"
        send_letters()
        assert now_of(letter).status == EmailStatus.REFUSED
        letter.dialog.refresh_from_db()
        assert not letter.dialog.in_workspace

    def test_an_ordinary_left_message_needs_no_fallback(self, letter, host):
        letter.dialog.in_workspace = True
        letter.dialog.save(update_fields=["in_workspace"])
        host.on_rcpt = lambda _: "550 no such user"
        send_letters()
        assert not letter.dialog.messages.filter(kind="system").exists()


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
@pytest.mark.django_db(transaction=True)
def test_workers_side_by_side_send_and_write_everything_once(account, running, host, monkeypatch):
    monkeypatch.setattr(delivery, "BATCH", 5)
    monkeypatch.setattr(duties, "BATCH", 5)
    dialogs = [people.start_dialog(account) for _ in range(40)]
    let_pass(15)

    def work(task) -> None:
        try:
            for _ in range(3):
                task()
        finally:
            connection.close()

    for task in (write_letters, send_letters):
        threads = [threading.Thread(target=work, args=(task,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert OutgoingEmail.objects.count() == len(dialogs)
    assert len(host.accepted) == len(dialogs)
    assert set(host.seen.values()) == {1}
    assert len(host.connections) > 1
    assert set(OutgoingEmail.objects.values_list("status", "attempts")) == {(EmailStatus.SENT, 1)}


class ScriptedServer:
    """Says its lines, one for each line it hears once it has greeted, and then nothing more."""

    def __init__(self, lines: list[bytes]) -> None:
        self.port = free_port()
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.lines = lines
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self) -> None:
        self.talk, _ = self.listener.accept()
        for place, line in enumerate(self.lines):
            if place:
                self.talk.recv(65536)
            self.talk.sendall(line + b"\r\n")

    def close(self) -> None:
        self.listener.close()
        self.talk.close()
