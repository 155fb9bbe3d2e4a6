"""One rule says what an e-mail address is, wherever one is taken (X3)."""

import json
import re
from pathlib import Path

import pytest
from django.core.exceptions import ValidationError
from django.test import Client

from operators.email_fields import AddressField, AddressValidator, listed
from operators.models import Account, Operator
from operators.validators import addresses, validate_addresses
from tests import people
from webim_offline.foundation import environment
from webim_offline.foundation.email_addresses import cleaned_address, is_address

ROOT = Path(__file__).resolve().parent.parent
GOOD = [
    "marina@mail.example",
    "m@x.de",
    "marina.lebedeva+tea@sub.mail.example",
    "o'brien!#$%&*/=?^_`{|}~-@mail.example",
    f"{'a' * 64}@mail.example",
    f"a@{'b' * 63}.example",
    f"a@{'.'.join(['b' * 63] * 3)}.{'c' * 58}",  # 252 octets
    "Marina@MAIL.EXAMPLE",
    "a@пример.рф",
    "a@xn--e1afmkfd.xn--p1ai",
    "a@bücher.example",
    "a@1.2.3.example",
    "a@127.example",
    "мария@mail.example",
    "анна@пример.рф",
    "用户@例子.广告",
    "علی\u200cرضا@mail.example",
    f"{'я' * 32}@mail.example",
]
BAD = [
    "",
    "a",
    "@",
    "a@",
    "@mail.example",
    "a@[127.0.0.1]",
    "x@[1.2.3.4]",
    "x@1.2.3.4",
    "x@10.20.30.40",
    "x@[IPv6:::1]",
    f"{'a' * 65}@mail.example",
    f"{'a' * 300}@mail.example",
    f"a@{'b' * 64}.example",
    f"a@{'.'.join(['b' * 63] * 4)}.example",
    f"{'a' * 64}@{'.'.join(['b' * 60] * 3)}.example",  # 255 octets
    f"a@{'я' * 60}.рф",  # over 63 as DNS holds it
    "a@localhost",
    "a@mail",
    "a@mail.e",
    "a@mail.123",
    "a@.example",
    "a@mail..example",
    "a@mail.example.",
    "a@-mail.example",
    "a@mail-.example",
    "a@ma_il.example",
    "a@mail.example。",
    "a@mail。example",
    "a@mail．example",
    ".a@mail.example",
    "a.@mail.example",
    "a..b@mail.example",
    '"a b"@mail.example',
    '"a@b"@mail.example',
    "a b@mail.example",
    "a@b@mail.example",
    "a@mail .example",
    "a@mail.example\n",
    "a\n@mail.example",
    "a@mail.exa\x00mple",
    "a\x00@mail.example",
    "ма\u202eрия@mail.example",
    "ма\u00a0рия@mail.example",
    f"{'я' * 33}@mail.example",  # 66 octets
    "a,b@mail.example",
    "a<b>@mail.example",
    "a@mail.example\r\nBcc: x@mail.example",
]


@pytest.mark.parametrize("address", GOOD)
def test_addresses(address):
    assert is_address(address)
    AddressValidator()(address)
    validate_addresses(address)
    Operator(username="a", name="A", email=address).clean_fields(exclude={"password", "account"})


@pytest.mark.parametrize("address", BAD)
def test_what_is_none(address):
    assert not is_address(address)
    with pytest.raises(ValidationError):
        AddressValidator()(address)


