"""What is accepted as a telephone number (C5). Pure. `database.folding` says how the search compares numbers."""

import re
import unicodedata

OTHER_DASHES = "\u00ad\u2043\u207b\u208b\u2212"  # no dashes to Unicode: minus signs, a soft hyphen, a bullet
EXTENSION = "(?:доб(?:авочный)?|вн(?:утр(?:енний)?)?|ext(?:ension)?|[xх#№])"  # "x" of the Latin and the Cyrillic alphabet
NUMBER = re.compile(rf"(?:[ ().+/-]*[0-9][0-9 ().+/-]*)(?:(?:[,;] *)?{EXTENSION}[.:]? *(?:[0-9][0-9 -]*)[ )]*)?", re.IGNORECASE)
FEWEST_DIGITS, MOST_DIGITS = 5, 20
LONGEST = 200  # characters; anything longer is no number, and is not looked at


def is_phone(text: str) -> bool:
    """Return whether a text is accepted as a telephone number. It is kept as typed."""
    plain = _plain(text)
    return NUMBER.fullmatch(plain) is not None and FEWEST_DIGITS <= len(_digits(plain)) <= MOST_DIGITS


def _plain(text: str) -> str:
    """Return a text with one sign for each kind of dash, bracket and space, and with our digits for those of other scripts."""
    return "".join(map(_plain_sign, text.strip())) if len(text) <= LONGEST else ""


def _plain_sign(sign: str) -> str:
    digit = unicodedata.decimal(sign, None)
    if digit is not None:
        return str(digit)
    kind = unicodedata.category(sign)
    if kind == "Pd" or sign in OTHER_DASHES:
        return "-"
    kinds = {"Ps": "(", "Pe": ")", "Zs": " ", "Cf": ""}
    return " " if sign.isspace() else kinds.get(kind, unicodedata.normalize("NFKC", sign))


def _digits(text: str) -> str:
    return re.sub("[^0-9]", "", text)
