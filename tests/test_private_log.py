"""No names, addresses or texts of anybody in any log: what the filter takes out, and what a running service really writes."""

import logging
import re

import httpx
import psycopg
import pytest
from django.conf import settings
from django.db import IntegrityError, connection

from operators.models import Operator
from tests.notifications.mail import RunningHost
from tests.running import Service, eventually
from tests.visitors import Page
from webim_offline.foundation.logs.private import TextsStayOut


def written(message, *arguments, error=None):
    """A line as the log's handler writes it."""
    info = (type(error), error, error.__traceback__) if error else None
    record = logging.LogRecord("test", logging.ERROR, __file__, 1, message, arguments, info)
    assert TextsStayOut().filter(record)
    return logging.Formatter().format(record)


def test_the_handler_has_the_filter():
    assert "texts_stay_out" in settings.LOGGING["handlers"]["stderr"]["filters"]


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("letter 7 ended as failed", "letter 7 ended as failed"),
        ("550 <marina@mail.example>: no such user", "550 <(address)>: no such user"),
        ("Адрес марина@почта.рф не найден", "Адрес (address) не найден"),
        ("to=marina@mail.example, status=x", "to=(address), status=x"),
        ("Not Found: /archive/?q=marina&state=open", "Not Found: /archive/?..."),
        ("Referer checking failed - https://chat.example/archive/?q=tea does not match", None),
        ("connection refused. Is the server running on that host?", "connection refused. Is the server running on that host?"),
        ("celery@box ready", "celery@box ready"),
    ],
)
def test_addresses_and_search_words_are_taken_out(said, kept):
    assert written("%s", said) == (kept or said.replace("?q=tea", "?..."))
    assert written(said.replace("%", "%%")) == (kept or said.replace("?q=tea", "?..."))


LOGIN, NAME = "svetozara", "Marfinka\nof the tea shop"  # a traceback quotes lines of the source, and no values


def test_the_row_that_a_database_refused_is_not_told(account):
    Operator.objects.create(username=LOGIN, account=account)
    with pytest.raises(IntegrityError) as refusal:
        Operator.objects.create(username=LOGIN, name=NAME, account=account)
    error = refusal.value
    told = written("dialog %s: %s", 7, error, error=error) + written("Task raised: %r", error, error=error)
    for word in (LOGIN, *NAME.split("\n"), "DETAIL"):
        assert word not in told
    assert "IntegrityError" in told
    assert "in test_the_row_that_a_database_refused_is_not_told" in told, "where it was stays"


def test_what_postgresql_tells_of_a_row_is_left_out():
    said = 'duplicate key value violates unique constraint "one"\nDETAIL:  Key (email)=(marina@mail.example) already exists.'
    try:
        raise psycopg.errors.UniqueViolation(said)
    except psycopg.Error as error:
        lines = written("failed: %s", error, error=error)
    assert "marina" not in lines
    assert lines.count("violates unique constraint") == 2


def test_nor_where_only_its_words_are_left():
    said = 'violates "one"\nDETAIL:  Key (name)=(Marina\nOrlova) already exists.\nCONTEXT:  while inserting'
    assert written("it failed: %s", said) == 'it failed: violates "one"\nCONTEXT:  while inserting'


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite takes any value for any column")
def test_nor_a_value_that_it_could_not_take(db):
    with pytest.raises(Exception, match="invalid input syntax") as refusal, connection.cursor() as cursor:
        cursor.execute("SELECT CAST(%s AS integer)", [LOGIN])
    told = written("failed", error=refusal.value)
    assert LOGIN not in told
    assert "invalid input syntax" in told


def test_an_error_caused_by_a_database_is_told_alike(account):
    Operator.objects.create(username=LOGIN, account=account)
    try:
        try:
            Operator.objects.create(username=LOGIN, account=account)
        except IntegrityError as error:
            raise RuntimeError("the rules failed") from error
    except RuntimeError as error:
        told = written("failed", error=error)
    assert LOGIN not in told
    assert "the rules failed" in told


