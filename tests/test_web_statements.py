"""A page's statement is stopped after a while and the asker told so; other processes' statements are not (X3)."""

import json
import os
import subprocess
import sys
import time

import pytest
from django.conf import settings as project_settings
from django.db import connection
from django.test import Client

from tests import people

pytestmark = pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no time limit of a statement")


def sleep(*arguments, **named):
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(20)")


def limit_of_a_new_connection():
    connection.close()
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        return cursor.fetchone()[0]


@pytest.fixture
def client(transactional_db, settings):
    """A client of pages whose connection is new, as in a page thread of a server."""
    settings.WEB_STATEMENT_TIMEOUT = 0.3
    yield Client(raise_request_exception=False)
    connection.close()


@pytest.fixture
def as_anna(client, anna):
    client.force_login(anna)
    connection.close()
    return client


@pytest.mark.parametrize("headers", [{}, {"X-Requested-With": "fetch"}])
def test_a_page(as_anna, monkeypatch, headers):
    monkeypatch.setattr("dialogs.views.panels.panels", sleep)
    began = time.monotonic()
    answer = as_anna.get("/workspace/", headers=headers)
    assert time.monotonic() - began < 15
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert "This took too long and was stopped." in answer.content.decode()
    monkeypatch.undo()
    assert as_anna.get("/workspace/").status_code == 200


def test_the_widget(client, account, monkeypatch):
    people.make_visitor(account, token="t" * 32)
    connection.close()
    monkeypatch.setattr("dialogs.views.visitor_api.VisitorView.conversation", sleep)
    body = json.dumps({"account": account.slug, "token": "t" * 32})
    answer = client.post("/widget/api/conversation", body, content_type="text/plain")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert answer.json()["detail"].startswith("This took too long and was stopped.")


def test_only_pages_have_a_limit(as_anna):
    assert as_anna.get("/workspace/").status_code == 200
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone()[0] == "300ms"
    assert limit_of_a_new_connection() == "0"


def test_only_pages_plan_a_statement_once_for_any_values(as_anna, settings):
    settings.WEB_STATEMENT_TIMEOUT = 0

    def mode():
        with connection.cursor() as cursor:
            cursor.execute("SHOW plan_cache_mode")
            return cursor.fetchone()[0]

    connection.close()
    assert as_anna.get("/workspace/").status_code == 200
    assert mode() == "force_generic_plan"
    connection.close()
    assert mode() == "auto"


def test_it_is_ten_seconds():
    assert project_settings.WEB_STATEMENT_TIMEOUT == 10


def test_commands_and_workers_have_none(transactional_db):
    code = (
        "import webim_offline.startup; from django.db import connection as c; k = c.cursor(); k.execute('SHOW statement_timeout');"
    )
    code += " print(k.fetchone()[0])"
    name = connection.settings_dict["NAME"]
    url = os.environ["DATABASE_URL"].rpartition("/")[0] + f"/{name}"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=project_settings.BASE_DIR,
        env=os.environ | {"DATABASE_URL": url},
    )
    assert done.stdout.strip() == "0"
