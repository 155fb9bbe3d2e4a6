"""What no request may hold is refused once, for every address, with a sentence and never with a 500 (X3)."""

import pytest
from django.http.request import UnreadablePostError
from django.test import Client
from django.test.client import FakePayload
from django.urls import reverse

from dialogs.models import Message
from tests import people
from webim_offline.foundation.http.wsgi_handler import Handler

KEPT = "The request holds characters that cannot be kept. Leave them out and try again."
FORM = "application/x-www-form-urlencoded"
B = "b0undary"
MULTIPART = f"multipart/form-data; boundary={B}"


def part(head, value="tea"):
    return f"--{B}\r\nContent-Disposition: form-data; {head}\r\n\r\n{value}\r\n--{B}--\r\n".encode()


@pytest.fixture
def as_vera(account):
    client = Client(raise_request_exception=False)
    client.force_login(people.make_operator(account, "vera", role="supervisor"))
    return client


@pytest.fixture
def url(account):
    return f"/workspace/{people.start_dialog(account).number}/answer/"


@pytest.mark.parametrize(
    "address",
    [
        "/workspace/?a%00b=1",
        "/workspace/?open=%00",
        "/workspace/archive/?state=%00",
        "/workspace/%00/",
        "/nothing/%00",
        "/admin/dialogs/dialog/?department__id__exact=%00",
        "/admin/operators/operator/?role=%00",
        "/admin/operators/operator/%00/change/",
        "/accounts/login/?next=%00",
        "/widget/north-tea%00.js",
        "/widget/north-tea.js?%00",
        "/metrics?%00",
        "/demo/?lang=%00",
    ],
)
def test_nul_in_an_address_or_a_query(as_vera, address):
    answer = as_vera.get(address)
    assert answer.status_code == 400
    assert KEPT in answer.content.decode()


def test_nul_in_the_key_of_an_answer(as_vera, url):
    answer = as_vera.post(url, {"text": "tea", "key": "k\x00"}, headers={"X-Requested-With": "fetch"})
    assert (answer.status_code, answer.json()) == (400, {"error": KEPT})
    assert not Message.objects.filter(kind="operator").exists()


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (FORM, b"text=tea&key=%00"),
        (FORM, b"text=tea&key=\x00"),
        (FORM, b"text=tea&%00=1"),
        (MULTIPART, part('name="key"', "a\x00b")),
        (MULTIPART, part('name="a\x00b"')),
        (MULTIPART, part("name*=utf-8''a%00b")),
        (MULTIPART, part('name="a\x00b"; filename="a.txt"')),
    ],
)
def test_nul_in_a_form(as_vera, url, content_type, body):
    answer = as_vera.post(url, body, content_type=content_type)
    assert answer.status_code == 400
    assert KEPT in answer.content.decode()


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (MULTIPART, part("name*=unicode_escape''%5Cud800")),
        (MULTIPART, part("name*=rot13''tea")),
        (MULTIPART, part("name*=no-such-thing''tea")),
        (MULTIPART, b"no part at all"),
        ("multipart/form-data", b"no boundary"),
        ("multipart/form-data; boundary=я".encode().decode("latin-1"), b""),
        (MULTIPART, part('name="a"; filename="a"\r\nContent-Transfer-Encoding: base64', "%%%")),
        (f"{FORM}; charset=utf-16", b"text=tea"),
        (f"{FORM}; charset=rot13", b"text=tea"),
        (f"{MULTIPART}; charset=unicode_escape", part('name="text"', "\\ud800")),
        (f"{MULTIPART}; charset=no-such-thing", part('name="text"')),
        (FORM, b"&".join(b"a%d=1" % number for number in range(1_001))),
        (FORM, b"text=" + b"x" * 300_000),
        (MULTIPART, part('name="text"', "x" * 300_000)),
        (MULTIPART, part('name="text"; filename="a.txt"', "x" * 300_000)),
        ("application/json", b"{"),
        ("text/plain", b"\xff\xfe"),
        ("", b"text=tea"),
        ("nonsense", b"text=tea"),
        ("application/x-www-form-urlencoded", b"%ff%fe%80=%ff&text=%ed%a0%80"),
    ],
)
@pytest.mark.parametrize("checks", [False, True], ids=["", "with token"])
def test_a_form_that_is_none_is_never_a_failure_of_ours(account, url, content_type, body, checks):
    client = Client(raise_request_exception=False, enforce_csrf_checks=checks)
    client.force_login(people.make_operator(account, "vera", role="supervisor"))
    answer = client.generic("POST", url, body, content_type=content_type)
    assert answer.status_code in {400, 403, 413}
    assert not Message.objects.filter(kind="operator").exists()