# ----- a running service -----

SECRETS = {
    "a login that does not exist": "marfinka",
    "a password": "zvezdopad-secret",
    "a search word": "balalaika",
    "a visitor's name": "Svetozara",
    "a visitor's address": "svetozara@pochta.example",
    "a message": "samovarchik",
    "a recipient": "left@demo.example",
    "a person's name": "Orlova",
}


class Staff:
    """A browser of somebody of the staff."""

    def __init__(self, service):
        self.client = httpx.Client(base_url=service.url, follow_redirects=False, timeout=20)
        self.client.get("/accounts/login/")

    def post(self, page, **form):
        return self.client.post(page, data=form | {"csrfmiddlewaretoken": self.client.cookies["csrftoken"]})

    def sign_in(self, name, password):
        return self.post("/accounts/login/", username=name, password=password)


@pytest.fixture
def mail():
    host = RunningHost()
    host.start()
    yield host
    host.stop()


def test_what_a_running_service_writes(tmp_path, mail):
    """Typical flows: signing in and failing to, a visitor's message, its letter refused, searches, a password, signing out."""
    mail.host.on_rcpt = lambda recipient: f"550 {recipient}: no such user Svetozara"
    service = Service(tmp_path / "var", EMAIL_URL=f"smtp://127.0.0.1:{mail.port}")
    try:
        service.start()
        page = Page(service)
        contacts = {"name": SECRETS["a visitor's name"], "email": SECRETS["a visitor's address"]}
        message = page.message(SECRETS["a message"]) | {"contacts": contacts, "from_form": True}
        page.ask("messages", token=page.token, **message)
        page.say_goodbye()
        staff = Staff(service)
        assert staff.sign_in("anna", SECRETS["a password"]).status_code == 200
        assert [staff.sign_in(SECRETS["a login that does not exist"], "x").status_code for _ in range(11)][-1] == 429
        assert staff.sign_in("vera", "vera-demo").status_code == 302
        for address in ("/archive/", "/admin/dialogs/dialog/", "/nowhere/", "/admin/operators/operator/"):
            staff.client.get(address, params={"q": SECRETS["a search word"]})
        referer = f"https://elsewhere.example/archive/?q={SECRETS['a search word']}"
        staff.client.post("/workspace/status/", data={"status": "online"}, headers={"Referer": referer})
        new = {"new_password1": SECRETS["a password"], "new_password2": SECRETS["a password"]}
        assert staff.post("/accounts/password/", old_password="wrong", **new).status_code == 200
        assert staff.post("/accounts/password/", old_password="vera-demo", **new).status_code == 302
        assert staff.post("/accounts/logout/").status_code == 302
        said = eventually(lambda: "ended as" in service.said() and service.said(), within=60)
    finally:
        service.stop()
    for kind, secret in SECRETS.items():
        assert secret.casefold() not in said.casefold(), f"{kind} stands in the log"
    assert "Traceback" not in said
    people = Service(tmp_path / "var").manage("shell", "-v0", "-c", WHO)
    vera, account = re.search(r"vera (\d+) (\d+)", people).groups()
    lines = [line.partition(" security: ")[2] for line in said.splitlines() if " security: " in line]
    for expected in (
        f"event=sign_in outcome=done operator={vera} account={account} network=127.0.0.1",
        "event=sign_in outcome=refused network=127.0.0.1",
        "event=sign_in outcome=limited network=127.0.0.1 reason=login_failures",
        f"event=password outcome=refused operator={vera} account={account} network=127.0.0.1 reason=wrong_password",
        f"event=password outcome=done operator={vera} account={account} network=127.0.0.1",
        f"event=sign_out outcome=done operator={vera} account={account} network=127.0.0.1",
    ):
        assert expected in lines, f"{expected!r} is missing in {lines}"


WHO = "from operators.models import Operator\nfor o in Operator.objects.all(): print(o.username, o.pk, o.account_id)"
