"""One rule says what an e-mail address is, wherever one is taken (X3)."""

import json
import re
from pathlib import Path

import pytest
from django.core.exceptions import ValidationError
from django.test import Client

from operators.email_fields import AddressField, AddressValidator
from operators.models import Account, Operator
from operators.validators import validate_addresses
from tests import people
from webim_offline.foundation import environment
from webim_offline.foundation.email_addresses import is_address

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
    "мария@mail.example",
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
