"""Reducing words to stems for the search, so that different grammatical forms of a word are found.

PostgreSQL has stemmers of its own. SQLite calls these functions, and so does whoever marks words in a text. They use neither Django
nor the database.
"""

import re
from functools import lru_cache

import snowballstemmer

WORD = re.compile(r"[^\W_]+")
LONGEST_WORD = 100  # characters; longer ones are not indexed
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


def stems(text: str) -> list[str]:
    """Return the stems of the words of a text, Russian and English, in their order, without stop words."""
    found = (word for word in WORD.findall(folded(text)) if len(word) <= LONGEST_WORD and word not in PASSED_OVER)
    return [stem(word) for word in found]


def folded(text: str) -> str:
    """Return the text in lower case, with "е" for every "ё", because most people write it so.

    It is exactly as long as before, so that the place of a word in it is its place in the text.
    """
    lower = text.lower()
    if len(lower) != len(text):
        lower = "".join(letter.lower() if len(letter.lower()) == 1 else letter for letter in text)
    return lower.replace("ё", "е")


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """Return the stem of a word that `folded` has returned. ASCII words are English, all others Russian."""
    return str((ENGLISH if word.isascii() else RUSSIAN).stemWord(word))


def distinct(*texts: str) -> str:
    """Return the stems of several texts, each once, separated by spaces. A function of SQLite (`search_words`)."""
    return " ".join(dict.fromkeys(found for text in texts for found in stems(text)))


def joined(known: str, added: str) -> str:
    """Return two lists of stems as one, with each stem once. A function of SQLite (`search_joined`)."""
    return " ".join(dict.fromkeys((*known.split(), *added.split())))


def holds(text: str, wanted: str, least: int) -> bool:
    """Return whether a text has at least `least` of the stems in `wanted`. A function of SQLite (`search_holds`)."""
    return len(set(wanted.split()).intersection(stems(text))) >= least


def phone_digits(phone: str) -> str:
    """Return the digits of a telephone number, and its last ten digits, separated by a space.

    By the last ten a Russian number is found whether it was written with +7, with 8 or with neither. A function of SQLite
    (`search_digits`).
    """
    digits = "".join(letter for letter in phone if letter in "0123456789")
    return " ".join(dict.fromkeys((digits, digits[-10:])))