@pytest.mark.parametrize("address", ["a@[127.0.0.1]", "x@[1.2.3.4]", f"{'a' * 300}@mail.example", f"{'a' * 65}@mail.example"])
class TestEveryDoor:
    def test_a_visitors_contacts(self, account, address):
        def post(verb, **body):
            body |= {"account": account.slug, "visit": "visit-000001", "department": "support"}
            return Client().post(f"/widget/api/{verb}", json.dumps(body), content_type="text/plain")

        message = {"token": post("session").json()["token"], "text": "Hello", "key": "key-00000001", "from_form": True}
        refused = post("messages", **message, contacts={"email": address})
        assert refused.status_code == 400
        assert set(refused.json()["fields"]) == {"email"}

    def test_an_accounts_list(self, account, address):
        account.left_messages_email = f"team@mail.example, {address}"
        with pytest.raises(ValidationError) as refusal:
            account.full_clean()
        assert set(refusal.value.message_dict) == {"left_messages_email"}

    def test_an_operator_in_the_admin(self, client, account, vera, anna, address):
        client.force_login(vera)
        url = f"/admin/operators/operator/{anna.pk}/change/"
        form = client.get(url).context["adminform"].form
        data = {name: value for name, value in form.initial.items() if name in form.fields and value not in (None, False)}
        answer = client.post(url, data | {"email": address, "departments": [], "languages": []})
        assert answer.status_code == 200
        assert "email" in answer.context["adminform"].form.errors
        anna.refresh_from_db()
        assert anna.email != address

    def test_the_sender(self, monkeypatch, address):
        monkeypatch.setenv("EMAIL_FROM", address)
        with pytest.raises(environment.Refused, match="not an e-mail address"):
            environment.sender("EMAIL_FROM", "")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a@b.example, c@d.example", ["a@b.example", "c@d.example"]),
        ("a@b.example;c@d.example;", ["a@b.example", "c@d.example"]),
        ("a@b.example\r\nc@d.example\n\n", ["a@b.example", "c@d.example"]),
        ("Anna <a@b.example>; Boris Petrov <c@d.example>", ["a@b.example", "c@d.example"]),
        ('"Petrov, Boris; sales" <c@d.example>, a@b.example', ["c@d.example", "a@b.example"]),
        ("<a@b.example>", ["a@b.example"]),
        ("Анна <анна@пример.рф>\x00,\u200ea@b.example", ["анна@пример.рф", "a@b.example"]),
        ("a@b.example, A <a@b.example>", ["a@b.example"]),
        (" ;,\n", []),
    ],
)
def test_a_list_of_addresses(text, found):
    assert addresses(text) == found
    assert addresses(listed(text)) == found


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("Petrov, Boris <c@d.example>", "Petrov"),
        ("a@b.example c@d.example", "a@b.example c@d.example"),
        ("Anna <a@b.example", "Anna <a@b.example"),
        ("Anna <a@b.example> c@d.example", "Anna <a@b.example> c@d.example"),
        ("a@b.example\nBcc: c@d.example", "Bcc: c@d.example"),
    ],
)
def test_a_list_says_which_one_is_wrong(text, wrong):
    with pytest.raises(ValidationError, match="is not an email address") as refusal:
        validate_addresses(text)
    assert f"“{wrong}”" in refusal.value.messages[0]


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("\ufeffa@b.example\u200b\n", "a@b.example"),
        ("a\u00ad@b.exam\u2060ple", "a@b.example"),
        ("a\u200d@b.example", "a@b.example"),
        ("\u202ea@b.example\x00", "a@b.example"),
        ("علی\u200cرضا@mail.example", "علی\u200cرضا@mail.example"),
        ("и\u0306@mail.example", "й@mail.example"),
    ],
)
def test_nobody_is_refused_for_what_they_cannot_see_in_an_address(typed, stored):
    assert cleaned_address(typed) == stored
    assert is_address(stored)


