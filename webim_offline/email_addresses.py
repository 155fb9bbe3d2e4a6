"""What counts as an e-mail address, everywhere one is taken: from visitors, in settings, of people, in the environment.

A name that a mail server on the Internet can have: no quotation marks, no numbers of machines, no name without a dot.
"""

import re
from encodings import idna

LONGEST = 254  # octets, RFC 5321
LONGEST_LOCAL = 64
LONGEST_DOMAIN = 253
LOCAL = re.compile(r"[-!#$%&'*+/=?^_`{}|~0-9A-Za-z]+(\.[-!#$%&'*+/=?^_`{}|~0-9A-Za-z]+)*")
LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
OTHER_DOTS = re.compile("[\u3002\uff0e\uff61]")  # of East Asian names: browsers and mail servers disagree about them


def _labels(domain: str) -> list[str]:
    """The names of a domain as DNS holds them. Raises UnicodeError for what none can hold."""
    return [idna.ToASCII(label).decode("ascii").lower() for label in domain.split(".")]


def is_address(text: str, *, here: bool = False) -> bool:
    """Is it an address? `here`: also at `localhost`, for what the installation itself is told."""
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
