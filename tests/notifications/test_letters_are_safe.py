"""M4 and X6: nothing a visitor writes adds a header, a recipient or active HTML; links are ours."""

import email
from datetime import UTC, datetime
from email.policy import default
from html.parser import HTMLParser

import pytest
from django.test import override_settings
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dialogs.models import Dialog, Message, Visitor
from notifications.models import LetterKind, OutgoingEmail
from notifications.outgoing import compose, mime
from operators.models import Account, Department, Language
from webim_offline.foundation.text import cleaned

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
HEADERS = {"Message-ID", "From", "To", "Subject", "Date", "Auto-Submitted", "MIME-Version", "Content-Type"}
# what PostgreSQL can store: no NUL, no half of a character
WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=200)
NASTY = st.sampled_from(
    [
        "x\r\nBcc: thief@evil.example",
        "x\nTo: thief@evil.example\n\nbody",
        "x\u2028Bcc: thief@evil.example\x85Cc: thief@evil.example",
        "\r\n.\r\nMAIL FROM:<thief@evil.example>",
        "=?utf-8?q?x=0d=0aBcc:_thief@evil.example?=",
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "<a href='javascript:alert(1)'>x</a>",
        "{{ account }}{% now 'Y' %}",
        "‮gnp.exe",
        "%(name)s %s %%",
        "-" * 5000,
    ]
)
TEXTS = WORDS | NASTY | st.builds("{}{}".format, WORDS, NASTY)
EVIDENCE = {"at": NOON.isoformat(), "department": "Support", "language": "en", "lease": 60, "in_all": 0, "candidates": []}


def mailed(*, name="", contact="", phone="", label="own", own="", text="", title="", page="", subject="", thread=()) -> bytes:
    account = Account(pk=1, name="North Tea", time_zone="Europe/Moscow")
    visitor = Visitor(name=name, email=contact, phone=phone, own_fields={label: own})
    dialog = Dialog(
        account=account,
        number=7,
        visitor=visitor,
        department=Department(name="Support"),
        language=Language(code="en"),
        start_state="offline",
        evidence=EVIDENCE,
        created_at=NOON,
        page_title=title,
        page_url=page,
        in_workspace=True,
    )
    message = Message(text=text, at=NOON, revision=2)
    news = compose.News(LetterKind.FIRST, [message], contacts=compose.contacts_of(dialog))
    letter = compose.compose(dialog, news, language="en", subject=subject)
    return mime.as_bytes(
        OutgoingEmail(
            account=account,
            recipient="left@north.example",
            subject=letter.subject,
            text=letter.text,
            html=letter.html,
            message_id="<0123@chat.north.example>",
            thread=list(thread),
            created_at=NOON,
        )
    )


