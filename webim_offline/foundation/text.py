"""What people type, as it is stored, judged and cut (C1 to C3). Pure: neither Django nor the database.

Every border where text comes in cleans it by `message` or by `cleaned_line` (names, titles, addresses, labels), and only then
counts its length. Passwords, keys and tokens are not text in this sense: nothing here may touch them.
"""

import re
import unicodedata
from itertools import groupby

from wcwidth import iter_graphemes

# Control characters except tab, line feed and carriage return (which `cleaned` makes a line feed), and halves of surrogate pairs.
UNSTORABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
LINE_ENDS = re.compile("\r\n?")
# Embeddings, overrides and isolates, with the signs that end them. In a name they would turn round the text that follows it.
# The marks U+200E, U+200F and U+061C stay: they turn nothing that stands after them.
TURNING = re.compile("[\u202a-\u202e\u2066-\u2069]")
# Default_Ignorable_Code_Point of the Unicode character database, the code points that are reserved for more of them included.
IGNORABLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0"
    "\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
# Characters with a glyph that is blank, and annotation signs, which are not drawn at all.
BLANK_GLYPHS = "\u2800\ufff9-\ufffb\U00013441\U00013442\U00016fe4\U0001d159"
# `\s` of Python is whitespace in the sense of Unicode; controls have no glyph either.
UNSEEN = re.compile(f"[\\s\x00-\x1f\x7f-\x9f\ud800-\udfff{IGNORABLE}{BLANK_GLYPHS}]+")
BLANK_START = re.compile(r"(?:[^\S\n]*\n)+")  # lines at the start of a text that hold nothing but whitespace
SHORT = 1_000  # characters; NFC of a text so short takes no time worth mentioning, whatever is in it


def cleaned(text: str) -> str:
    """Return a text of several lines as it is stored (C1): in NFC, without what cannot be stored or is no part of a text."""
    return composed(LINE_ENDS.sub("\n", UNSTORABLE.sub("", text)))


def cleaned_line(text: str) -> str:
    """Return a text of one line as it is stored: a name, a title, an address.

    It is `cleaned`, every run of whitespace and line ends is one space, and what would turn round the text after it is taken out.
    If nothing would be seen of it, it is the empty string.
    """
    line = " ".join(TURNING.sub("", cleaned(text)).split())
    return "" if is_blank(line) else composed(line)


def trimmed(text: str) -> str:
    """Return a message without blank lines at its start and whitespace at its end.

    Among several lines the first one keeps its indentation, which says something beside that of the others (C2).
    """
    start = BLANK_START.match(text)
    kept = text[start.end() if start else 0 :].rstrip()
    return kept if "\n" in kept else kept.lstrip()


def message(text: str) -> str:
    """Return a message as it is stored: `cleaned` and `trimmed`, or the empty string if nothing would be seen of it."""
    kept = trimmed(cleaned(text))
    return "" if is_blank(kept) else kept


def fitting_line(text: str, longest: int) -> str:
    """Return the beginning of a line that nobody is to be refused for: `cleaned_line`, and cut to `longest` characters.

    What is far too long is cut before it is cleaned, so that no page can make a process work for it.
    """
    kept = cut(cleaned_line(text[: longest * 8]), longest).rstrip()
    return "" if is_blank(kept) else kept


def is_blank(text: str) -> bool:
    """Return whether nothing would be seen of a text (C2). What our tables do not know yet counts as seen."""
    return not text or UNSEEN.fullmatch(text) is not None


def cut(text: str, longest: int) -> str:
    """Return the beginning of a text, at most `longest` characters of it, that ends between two graphemes (C3).

    It is empty if the first grapheme alone is longer.
    """
    if len(text) <= longest:
        return text
    around = text[: longest + 1]
    if around.isascii() and "\r" not in around:
        return text[:longest]
    # From the start on, because looking backwards goes wrong after signs that belong to the character behind them (U+0600).
    end = 0
    for grapheme in iter_graphemes(text):
        if end + len(grapheme) > longest:
            break
        end += len(grapheme)
    return text[:end]


def shortened(text: str, longest: int) -> str:
    """Return a text of at most `longest` characters: with an ellipsis at its end, if it had to be cut."""
    return text if len(text) <= longest else cut(text, longest - 1).rstrip() + "…"


def first_grapheme(text: str) -> str:
    """Return what a reader takes for the first character of a text."""
    return next(iter_graphemes(text), "")


def composed(text: str) -> str:
    """Return a text in NFC, in a time that grows with its length alone.

    The library sorts combining marks by moving each one step by step. A text of nothing but marks would take seconds, so the marks
    of a long text are sorted before. Sorting runs of them by their class is what the standard asks for, and is stable.
    """
    if text.isascii():
        return text
    if len(text) > SHORT:
        apart = "".join(unicodedata.normalize("NFD", sign) for sign in text)
        runs = groupby(apart, key=lambda sign: unicodedata.combining(sign) > 0)
        text = "".join("".join(sorted(run, key=unicodedata.combining) if are_marks else run) for are_marks, run in runs)
    return unicodedata.normalize("NFC", text)
