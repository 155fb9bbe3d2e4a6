"""A real SMTP server in a thread of its own that behaves as a test tells it, and words for letters and time."""

import email
import socket
import threading
from collections import Counter
from collections.abc import Callable
from email.message import EmailMessage
from email.policy import default

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from notifications.models import OutgoingEmail
from notifications.tasks import send_letters, write_letters
from tests.passing_time import let_pass
from webim_offline.foundation.environment import MailServer

OK = "250 OK"
Answer = Callable[[str], str]


class MailHost:
    """Keeps what it accepts. `on_rcpt` and `on_data` answer for a recipient; `cut_after_data` says nothing and hangs up."""

    def __init__(self) -> None:
        self.accepted: list[tuple[str, EmailMessage]] = []
        self.seen: Counter[str] = Counter()  # Message-IDs whose text arrived, accepted or not
        self.connections: set[tuple] = set()
        self.on_mail: Answer = lambda _sender: OK
        self.on_rcpt: Answer = lambda _recipient: OK
        self.on_data: Answer = lambda _recipient: OK
        self.cut_after_data: Callable[[str], bool] = lambda _recipient: False
        self.most_letters_a_connection = 0
        self._served: Counter[tuple] = Counter()
        self.accepts_but_cuts = False
        self.lock = threading.Lock()

    async def handle_MAIL(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list) -> str:
        self.connections.add(session.peer)
        if self.most_letters_a_connection and self._served[session.peer] >= self.most_letters_a_connection:
            server.transport.close()
            return "421 enough"
        answer = self.on_mail(address)
        if answer == OK:
            envelope.mail_from = address
        return answer

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list) -> str:
        answer = self.on_rcpt(address)
        if answer == OK:
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert len(envelope.rcpt_tos) == 1, "one SMTP transaction per recipient"
        recipient = envelope.rcpt_tos[0]
        letter = email.message_from_bytes(envelope.original_content, policy=default)
        with self.lock:
            self.seen[letter["Message-ID"]] += 1
        cut = self.cut_after_data(recipient)
        answer = OK if cut and self.accepts_but_cuts else self.on_data(recipient)
        if answer == OK and (not cut or self.accepts_but_cuts):
            with self.lock:
                self.accepted.append((recipient, letter))
            self._served[session.peer] += 1
        if cut:
            server.transport.abort()
            return ""
        return answer

    def letters_to(self, recipient: str) -> list[EmailMessage]:
        return [letter for to, letter in self.accepted if to == recipient]


class RunningHost:
    """A MailHost on a free port that can be stopped and started again on the same one."""

    def __init__(self) -> None:
        self.host = MailHost()
        self.port = free_port()
        self.controller: Controller | None = None

    @property
    def address(self) -> MailServer:
        return MailServer("127.0.0.1", self.port)

    def start(self, **options: bool) -> None:
        self.controller = Controller(self.host, hostname="127.0.0.1", port=self.port, **options)
        self.controller.start()

    def stop(self) -> None:
        if self.controller:
            self.controller.stop(no_assert=True)
            self.controller = None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def after_window() -> list[OutgoingEmail]:
    """Fifteen seconds later: the letters that the clock worker wrote by then."""
    before = set(OutgoingEmail.objects.values_list("pk", flat=True))
    let_pass(15)
    write_letters()
    return list(OutgoingEmail.objects.exclude(pk__in=before).order_by("pk"))


def later(seconds: float) -> None:
    """Some time later the mail worker runs."""
    let_pass(seconds)
    send_letters()


def text_of(letter: EmailMessage) -> str:
    return letter.get_body(("plain",)).get_content().replace("\r\n", "\n")


def html_of(letter: EmailMessage) -> str:
    return letter.get_body(("html",)).get_content().replace("\r\n", "\n")