class Page(HTMLParser):
    """What a mail program would make of the HTML: elements, attributes, links."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: set[str] = set()
        self.words = ""

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        for name, value in attributes:
            self.attributes.add(name)
            if name in {"href", "src", "action", "background"}:
                self.links.add(value)

    def handle_data(self, data):
        self.words += data


PUBLIC = {
    "PUBLIC_URL": "https://chat.north.example",
    "PUBLIC_HOST": "chat.north.example",
    "EMAIL_FROM": "noreply@chat.north.example",
}


@override_settings(**PUBLIC)
@settings(max_examples=60, deadline=None)
@example(*["=?utf-8?q?x=0D=0ABcc:_a@b.c?="] * 8)
@given(name=TEXTS, contact=TEXTS, phone=TEXTS, label=TEXTS, own=TEXTS, text=TEXTS, title=TEXTS, page=TEXTS)
@example("x\r\nBcc: a@b.c", "a@b.c\r\nBcc: a@b.c", "\r\n", "\nBcc", "\r\n\r\n", "\r\n.\r\n", "</title>", "javascript:alert(1)")
def test_no_text_of_a_visitor_changes_what_a_letter_is(name, contact, phone, label, own, text, title, page):
    wire = mailed(name=name, contact=contact, phone=phone, label=label, own=own, text=text, title=title, page=page)
    assert b"\n" not in wire.replace(b"\r\n", b""), "a bare line feed splits a header for some servers"
    assert b"\r" not in wire.replace(b"\r\n", b"")
    assert max(map(len, wire.split(b"\r\n"))) <= 998
    assert wire.isascii()
    mail = email.message_from_bytes(wire, policy=default)
    assert set(mail.keys()) == HEADERS
    assert len(mail.keys()) == len(HEADERS)
    assert [address.addr_spec for address in mail["To"].addresses] == ["left@north.example"]
    assert [address.addr_spec for address in mail["From"].addresses] == ["noreply@chat.north.example"]
    assert mail["Message-ID"] == "<0123@chat.north.example>"
    assert not set(map(ord, mail["Subject"])) & {*range(32), 0x85, 0x2028, 0x2029, 0x202E}
    assert mail["Subject"].startswith("Left message #7: ")
    assert [part.get_content_type() for part in mail.walk()] == ["multipart/alternative", "text/plain", "text/html"]

    html = mail.get_body(("html",)).get_content()
    page_read = Page()
    page_read.feed(html)
    assert page_read.tags <= {
        "html", "head", "meta", "title", "body", "table", "tr", "td", "p", "h1", "span", "div", "a", "br",
    }  # fmt: skip
    assert page_read.attributes <= {
        "lang", "charset", "name", "content", "style", "role", "width", "cellpadding", "cellspacing", "align", "href",
    }  # fmt: skip
    assert page_read.links == {"https://chat.north.example/workspace/7/"}


@override_settings(**PUBLIC)
@settings(max_examples=60, deadline=None)
@given(text=TEXTS)
def test_the_message_arrives_as_it_was_written(text):
    mail = email.message_from_bytes(mailed(text=text), policy=default)
    kept = cleaned(text)
    plain = mail.get_body(("plain",)).get_content().replace("\r\n", "\n")
    assert kept in plain
    page = Page()
    page.feed(mail.get_body(("html",)).get_content())
    assert "".join(kept.split()) in "".join(page.words.split())


@override_settings(**PUBLIC)
def test_line_breaks_and_russian_survive():
    mail = email.message_from_bytes(mailed(name="Марина", text="Где заказ?\r\n№ 88240"), policy=default)
    assert mail["Subject"] == "Left message #7: Марина"
    assert "Где заказ?\n№ 88240" in mail.get_body(("plain",)).get_content().replace("\r\n", "\n")
    assert "Где заказ?<br>№ 88240" in mail.get_body(("html",)).get_content()


@override_settings(**PUBLIC)
def test_a_long_thread_is_folded_between_ids_only():
    ids = [f"<{'a' * 32}{place}@chat.north.example>" for place in range(8)]
    mail = email.message_from_bytes(mailed(thread=ids), policy=default)
    assert mail["References"].split() == ids
    assert mail["In-Reply-To"] == ids[-1]


@pytest.mark.parametrize(
    ("public_host", "sender", "domain"),
    [
        ("chat.north.example", "noreply@elsewhere.example", "chat.north.example"),
        ("127.0.0.1", "noreply@north.example", "north.example"),
        ("::1", "North <noreply@north.example>", "north.example"),
        ("чат.example", "noreply@north.example", "xn--80a0bn.example"),
        ("127.0.0.1", "noreply@localhost", "localhost"),
    ],
)
def test_message_ids_are_named_after_a_host(settings, public_host, sender, domain):
    settings.PUBLIC_HOST, settings.EMAIL_FROM = public_host, sender
    assert mime.mail_domain() == domain


def test_a_recipient_of_an_international_domain_is_reachable():
    assert mime.on_the_wire("left@почта.example") == "left@xn--80a1acny.example"
    assert mime.on_the_wire('"a@b"@north.example') == '"a@b"@north.example'


def test_the_sender_may_have_a_name(settings):
    settings.EMAIL_FROM = "Webim Offline <noreply@chat.north.example>"
    mail = email.message_from_bytes(mailed(text="x"), policy=default)
    assert mail["From"].addresses[0].display_name == "Webim Offline"
    assert mime.envelope_sender() == "noreply@chat.north.example"
