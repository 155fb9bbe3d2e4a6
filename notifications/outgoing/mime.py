"""A letter as the bytes that go over the wire (M4): headers, encodings, addresses and the name we give ourselves."""

import base64
import binascii
import hashlib
import re
import unicodedata
from email.header import Header
from email.utils import format_datetime, parseaddr

from django.conf import settings
from django.utils.encoding import punycode

from notifications.models import OutgoingEmail
from webim_offline.foundation.text import cleaned_line, shortened

PLAIN_WORDS = re.compile(r"[A-Za-z0-9][A-Za-z0-9 #:-]{0,60}")
# Invisible characters that are parts of words and of emoji: joiners, and the letters in the flags of regions.
OF_WORDS = frozenset(("\u200c", "\u200d", *map(chr, range(0xE0020, 0xE0080))))
HOST_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")


def as_bytes(email: OutgoingEmail) -> bytes:
    """The letter as it goes over the wire, the same at every try.

    It is put together here and not by the library: that takes a visitor's words for an encoded header when they look like
    one (line breaks in it included), folds long ids into what no mail program takes for ids, and is slow.
    """
    name = one_line(parseaddr(settings.EMAIL_FROM)[0] or email.account.name, 120)
    quoted = f'"{name}"' if PLAIN_WORDS.fullmatch(name) else _encoded(name)
    boundary = f"=_{hashlib.sha256(email.message_id.encode()).hexdigest()[:32]}"  # no encoded text can hold "=_"
    headers = [
        f"From: {quoted}\r\n <{envelope_sender()}>",
        f"To: {on_the_wire(email.recipient)}",
        f"Subject: {_encoded(one_line(email.subject, 200), first_line_shorter_by=len('Subject: '))}",
        f"Date: {format_datetime(email.created_at)}",
        f"Message-ID: {email.message_id}",
    ]
    if email.thread:
        headers += [f"In-Reply-To: {email.thread[-1]}", "References: " + "\r\n ".join(email.thread)]
    headers += [
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/alternative;\r\n boundary="{boundary}"',
    ]
    mark = f"--{boundary}".encode("ascii")
    lines = ["\r\n".join(headers).encode(), b"", mark, _part("plain", email.text), mark, _part("html", email.html)]
    return b"\r\n".join([*lines, mark + b"--", b""])


def _part(subtype: str, text: str) -> bytes:
    """One part of the letter; quoted-printable, which people can read, where that is shorter than base64."""
    body = "\r\n".join(text.replace("\r\n", "\n").replace("\r", "\n").split("\n")).encode()
    readable = binascii.b2a_qp(body, istext=True)
    if len(readable) * 3 <= len(body) * 4:
        encoding = "quoted-printable"
    else:
        encoding, readable = "base64", base64.encodebytes(body).replace(b"\n", b"\r\n")
    return f"Content-Type: text/{subtype}; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode() + readable


def _encoded(text: str, *, first_line_shorter_by: int = 6) -> str:
    """Words of a header: plain where no program can take them for anything else, otherwise always as encoded words."""
    if PLAIN_WORDS.fullmatch(text):
        return text
    header = Header(maxlinelen=75, header_name="x" * first_line_shorter_by)
    header.append(text, charset="utf-8")
    return header.encode(linesep="\r\n")


def one_line(text: str, longest: int) -> str:
    """The text as one line of a header (M4): no line break of any kind, nothing invisible that turns or hides what follows."""
    kept = "".join(char for char in cleaned_line(text) if char in OF_WORDS or unicodedata.category(char) != "Cf")
    return shortened(kept, longest)


def mail_domain() -> str:
    """The name we give ourselves: the host of PUBLIC_URL, or of EMAIL_FROM where that one is an address of numbers."""
    sender = parseaddr(settings.EMAIL_FROM)[1].rpartition("@")[2]
    for host in (settings.PUBLIC_HOST, sender):
        try:
            name = punycode(host)
        except UnicodeError:
            continue
        if HOST_NAME.fullmatch(name) and not re.fullmatch(r"[\d.]+", name):
            return name
    return "localhost"


def envelope_sender() -> str:
    """The address of EMAIL_FROM alone."""
    return on_the_wire(parseaddr(settings.EMAIL_FROM)[1])


def on_the_wire(address: str) -> str:
    """The address as a mail server takes it: a domain with letters of its own alphabet in its plain form."""
    local, _at, domain = address.rpartition("@")
    return f"{local}@{punycode(domain)}"
