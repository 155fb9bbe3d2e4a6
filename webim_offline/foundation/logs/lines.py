"""The form of log lines: each record is one line, whatever a client has made us write (X3).

A traceback keeps its lines, but each begins with MARK, so that it cannot be taken for a record. The module `private` sees to what
may be in a record.
"""

import logging

from webim_offline.foundation.http.client_address import client_network
from webim_offline.foundation.logs.security import suppressor

LONGEST = 2_000  # characters of a line
MOST_LINES = 200  # of a traceback; the last ones are kept
MARK = "  | "  # no record begins with it
LONGEST_PATH = 100  # characters
NOT_THERE = {404, 405}


def plain(text: str) -> str:
    """Return the text as one line of at most LONGEST characters.

    Whatever cannot be printed is escaped: control characters, line separators, marks that change the direction of writing.
    """
    text = text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


class OneLine(logging.Formatter):
    """The formatter of every handler of the log."""

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
    """A filter that shortens what Django logs about refused requests.

    Requests that were refused are in the security log already, so their records are dropped. Of pages that do not exist a few
    lines a minute are kept, without the query string (which holds the words of searches) and without a traceback. Records of our
    own failures (5xx) stay as they are.
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
