"""What the search takes for the same: the folding of words, and the words, numbers and pairs of characters that a text is cut into.

Pure functions (C7). PostgreSQL has functions of its own that do the same in SQL (`dialogs` migration 0014); change both together.
"""

import re
import sys
import unicodedata
from collections.abc import Iterator

Span = tuple[int, int]  # where something begins in a text, and where it ends


def _ranges(characters: Iterator[int]) -> str:
    """Return the ranges of a regular expression's character class that hold these code points, which come in order."""
    ranges: list[list[int]] = []
    for code in characters:
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in ranges)


# Soft hyphens, joiners, marks of direction and variation selectors: nobody sees them, so nobody can search for them.
UNSEEN = r"\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufe00-\ufe0f\ufeff"
MARKS = _ranges(code for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code))[0] == "M")
WORD = re.compile(rf"[^\W_](?:[^\W_]+|[{MARKS}{UNSEEN}]+)*")  # a letter or digit, and the marks on it

# Chinese, Japanese and Korean: what is written without spaces, or with endings that grow on to the word
CJK = (
    r"\u3005-\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3105-\u312f\u31a0-\u31bf\u31f0-\u31ff"
    r"\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
)
CJK_OR_OTHER = re.compile(f"[{CJK}]+|[^{CJK}]+")
IS_CJK = re.compile(f"[{CJK}]")

# Between the digits of a number that is written in groups: spaces (no line breaks), dashes, brackets and dots
JOINERS = r" \t\u00a0\u2007\u2009\u202f\-\u2010-\u2015\u2212()\[\].\u200b-\u200f\u2060\u202a-\u202e\u2066-\u2069"
DIGITS = re.compile("[0-9]+")
NUMBER = re.compile(rf"[0-9]+(?:[{JOINERS}]{{1,4}}[0-9]+)*")
LONGEST_NUMBER = 30  # digits that are joined
NATIONAL = 10  # digits of a Russian telephone number after 8 or +7, and of many others after the code of the country
LONGEST_PHONE = 15  # digits of a telephone number with the code of its country

LATIN_OR_GREEK_MARKED = re.compile(r"([a-zα-ω])[\u0300-\u036f]+")
LOOSE_MARK = re.compile(r"[\u0300-\u036f]+")
UNSEEN_RUN = re.compile(f"[{UNSEEN}]+")
# letters that have a stroke instead of a mark, or are two
STROKES = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "ħ": "h", "ŧ": "t", "ı": "i", "æ": "ae", "œ": "oe", "þ": "th", "ς": "σ"}
)


def folded(text: str) -> str:
    """Return the text in the form in which it is compared.

    That is NFC in folded case; Latin and Greek letters without diacritics, е for ё, and й as it is. Marks that stand on any other
    letter without being one with it, as the stress on за́мок, are left out, and so is what nobody sees.
    """
    lower = unicodedata.normalize("NFC", text).casefold()
    if lower.isascii():
        return lower
    apart = unicodedata.normalize("NFD", UNSEEN_RUN.sub("", lower)).translate(STROKES)
    whole = unicodedata.normalize("NFC", LATIN_OR_GREEK_MARKED.sub(r"\1", apart))
    return LOOSE_MARK.sub("", whole).replace("ё", "е")


def words(text: str) -> Iterator[Span]:
    """Yield where each word of a text stands. A run of Chinese, Japanese or Korean characters is a word of its own."""
    for word in WORD.finditer(text):
        if word[0].isascii():
            yield word.span()
        else:
            for piece in CJK_OR_OTHER.finditer(text, *word.span()):
                yield piece.span()


def pairs(run: str) -> list[str]:
    """Return the pairs of neighbours in a run of characters, and its last character: each of them is then the beginning of one."""
    return [run[place : place + 2] for place in range(len(run))]


def numbers(text: str) -> Iterator[tuple[str, Span]]:
    """Yield the numbers of a text that are written in groups, with their digits joined, and where each stands.

    A telephone number is also yielded as its last ten digits: by them it is found whether it was written with +7, with 8 or with
    neither, even when another number stands beside it.
    """
    for run in NUMBER.finditer(text):
        groups = [(group.start(), group.end(), group[0]) for group in DIGITS.finditer(text, *run.span())]
        digits = "".join(group for _start, _stop, group in groups)
        if len(groups) > 1 and len(digits) <= LONGEST_NUMBER:
            yield digits, run.span()
        if NATIONAL < len(digits) <= LONGEST_PHONE:
            yield digits[-NATIONAL:], run.span()
        yield from _phones(groups, digits)


def _phones(groups: list[tuple[int, int, str]], digits: str) -> Iterator[tuple[str, Span]]:
    """Yield the last ten digits of each telephone number that neighbouring groups of digits make, and where it stands."""
    begins: dict[int, int] = {}  # how many digits come before a group, and where the group begins
    done = 0
    for start, stop, group in groups:
        begins[done] = start
        done += len(group)
        for size in (NATIONAL, NATIONAL + 1):
            first = done - size
            if first in begins and (size == NATIONAL or digits[first] in "78"):
                yield digits[done - NATIONAL : done], (begins[first], stop)
        if NATIONAL + 1 < len(group) <= LONGEST_PHONE:
            yield group[-NATIONAL:], (start, stop)


def addresses(text: str) -> Iterator[Span]:
    """Yield where each mail address and each link of a text stands."""
    if "@" in text or "://" in text:
        for chunk in re.finditer(r"\S+", text):
            if "@" in chunk[0] or "://" in chunk[0]:
                yield chunk.span()