STRANGE = [
    *(f"text/html; charset={charset}" for charset in ("rot13", "unicode_escape", "utf-16", "hex", "no-such-thing", "utf-7")),
    "text/html; charset*=rot13''tea",
    "text/html; charset=" + "x" * 100_000,
]


@pytest.mark.parametrize("content_type", STRANGE, ids=lambda text: text[:40])
@pytest.mark.parametrize("query", ["q=%5Cud800", "&".join(f"a{number}=1" for number in range(1_001))], ids=["one", "many"])
def test_a_query_in_a_strange_encoding(db, rf, content_type, query):
    """As a server asks: the test client makes requests of its own."""
    answers = []
    environ = rf.get(f"/accounts/login/?{query}").environ | {"CONTENT_TYPE": content_type}
    body = Handler()(environ, lambda status, headers: answers.append(status))
    assert "cannot be understood" in b"".join(body).decode()
    assert answers == ["400 Bad Request"]


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", '"utf-8"', "us-ascii", "ISO-8859-1"])
def test_an_ordinary_encoding(as_vera, charset):
    assert as_vera.get("/workspace/archive/?q=tea", CONTENT_TYPE=f"text/html; charset={charset}").status_code == 200


def test_what_is_too_large_is_not_read(as_vera, url, monkeypatch):
    monkeypatch.setattr(FakePayload, "read", lambda *arguments: pytest.fail("it was read"))
    for address in (url, "/accounts/login/", "/nothing/", "/widget/api/messages", "/admin/"):
        answer = as_vera.post(address, b"x" * 300_000, content_type=FORM)
        assert answer.status_code == 413, address
        assert "The request is too large." in answer.content.decode(), address


def test_a_body_that_nobody_needs_is_not_read(as_vera, monkeypatch):
    monkeypatch.setattr(FakePayload, "read", lambda *arguments: pytest.fail("it was read"))
    assert as_vera.post("/nothing/", b"text=%00", content_type=FORM).status_code == 404
    assert as_vera.post("/widget/north-tea.js", b"text=%00", content_type=FORM).status_code == 405


def test_a_form_that_breaks_off(as_vera, url, monkeypatch):
    def broken(*arguments):
        raise UnreadablePostError("the client went away")

    monkeypatch.setattr(FakePayload, "read", broken)
    assert as_vera.post(url, b"text=tea&key=k", content_type=FORM).status_code == 400


@pytest.mark.parametrize("cookie", ['sessionid="\\000bcdefghijklmnop"', 'csrftoken="\\000"', 'django_language="\\000"'])
def test_a_cookie_with_nul_is_none(account, cookie):
    client = Client(raise_request_exception=False)
    client.cookies.load(cookie)
    assert client.get("/accounts/login/").status_code == 200
    assert client.get("/workspace/").status_code == 302


@pytest.mark.parametrize(
    ("headers", "language", "kind"),
    [
        ({"Accept-Language": "ru"}, "ru", "text/html"),
        ({"Accept-Language": "ru", "X-Requested-With": "fetch"}, "", "application/json"),
    ],
)
def test_it_is_said_as_the_asker_can_show_it(as_vera, headers, language, kind):
    answer = as_vera.get("/workspace/panel/?open=%00", headers=headers)
    assert answer.status_code == 400
    assert answer["Content-Type"].startswith(kind)
    assert answer["Cache-Control"] == "no-store"
    if language:
        assert f'<html lang="{language}">' in answer.content.decode()


def test_the_widget_can_read_it_from_its_own_site(account):
    answer = Client().post("/widget/api/session?%00", b"{}", content_type="text/plain")
    assert (answer.status_code, answer.json()) == (400, {"detail": KEPT})
    assert answer["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"tea"', b"1e999", b"[" * 50_000, b"\xff", b'{"account": "\\ud800"}'])
@pytest.mark.parametrize("verb", ["session", "ticket", "conversation", "messages", "contacts", "end"])
def test_json_that_is_none_is_never_a_failure_of_ours(account, verb, body):
    answer = Client(raise_request_exception=False).post(f"/widget/api/{verb}", body, content_type="text/plain")
    assert answer.status_code == 400
    assert answer.json()["detail"]


def test_every_list_of_the_admin_refuses_nul(as_vera):
    for name in (
        "operators_account",
        "operators_operator",
        "operators_department",
        "dialogs_dialog",
        "notifications_outgoingemail",
    ):
        for asked in ("o", "p", "created_at__year", "account", "e"):
            answer = as_vera.get(reverse(f"admin:{name}_changelist"), {asked: "\x00"})
            assert answer.status_code == 400, (name, asked)
            assert KEPT in answer.content.decode()
