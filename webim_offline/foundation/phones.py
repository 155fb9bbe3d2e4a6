"""What is accepted as a telephone number, and when two numbers are the same (C5). Pure: neither Django nor the database."""

import re
import unicodedata

OTHER_DASHES = "\u00ad\u2043\u207b\u208b\u2212"  # no dashes to Unicode: minus signs, a soft hyphen, a bullet
EXTENSION = "(?:доб(?:авочный)?|вн(?:утр(?:енний)?)?|ext(?:ension)?|[xх#№])"  # "x" of the Latin and the Cyrillic alphabet
NUMBER = re.compile(
    rf"(?P<number>[ ().+/-]*[0-9][0-9 ().+/-]*)(?:(?:[,;] *)?{EXTENSION}[.:]? *(?P<extension>[0-9][0-9 -]*)[ )]*)?", re.IGNORECASE
)
FEWEST_DIGITS, MOST_DIGITS = 5, 20
LONGEST = 200  # characters; anything longer is no number, and is not looked at


def is_phone(text: str) -> bool:
    """Return whether a text is accepted as a telephone number. It is kept as typed."""
    plain = _plain(text)
    return NUMBER.fullmatch(plain) is not None and FEWEST_DIGITS <= len(_digits(plain)) <= MOST_DIGITS


def compared_phone(text: str) -> str:
    """Return the form in which telephone numbers are compared: digits, and those of an extension after an `x`.

    A Russian number with 8 is the same as with +7, which is what the form has.
    """
    plain = _plain(text)
    found = NUMBER.fullmatch(plain)
    number, extension = _digits(found["number"] if found else plain), _digits((found["extension"] or "") if found else "")
    if len(number) == 11 and number[0] == "8" and "+" not in plain:
        number = f"7{number[1:]}"
    return f"{number}x{extension}" if extension else number


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