class TestInternationalAddresses:
    """C6: before the @ our mail server must know SMTPUTF8, and a form says so where it does not."""

    WITHOUT = environment.mail_server("smtp://mail.example")
    WITH = environment.mail_server("smtp://mail.example?smtputf8=1")

    @pytest.mark.parametrize("address", ["анна@пример.рф", "üwe@mail.example", "用户@mail.example", "josé.garcía@mail.example"])
    def test_it_depends_on_the_mail_server(self, settings, address):
        for server in (None, self.WITH):
            settings.MAIL_SERVER = server
            AddressValidator()(address)
            validate_addresses(f"a@b.example; {address}")
        settings.MAIL_SERVER = self.WITHOUT
        for check in (AddressValidator(), AddressValidator("Another sentence."), validate_addresses):
            with pytest.raises(ValidationError) as refusal:
                check(address)
            assert f"Our mail server cannot send to “{address}”" in refusal.value.messages[0]

    @pytest.mark.parametrize("address", ["anna@пример.рф", "a@bücher.example", "a@mail.example"])
    def test_every_server_takes_any_domain(self, settings, address):
        settings.MAIL_SERVER = self.WITHOUT
        AddressValidator()(address)
        validate_addresses(address)

    def test_a_visitor_is_told(self, account, settings):
        settings.MAIL_SERVER = self.WITHOUT

        def post(verb, **body):
            body |= {"account": account.slug, "visit": "visit-000001", "department": "support"}
            return Client().post(f"/widget/api/{verb}", json.dumps(body), content_type="text/plain")

        message = {"token": post("session").json()["token"], "text": "Hello", "key": "key-00000001", "from_form": True}
        refused = post("messages", **message, contacts={"email": "анна@пример.рф"})
        assert refused.status_code == 400
        assert refused.json()["fields"]["email"].startswith("Our mail server cannot send to “анна@пример.рф”")

    def test_our_own_address_is_plain(self, monkeypatch):
        monkeypatch.setenv("EMAIL_FROM", "чай@mail.example")
        with pytest.raises(environment.Refused, match="not an e-mail address"):
            environment.sender("EMAIL_FROM", "")

    @pytest.mark.parametrize(
        ("url", "has_it"), [("?smtputf8=1", True), ("?smtputf8=0", False), ("", False), ("?starttls=1&smtputf8=on", True)]
    )
    def test_the_environment_says_what_the_server_has(self, url, has_it):
        assert environment.mail_server(f"smtp://mail.example{url}").smtputf8 is has_it


def test_the_field_of_a_list_has_lines(client, account, vera):
    """A browser takes line breaks out of a field that has none."""
    client.force_login(vera)
    url = f"/admin/operators/account/{account.pk}/change/"
    page = client.get(url)
    assert '<textarea name="left_messages_email"' in page.content.decode()
    form = page.context["adminform"].form
    data = {name: value for name, value in form.initial.items() if name in form.fields and value not in (None, False)}
    listed_ = "Anna <a@mail.example>;\r\nb@mail.example\r\n"
    inlines = {
        f"{one.formset.prefix}-{name}_FORMS": 0 for one in page.context["inline_admin_formsets"] for name in ("TOTAL", "INITIAL")
    }
    answer = client.post(url, data | inlines | {"left_messages_email": listed_, "own_password": people.PASSWORD})
    assert answer.status_code in {200, 302}
    if answer.status_code == 200:
        assert "left_messages_email" not in answer.context["adminform"].form.errors
        assert answer.context["adminform"].form.cleaned_data["left_messages_email"] == "a@mail.example, b@mail.example"


@pytest.mark.parametrize("sender", ["noreply@localhost", "Tea <noreply@localhost>", "Tea <tea@mail.example>"])
def test_the_installations_own_sender_may_be_at_this_machine(monkeypatch, sender):
    monkeypatch.setenv("EMAIL_FROM", sender)
    assert environment.sender("EMAIL_FROM", "") == sender
    with pytest.raises(ValidationError):
        validate_addresses("noreply@localhost")


def test_every_column_for_an_address_has_the_rule():
    for model, name in [(Operator, "email"), (people.Visitor, "email")]:
        assert isinstance(model._meta.get_field(name), AddressField)
    assert Account._meta.get_field("left_messages_email").validators[0] is validate_addresses
    sources = [path for room in ("operators", "dialogs", "notifications") for path in (ROOT / room).rglob("*.py")]
    for path in sources:
        if "migrations" not in path.parts:
            assert not re.search(r"\bvalidate_email\b|(models|forms|serializers)\.EmailField\(", path.read_text()), path


def test_the_widget_lets_the_server_decide():
    """Its own check is a hint while typing: it must not refuse what the server takes."""
    source = (ROOT / "dialogs/static/dialogs/window/checks.js").read_text()
    (pattern,) = re.findall(r"const EMAIL = /(.*)/;", source)
    assert [address for address in GOOD if not re.match(pattern, address)] == []
