"""What is accepted as an email address, wherever one is entered: by visitors, in settings, of people, in the environment.

Only addresses are accepted that a mail server on the Internet can have. That excludes quoted local parts, IP addresses instead of a
domain, and domains without a dot.
"""

import re
from encodings import idna

LONGEST = 254  # octets (RFC 5321)
LONGEST_LOCAL = 64  # of the part before the @
LONGEST_DOMAIN = 253
LOCAL = re.compile(r"[-!#$%&'*+/=?^_`{}|~0-9A-Za-z]+(\.[-!#$%&'*+/=?^_`{}|~0-9A-Za-z]+)*")
LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
OTHER_DOTS = re.compile("[\u3002\uff0e\uff61]")  # East Asian full stops, about which browsers and mail servers disagree


def _labels(domain: str) -> list[str]:
    """Return the labels of a domain as they are written in DNS (punycode). Raises UnicodeError if one cannot be written so."""
    return [idna.ToASCII(label).decode("ascii").lower() for label in domain.split(".")]


def is_address(text: str, *, here: bool = False) -> bool:
    """Return whether `text` is an email address that is accepted.

    With `here` the domain may also be `localhost`, which makes sense in the environment of an installation only.
    """
    local, at, domain = text.rpartition("@")
    if not at or len(text) > LONGEST or len(local) > LONGEST_LOCAL or not LOCAL.fullmatch(local) or OTHER_DOTS.search(domain):
        return False
    if here and domain.lower() == "localhost":
        return True
    try:
        labels = _labels(domain)
    except UnicodeError:
        return False
    name = ".".join(labels)
    is_long = len(name) > LONGEST_DOMAIN or len(local) + 1 + len(name) > LONGEST
    top = labels[-1]
    return len(labels) > 1 and not is_long and len(top) > 1 and not top.isdecimal() and all(map(LABEL.fullmatch, labels))
