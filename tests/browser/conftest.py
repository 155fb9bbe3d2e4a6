"""A server of its own with the demo account, and Chromium, for tests that drive the faces as people do."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import textwrap
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect, sync_playwright

from tests.browser.faces import SOON
from webim_offline.commands import LIVE_OPTIONS

ROOT = Path(__file__).resolve().parents[2]
expect.set_options(timeout=SOON)
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
HELPER = """
import contextlib, io, json, sys, threading, time, traceback
from datetime import timedelta
import django
django.setup()
from django.db import OperationalError
from dialogs.actions import assignment_by_hand, conversation
from dialogs.actions.presence import end_lost_visits
from dialogs.models import *
from operators.actions.settings import change_settings
from operators.actions.status import set_status
from operators.models import *
from webim_offline.foundation.database.clock import database_now
def sweep():
    while True:
        time.sleep(1)
        with contextlib.suppress(OperationalError):  # the file was locked for long: the next one
            end_lost_visits()
threading.Thread(target=sweep, daemon=True).start()
for line in sys.stdin:
    said, problem = io.StringIO(), ""
    try:
        with contextlib.redirect_stdout(said):
            exec(json.loads(line), dict(globals()))
    except BaseException:
        problem = traceback.format_exc()
    print(json.dumps([said.getvalue(), problem]), flush=True)
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """The embedded web and live server on its own SQLite file. `run` does something behind the scenes, in another process.

    That process also ends lost visits each second, as the clock worker does: a page that wrote and then fell silent is let go
    by the live process before its message's lease is over, and nobody else would end it (P2, P9).
    """

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.env = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "REDIS_URL", "EMAIL_URL"}}
        self.env |= {
            "VAR_DIR": str(folder),
            "PORT": str(self.port),
            "DJANGO_SETTINGS_MODULE": "webim_offline.settings",
            "PYTHONPATH": str(ROOT),
            "EMAIL_URL": f"smtp://127.0.0.1:{free_port()}",
        }
        self.manage("migrate", "--verbosity=0")
        self.manage("load_demo")
        self.process: subprocess.Popen[bytes] | None = None
        self.start()
        self.helper = subprocess.Popen(
            [sys.executable, "-c", HELPER], cwd=ROOT, env=self.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def manage(self, *words: str) -> None:
        subprocess.run([sys.executable, "manage.py", *words], cwd=ROOT, env=self.env, check=True, stdout=subprocess.DEVNULL)

    def start(self) -> None:
        command = [sys.executable, "-m", "uvicorn", "webim_offline.asgi:application", "--port", str(self.port)]
        self.process = subprocess.Popen([*command, *LIVE_OPTIONS], cwd=ROOT, env=self.env)
        until = time.monotonic() + 120  # a busy machine
        while time.monotonic() < until:
            try:
                httpx.get(f"{self.url}/demo/")
            except httpx.TransportError:
                time.sleep(0.1)
            else:
                return
        raise RuntimeError("the server did not start")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
        self.process = None

    def run(self, code: str) -> str:
        """Run Python with models and actions at hand; returns what it prints."""
        assert self.helper.stdin is not None
        assert self.helper.stdout is not None
        self.helper.stdin.write(json.dumps(textwrap.dedent(code)) + "\n")
        self.helper.stdin.flush()
        said, problem = json.loads(self.helper.stdout.readline())
        assert not problem, problem
        return said.strip()

    def choose(self, login: str, status: str) -> None:
        """The operator chose a status a moment ago, with the workspace open."""
        self.run(f"""
            person = Operator.objects.get(username={login!r})
            set_status(person, {status!r})
            Operator.objects.filter(pk=person.pk).update(last_seen_at=database_now())
        """)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """The demo account on a free port; everybody is offline until `choose` says otherwise."""
    server = Server(tmp_path_factory.mktemp("var"))
    yield server
    server.helper.kill()
    server.helper.wait(10)
    server.stop()


@pytest.fixture(autouse=True)
def nobody_stays_online(request):
    """Each test begins with everybody offline, whichever file ran before it on the same server."""
    yield
    if "server" in request.fixturenames:
        request.getfixturevalue("server").run("""
            for person in Operator.objects.exclude(account=None).exclude(status="offline"):
                set_status(person, "offline")
        """)


@pytest.fixture(scope="session")
def chromium():
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed (make test-deps)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def people(chromium):
    """Makes browsers of different people; each page keeps what its console and its policy complained about in `.problems`."""
    contexts = []

    def make(**options):
        context = chromium.new_context(**{"locale": "en-GB", "viewport": {"width": 1440, "height": 900}} | options)
        context.set_default_timeout(10_000)
        contexts.append(context)
        return context

    yield make
    for context in contexts:
        context.close()


@pytest.fixture
def visitor(people):
    """One English-speaking visitor's browser."""
    return people()


def complain(page, message):
    """Keeps a message of the console that is a problem: all but Chromium's note that a ring waits for the first press on the page.

    Whether a page may sound before that, Chromium does not say without being asked to sound (it may: after a reload, or where it
    knows the site), so rings ask.
    """
    if message.type in {"error", "warning"} and "AudioContext was not allowed to start" not in message.text:
        page.problems.append(message.text)


@pytest.fixture(scope="session")
def signed_in():
    """Cookies of who has signed in on the server: most tests are not about the sign-in page."""
    return {}


@pytest.fixture
def sign_in(people, server, signed_in):
    """Signs a person of the demo account in, by the form once a run; their page, on the workspace."""

    def sign_in(login, **options):
        page = people(**options).new_page()
        page.problems = []
        page.on("console", lambda message: complain(page, message))
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        page.context.add_cookies(signed_in.get(login, []))
        page.goto(f"{server.url}/workspace/")
        if "/accounts/login/" in page.url:
            page.locator("[name=username]").fill(login)
            page.locator("[name=password]").fill(f"{login}-demo")
            page.locator("[name=password]").press("Enter")
            page.wait_for_url("**/workspace/")
            signed_in[login] = [cookie for cookie in page.context.cookies() if cookie["name"] == "sessionid"]
        return page

    return sign_in


@pytest.fixture
def write(server):
    """A fresh visitor of the demo account writes; the dialog's number."""

    def write(name, text="Where is my order?"):
        return int(
            server.run(f"""
                import secrets
                account = Account.objects.get(slug="demo")
                visitor = Visitor.objects.create(account=account, token_digest=secrets.token_hex(8), name={name!r})
                submission = conversation.Submission(text={text!r}, key=secrets.token_hex(8), department="support")
                print(conversation.visitor_writes(account.pk, visitor.pk, submission).dialog.number)
            """)
        )

    return write


AS_MADE = """
    Account.objects.filter(slug="demo").update(assignment="manual", max_online_dialogs=0, max_offline_dialogs=0)
    Account.objects.filter(slug="demo").update(visible_online_dialogs=100, visible_offline_dialogs=50)
    Operator.objects.update(max_online_dialogs=None, max_offline_dialogs=None, status="offline")
    boris = Operator.objects.get(username="boris")
    boris.departments.set(Department.objects.filter(account=boris.account, slug="sales"))
    boris.languages.set(Language.objects.filter(account=boris.account, code="ru"))
    Department.objects.filter(account=boris.account).exclude(slug__in=["support", "sales"]).delete()
    for dialog in Dialog.objects.filter(state__in=OPEN_STATES):
        conversation.close_by_operator(dialog.pk, Operator.objects.get(username="vera"))
    Dialog.objects.exclude(state__in=OPEN_STATES).update(state="closed", closes_at=None, wake_at=None)
"""


@pytest.fixture
def quiet(server):
    """The demo account as it was made, without open dialogs, before a test and after it."""
    server.run(AS_MADE)
    yield
    server.run(AS_MADE)


@pytest.fixture
def chat(people, server):
    """A visitor writes through the widget of the demo site: their page and the dialog's number."""

    def chat(text):
        page = people().new_page()
        page.goto(f"{server.url}/demo/")
        expect(page.get_by_role("button", name="Chat with us")).to_be_visible()  # Anna has just come online
        page.get_by_role("button", name="Chat with us").click()
        window = page.get_by_role("dialog")
        window.get_by_role("textbox", name="Message").fill(text)
        window.get_by_role("button", name="Send", exact=True).click()
        expect(window).to_contain_text(re.compile(r"#\d+"))
        return page, int(re.search(r"#(\d+)", window.inner_text()).group(1))

    return chat


@pytest.fixture
def shop():
    """A customer's own web server, on another origin. `shop(html, policy)` puts a page there and returns its address."""
    served = {}

    class Shop(BaseHTTPRequestHandler):
        def do_GET(self):
            html, policy = served["page"]
            self.send_response(200 if self.path == "/" else 204)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            if policy:
                self.send_header("Content-Security-Policy", policy)
            self.end_headers()
            self.wfile.write(html.encode() if self.path == "/" else b"")

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def put(html, policy):
        served["page"] = (html, policy)
        return f"http://localhost:{server.server_port}/"

    yield put
    server.shutdown()
