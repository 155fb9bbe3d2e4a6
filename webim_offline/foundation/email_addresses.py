"""What is accepted as an email address, wherever one is entered: by visitors, in settings, of people, in the environment.

Only addresses are accepted that a mail server on the Internet can have. That excludes quoted local parts, IP addresses instead of a
domain, and domains without a dot.

Both halves may be written in any alphabet (C6). What stands before the @ then needs a mail server with SMTPUTF8 (RFC 6531), while a
domain has an ASCII form that every server takes.
"""

import re
import unicodedata
from encodings import idna

from webim_offline.foundation.text import IGNORABLE, cleaned_line

LONGEST = 254  # octets (RFC 5321)
LONGEST_LOCAL = 64  # octets of the part before the @
LONGEST_DOMAIN = 253
ATOM = r"[-!#$%&'*+/=?^_`{}|~0-9A-Za-z\u00a1-\U0010ffff]+"
LOCAL = re.compile(rf"{ATOM}(\.{ATOM})*")
OF_NO_ADDRESS = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp", "Zs"})  # categories of characters; joiners are allowed nevertheless
JOINERS = "\u200c\u200d"
UNSEEN = re.compile(f"[{IGNORABLE}]")
LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
OTHER_DOTS = re.compile("[\u3002\uff0e\uff61]")  # East Asian full stops, about which browsers and mail servers disagree


def _labels(domain: str) -> list[str]:
    """Return the labels of a domain as they are written in DNS (punycode). Raises UnicodeError if one cannot be written so."""
    return [idna.ToASCII(label).decode("ascii").lower() for label in domain.split(".")]


def cleaned_address(text: str) -> str:
    """Return an address without what nobody sees in it, as it comes along when one is copied from a page or a letter (C1).

    Joiners stay where they may belong to a word: next to letters outside of ASCII.
    """
    line = cleaned_line(text)
    kept = UNSEEN.sub(lambda found: found[0] if found[0] in JOINERS else "", line)
    return kept if not kept.replace("\u200c", "").replace("\u200d", "").isascii() else UNSEEN.sub("", kept)


def needs_smtputf8(address: str) -> bool:
    """Return whether only a mail server with SMTPUTF8 can send to an address."""
    return not address.rpartition("@")[0].isascii()


def is_address(text: str, *, here: bool = False) -> bool:
    """Return whether `text` is an email address that is accepted.

    With `here` the domain may also be `localhost`, which makes sense in the environment of an installation only.
    """
    local, at, domain = text.rpartition("@")
    if not at or len(text) > LONGEST or not _is_local(local) or OTHER_DOTS.search(domain):
        return False
    if here and domain.lower() == "localhost":
        return True
    try:
        labels = _labels(domain)
    except UnicodeError:
        return False
    name = ".".join(labels)
    is_long = len(name) > LONGEST_DOMAIN or len(local.encode()) + 1 + len(name) > LONGEST
    top = labels[-1]
    return len(labels) > 1 and not is_long and len(top) > 1 and not top.isdecimal() and all(map(LABEL.fullmatch, labels))


def _is_local(text: str) -> bool:
    """Return whether a text can stand before the @."""
    if not LOCAL.fullmatch(text) or any(unicodedata.category(sign) in OF_NO_ADDRESS and sign not in JOINERS for sign in text):
        return False
    return len(text.encode()) <= LONGEST_LOCAL
