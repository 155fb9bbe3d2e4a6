"""How log lines look: one record is one line, whatever a client made us write (X3). What may stand in it: `private_log`.

A traceback keeps its lines, each behind a mark with which no line of a record begins.
"""

import logging

from webim_offline.client_address import client_network
from webim_offline.security_log import suppressor

LONGEST = 2_000  # characters of a line
MOST_LINES = 200  # of a traceback; the last ones
MARK = "  | "
LONGEST_PATH = 100  # characters
NOT_THERE = {404, 405}


def plain(text: str) -> str:
    """The text as one line: whatever cannot be seen is escaped, control characters, separators and signs of direction too."""
    text = text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


class OneLine(logging.Formatter):
    """The formatter of every handler."""

    def format(self, record: logging.LogRecord) -> str:
        record.message = record.getMessage().rstrip("\n")
        if self.usesTime():
            record.asctime = self.formatTime(record, self.datefmt)
        lines = [plain(self.formatMessage(record))]
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        for text in (record.exc_text, record.stack_info):
            below = text.split("\n") if text else []
            if len(below) > MOST_LINES:
                below = ["…", *below[-MOST_LINES:]]
            lines += [MARK + plain(line) for line in below]
        return "\n".join(lines)


class RequestsInShort(logging.Filter):
    """What Django says of requests that were refused is in the security log already; of pages that are not there, a few lines.

    Without the query, which holds words that people search for, and without a traceback. Failures of ours stay as they are.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        status = getattr(record, "status_code", 500)
        if status >= 500 or not record.name.startswith(("django.request", "django.security")):
            return True
        if status not in NOT_THERE or record.name != "django.request":
            return False
        request = getattr(record, "request", None)
        if not suppressor.lets_through("page", client_network(request) if request else ""):
            return False
        if request:
            record.msg, record.args = "%s %s %s", (status, request.method, request.path[:LONGEST_PATH])
        record.exc_info = record.exc_text = None
        return True
