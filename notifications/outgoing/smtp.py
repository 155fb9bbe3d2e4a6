"""One SMTP conversation, reused for many letters. Knows nothing of rows: bytes in, a verdict out (M3)."""

import logging
import re
import smtplib
import ssl
import time
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Self

from webim_offline.foundation.environment import MailServer

logger = logging.getLogger(__name__)

STEP_TIME = 20.0  # seconds, at most, for one network step
GREETING_TIME = 10.0  # for each step until the server has greeted, and for all that follows until it knows us
ENVELOPE_TIME = 15.0  # for everything of one letter up to its text
LONGEST_LETTER = ENVELOPE_TIME + 2 * STEP_TIME  # then its text, then the answer: no letter holds a claim longer
LONGEST_DETAIL = 400

ANSWERS_OF_LOGIN = frozenset({530, 534, 535, 538})  # the server wants another login: our trouble, not the letter's
SERVICE_CLOSING = 421


class Verdict(StrEnum):
    """What became of one letter."""

    ACCEPTED = "accepted"
    PUT_OFF = "put_off"  # surely not accepted; worth another try
    REFUSED = "refused"  # surely not accepted, and never will be
    LOST = "lost"  # no answer after DATA: perhaps accepted


@dataclass(frozen=True, slots=True)
class Reply:
    """A verdict and the server's words, or ours."""

    verdict: Verdict
    detail: str


class Unreachable(Exception):
    """No conversation could be begun; `str()` says why."""


class MailConnection:
    """An open conversation with the mail server. A context manager; raises Unreachable on entering.

    After a reply that broke the conversation `is_open` is False: open another one.
    """

    def __init__(self, server: MailServer, own_name: str) -> None:
        self._server = server
        self._own_name = own_name
        self._needs_reset = False
        self.delivered = 0

    def __enter__(self) -> Self:
        server = self._server
        context = ssl.create_default_context() if server.tls or server.starttls else None
        try:
            self._smtp: smtplib.SMTP
            if server.tls:
                self._smtp = smtplib.SMTP_SSL(server.host, server.port, self._own_name, timeout=GREETING_TIME, context=context)
            else:
                self._smtp = smtplib.SMTP(server.host, server.port, self._own_name, timeout=GREETING_TIME)
        except (OSError, smtplib.SMTPException, UnicodeError) as error:
            raise Unreachable(_short(f"{server.host}:{server.port}: {_words(error)}")) from error
        deadline = time.monotonic() + GREETING_TIME
        try:
            self._smtp.ehlo_or_helo_if_needed()
            if server.starttls:
                self._limit(deadline)
                self._smtp.starttls(context=context)
                self._limit(deadline)
                self._smtp.ehlo_or_helo_if_needed()
            if server.user:
                self._limit(deadline)
                self._smtp.login(server.user, server.password)
        except (OSError, smtplib.SMTPException, UnicodeError) as error:
            self._smtp.close()
            raise Unreachable(_short(f"{server.host}:{server.port}: {_words(error)}")) from error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.is_open:
            try:
                self._set_timeout(2.0)  # a goodbye is only politeness
                self._smtp.quit()
            except (OSError, smtplib.SMTPException):
                logger.debug("the mail server did not answer our goodbye")
        self._smtp.close()

    @property
    def is_open(self) -> bool:
        return self._smtp.sock is not None

    def deliver(self, sender: str, recipient: str, letter: bytes) -> Reply:
        """Hand over one letter (CRLF line ends) for one recipient, in one SMTP transaction."""
        deadline = time.monotonic() + ENVELOPE_TIME
        is_plain = sender.isascii() and recipient.isascii()
        if not is_plain and not self._smtp.has_extn("smtputf8"):
            return Reply(Verdict.REFUSED, "the mail server has no SMTPUTF8, which this address needs")
        options = () if is_plain else ("SMTPUTF8", "BODY=8BITMIME")
        try:
            if self._needs_reset:
                self._limit(deadline)
                self._smtp.rset()
            self._needs_reset = True
            for command, arguments, expected in (
                (self._smtp.mail, (sender, options), range(200, 300)),
                (self._smtp.rcpt, (recipient,), range(200, 300)),
                (self._smtp.docmd, ("DATA",), range(354, 355)),
            ):
                self._limit(deadline)
                code, words = command(*arguments)
                if code not in expected:
                    return self._not_taken(code, words)
        except (OSError, smtplib.SMTPException, ValueError) as error:
            self._smtp.close()
            return Reply(Verdict.PUT_OFF, _words(error))
        try:
            self._set_timeout(STEP_TIME)
            self._smtp.send(_dot_stuffed(letter))
            code, words = self._smtp.getreply()
        except (OSError, smtplib.SMTPException) as error:
            # from here on only an answer tells whether the server took it (M3)
            self._smtp.close()
            return Reply(Verdict.LOST, _words(error))
        if 200 <= code < 300:
            self._needs_reset = False
            self.delivered += 1
            return Reply(Verdict.ACCEPTED, _said(code, words))
        if 400 <= code < 600:
            return self._not_taken(code, words)
        self._smtp.close()
        return Reply(Verdict.LOST, _said(code, words))

    def _limit(self, deadline: float) -> None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._set_timeout(min(left, STEP_TIME))

    def _set_timeout(self, seconds: float) -> None:
        if self._smtp.sock is not None:  # a lost connection says so at the next command
            self._smtp.sock.settimeout(seconds)

    def _not_taken(self, code: int, words: bytes) -> Reply:
        if code == SERVICE_CLOSING or not 400 <= code < 600:
            self._smtp.close()
        for_good = 500 <= code < 600 and code not in ANSWERS_OF_LOGIN
        return Reply(Verdict.REFUSED if for_good else Verdict.PUT_OFF, _said(code, words))


def _dot_stuffed(letter: bytes) -> bytes:
    body = re.sub(rb"(?m)^\.", b"..", letter)
    return body + (b".\r\n" if body.endswith(b"\r\n") else b"\r\n.\r\n")


def _short(text: str) -> str:
    """The words as one printable line that fits where it is kept."""
    line = " ".join(text.split())
    return "".join(char for char in line if char.isprintable())[:LONGEST_DETAIL]


def _said(code: int, words: bytes) -> str:
    return _short(f"{code} {words.decode('utf-8', 'replace')}")


def _words(error: BaseException) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        words = error.smtp_error
        return _said(error.smtp_code, words if isinstance(words, bytes) else str(words).encode())
    if isinstance(error, TimeoutError) or "timed out" in str(error):
        return "no answer in time"
    return _short(str(error) or type(error).__name__)
