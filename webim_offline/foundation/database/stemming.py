"""Reducing words to stems for the search, so that different grammatical forms of a word are found.

PostgreSQL has stemmers of its own. SQLite calls these functions, and so does whoever marks words in a text. They use neither Django
nor the database. `folding` says what is the same word.
"""

import json
import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

import snowballstemmer

from webim_offline.foundation.database import folding

LONGEST_WORD = 100  # characters; of longer words the first ones are indexed
ENGLISH, RUSSIAN = snowballstemmer.stemmer("english"), snowballstemmer.stemmer("russian")

# Stop words: they are in nearly every message, or only serve to ask a question.
COMMON = """
a about am an and any are as at be been but by can did do does for from had has have he her him his how i if in into is
it its just me my no not of on or our she so than that the their them then there these they this those to too was we
were what when where which who why will with you your
а без более бы был была были было быть в вам вас весь во вот все всего всех вы где да даже для до его ее если есть еще
же за и из или им их к как ко когда кто ли либо мне может мой мы на надо наш не него нее нет ни них но ну о об однако он
она они оно от по под при с со так также такой там те тем то того тоже той только том ты у уже хотя чего чей чем что
чтобы чье чья эта эти это я
"""
PASSED_OVER = frozenset(COMMON.split())  # not indexed; PostgreSQL has lists of its own
DIGITS_OR_LETTERS = re.compile(r"[0-9]+|[^0-9]+")

Entry = tuple[str, folding.Span]  # a word as it is indexed, and where it stands in the text


def entries(text: str) -> Iterator[Entry]:
    """Yield what a text is found by: its words, their stems, joined numbers, parts of addresses, and pairs of characters.

    Stop words are left out.
    """
    for span in folding.words(text):
        yield from _entries_of_word(text, span)
    yield from folding.numbers(text)
    for start, stop in folding.addresses(text):
        for first, last in folding.words(text[start:stop]):
            parts = list(DIGITS_OR_LETTERS.finditer(text, start + first, start + last))
            for part in parts if len(parts) > 1 else ():
                yield from _entries_of_word(text, part.span())


def _entries_of_word(text: str, span: folding.Span) -> Iterator[Entry]:
    word = text[span[0] : span[1]]
    if folding.IS_CJK.match(word):
        for place, pair in enumerate(folding.pairs(word), start=span[0]):
            yield pair, (place, place + len(pair))
        return
    for form in forms(word[: 2 * LONGEST_WORD]):  # marks may be half of it; the cache keeps nothing longer
        yield form, span


@lru_cache(maxsize=50_000)
def forms(word: str) -> tuple[str, ...]:
    """Return the forms in which a word is indexed: its stem, and the folded word itself. A stop word has none.

    The word itself is there for whoever has typed only its beginning, which may end anywhere, and because a word with a diacritic
    has another stem than the same word without.
    """
    whole = folding.folded(word)[:LONGEST_WORD]
    if not whole or whole in PASSED_OVER:
        return ()
    return tuple(dict.fromkeys((stem(whole), whole)))


def stem(word: str) -> str:
    """Return the stem of a folded word. ASCII words are English, all others Russian; a word with digits in it has no endings."""
    if any(map(str.isdigit, word)):
        return word
    return str((ENGLISH if word.isascii() else RUSSIAN).stemWord(word))


def distinct(*texts: str) -> str:
    """Return what texts are found by, each word once, separated by spaces. A function of SQLite (`search_words`)."""
    whole = (unicodedata.normalize("NFC", text) for text in texts)
    return " ".join(dict.fromkeys(found for text in whole for found, _span in entries(text)))


def joined(known: str, added: str) -> str:
    """Return two lists of words as one, with each word once. A function of SQLite (`search_joined`)."""
    return " ".join(dict.fromkeys((*known.split(), *added.split())))


def held(text: str, wanted: str) -> int:
    """Return 2 if a text has everything that is wanted, 1 if it has something of it, and else 0.

    A function of SQLite (`search_held`). `wanted` is a list in JSON. Each item lists alternatives, and each
    alternative lists the words that must all be there, as pairs of a word and whether it is only the beginning of one.
    """
    found = set(distinct(text).split())
    has = [any(_has_all(found, words) for words in alternatives) for alternatives in _read(wanted)]
    return 2 if all(has) else int(any(has))


def _has_all(found: set[str], words: list[tuple[str, bool]]) -> bool:
    return all(word in found or (is_beginning and any(other.startswith(word) for other in found)) for word, is_beginning in words)


@lru_cache(maxsize=100)
def _read(wanted: str) -> list[list[list[tuple[str, bool]]]]:
    read: list[list[list[tuple[str, bool]]]] = json.loads(wanted)
    return read


def phone_digits(phone: str) -> str:
    """Return the digits of a telephone number, and its last ten digits, on lines of their own.

    By the last ten a Russian number is found whether it was written with +7, with 8 or with neither. A function of SQLite
    (`search_digits`). The lines keep numbers that stand beside each other from being read as one.
    """
    digits = "".join(letter for letter in phone if letter in "0123456789")
    return "\n".join(dict.fromkeys((digits, digits[-folding.NATIONAL :])))
