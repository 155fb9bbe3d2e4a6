"""The form of a login in which logins are compared, and limits counted: without case and without spaces around (C6). Pure."""

import re
import unicodedata

from webim_offline.foundation.text import IGNORABLE, cleaned_line

LONGEST_TYPED = 300  # characters of what was typed that are looked at
LONGEST_KEY = 255
UNSEEN = re.compile(f"[{IGNORABLE}]")  # no login holds such a character, but one that is copied from a page may bring some along


def cleaned_login(login: str) -> str:
    """Return a login as it is stored: without what nobody sees in it (C1)."""
    return UNSEEN.sub("", cleaned_line(login))


def login_key(login: str) -> str:
    """Return the form in which logins are compared, so that `Anna ` and `anna` are the same login."""
    plain = unicodedata.normalize("NFKC", cleaned_login(login.strip()[:LONGEST_TYPED]))
    return unicodedata.normalize("NFKC", plain.casefold()).strip()[:LONGEST_KEY]
