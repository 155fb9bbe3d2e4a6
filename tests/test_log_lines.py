"""A log line is one line, whatever a client made us write, and holds nothing that people typed (X3)."""

import io
import logging
import re
import subprocess
import sys

import pytest
from django.conf import settings as project_settings
from django.test import Client

from tests import people
from webim_offline.foundation.logs.lines import MARK, OneLine
from webim_offline.foundation.logs.security import MOST_LINES

FORGED = [
    "tea\nCRITICAL forged",
    "tea\r\nCRITICAL forged",
    "tea\x00\x01\x07\x08\x1b[2J\x7f",
    "tea\x85CRITICAL",
    "tea\x9b31m",
    "tea\u2028CRITICAL\u2029forged",
    "tea\u202egnp.exe\u2066\u2069\u200f\u061c",
    "tea\ud800",
    "tea\v\fCRITICAL",
]


def written(message, *arguments, error=None):
    info = (type(error), error, error.__traceback__) if error else None
    record = logging.LogRecord("test", logging.WARNING, __file__, 1, message, arguments, info)
    return OneLine("%(levelname)s %(name)s: %(message)s").format(record)


@pytest.mark.parametrize("text", FORGED, ids=ascii)
def test_a_message_is_one_line_that_can_be_seen(text):
    line = written("asked for %s", text)
    assert line.isprintable()
    assert line.startswith("WARNING test: asked for tea\\")
    assert line.encode("utf-8")


@pytest.mark.parametrize("text", FORGED, ids=ascii)
def test_in_a_traceback_no_line_of_a_clients_begins_like_one_of_ours(text):
    try:
        raise ValueError(text)
    except ValueError as error:
        first, *others = written("failed", error=error).split("\n")
    assert first == "WARNING test: failed"
    assert others
    for line in others:
        assert line.startswith(MARK)
        assert line.isprintable()


def test_a_line_has_an_end():
    assert len(written("asked for %s", "x" * 1_000_000)) < 3_000

    def deep(number):
        if number:
            deep(number - 1)
        raise ValueError("x" * 1_000_000)

    with pytest.raises(ValueError) as failure:
        deep(500)
    assert len(written("failed", error=failure.value)) < 50_000


WRITE = """
import logging, sys
{before}
for name in {names!r}:
    logging.getLogger(name).error("asked for %s", "tea\\nCRITICAL forged")
"""


@pytest.mark.parametrize(
    ("before", "names"),
    [
        (
            "from uvicorn.config import Config; Config('x', log_level='warning'); import webim_offline.asgi",
            ["uvicorn.error", "uvicorn.access", "uvicorn", "django.server", "asyncio", "websockets.server"],
        ),
        (
            "from granian.log import *; configure_logging(LogLevels.warning); import webim_offline.wsgi",
            ["_granian", "granian.access", "django.request"],
        ),
        (
            "from webim_offline.celery import app; app.log.setup(loglevel='WARNING', redirect_stdouts=True)",
            ["celery", "celery.task", "celery.worker.strategy", "celery.app.trace", "kombu", "dialogs"],
        ),
    ],
    ids=["uvicorn", "granian", "celery"],
)
def test_servers_and_workers_write_so_too(before, names):
    """They bring handlers of their own."""
    code = WRITE.format(before=before, names=names)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, cwd=project_settings.BASE_DIR, check=True
    )
    assert [line.split(" ", 2)[2] for line in done.stderr.splitlines()] == [
        f"ERROR {name}: asked for tea\\nCRITICAL forged" for name in names
    ]
    assert done.stdout == ""


class TestRequests:
    @pytest.fixture
    def lines(self, db):
        """What our handler writes, without the time."""
        (handler,) = [one for one in logging.getLogger().handlers if isinstance(one.formatter, OneLine)]
        written = io.StringIO()
        before = handler.setStream(written)
        yield lambda: [line.split(" ", 2)[2] for line in written.getvalue().splitlines()]
        handler.setStream(before)

    @pytest.fixture
    def as_vera(self, client, account):
        client.raise_request_exception = False
        client.force_login(people.make_operator(account, "vera", role="supervisor"))
        return client

    def test_a_forged_filter_of_the_admin_is_one_short_line(self, as_vera, lines):
        answer = as_vera.get("/admin/dialogs/dialog/?x%0aCRITICAL%20FAKE=marina@mail.example")
        assert answer.status_code == 400
        (line,) = lines()
        assert re.fullmatch(
            r"WARNING security: event=denial outcome=refused operator=\d+ account=\d+ network=127.0.0.1 reason=lookup", line
        )

    def test_a_page_that_is_not_there_is_told_without_its_query(self, client, lines):
        client.get("/nothing%0aCRITICAL/?q=marina@mail.example")
        (line,) = lines()
        assert line == "WARNING django.request: 404 GET /nothing\\nCRITICAL/"

    def test_of_many_of_them_some_are(self, client, lines):
        for _ in range(100):
            client.get("/nothing/")
        assert len(lines()) == MOST_LINES

    @pytest.mark.parametrize(
        ("ask", "reason"),
        [
            (lambda client: client.get("/accounts/login/", {"next": "a\x00b"}), "event=input outcome=refused .*not_text"),
            (lambda client: client.get("/", headers={"Host": "evil.example"}), "event=denial outcome=refused .*host"),
            (lambda client: client.post("/accounts/login/", {"username": "anna"}), "event=denial outcome=refused .*csrf"),
            (lambda client: client.get("/metrics", REMOTE_ADDR="192.0.2.9"), "event=denial .* network=192.0.2.9 reason=metrics"),
            (lambda client: client.post("/widget/api/session", b"{", content_type="text/plain"), "event=input .*parse_error"),
            (lambda client: client.post("/widget/api/session", b"{}", content_type="image/png"), "event=input .*unsupported"),
            (
                lambda client: client.post("/widget/api/session", b"1" * 140_000, content_type="text/plain"),
                "event=input .*too_large",
            ),
            (
                lambda client: client.post(
                    "/widget/api/conversation",
                    b'{"account": "north-tea", "token": "unknown"}',
                    content_type="text/plain",
                ),
                r"event=denial outcome=refused account=\d+ network=127.0.0.1 reason=unknown_token",
            ),
        ],
    )
    def test_what_is_refused_is_told_once_without_a_word_of_the_client(self, lines, account, ask, reason):
        assert ask(Client(enforce_csrf_checks=True, raise_request_exception=False)).status_code in {400, 401, 403, 413, 415}
        (line,) = lines()
        assert re.match(f"WARNING security: {reason}", line), line
        assert "\n" not in line

    def test_a_foreign_site_is_told(self, lines, account):
        account.sites = "https://tea.example"
        account.save(update_fields=["sites"])
        body = b'{"account": "north-tea", "visit": "visit-000001"}'
        headers = {"Origin": "https://evil.example"}
        assert Client().post("/widget/api/session", body, content_type="text/plain", headers=headers).status_code == 403
        (line,) = lines()
        assert line.endswith(f"event=denial outcome=refused account={account.pk} network=127.0.0.1 reason=foreign_site")

    def test_a_page_one_may_not_open_is_told_with_who_asked(self, client, anna, lines):
        client.force_login(anna)
        assert client.get("/workspace/team/").status_code == 403
        (line,) = lines()
        assert f"event=denial outcome=refused operator={anna.pk} account={anna.account_id} " in line
