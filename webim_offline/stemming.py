"""Words as a search compares them, where the database has no Russian stemmer of its own (SQLite): PURE."""

import re
from functools import lru_cache

import snowballstemmer

WORD = re.compile(r"[^\W_]+")
LONGEST_WORD = 100  # characters; what is longer is no word
ENGLISH, RUSSIAN = snowballstemmer.stemmer("english"), snowballstemmer.stemmer("russian")

# what nearly every message holds, and what a question is put in
COMMON = """
a about am an and any are as at be been but by can did do does for from had has have he her him his how i if in into is
it its just me my no not of on or our she so than that the their them then there these they this those to too was we
were what when where which who why will with you your
а без более бы был была были было быть в вам вас весь во вот все всего всех вы где да даже для до его ее если есть еще
же за и из или им их к как ко когда кто ли либо мне может мой мы на надо наш не него нее нет ни них но ну о об однако он
она они оно от по под при с со так также такой там те тем то того тоже той только том ты у уже хотя чего чей чем что
чтобы чье чья эта эти это я
"""
PASSED_OVER = frozenset(COMMON.split())  # as PostgreSQL passes them over


def stems(text: str) -> list[str]:
    """The stems of a text's words in their order, for both languages; without the words that are passed over."""
    found = (word for word in WORD.findall(folded(text)) if len(word) <= LONGEST_WORD and word not in PASSED_OVER)
    return [stem(word) for word in found]


def folded(text: str) -> str:
    """Letters of one size, as long as the text was, and ё as the е that most people write for it."""
    lower = text.lower()
    if len(lower) != len(text):
        lower = "".join(letter.lower() if len(letter.lower()) == 1 else letter for letter in text)
    return lower.replace("ё", "е")


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """The stem of one folded word: by the English rules if it is ASCII, by the Russian ones if not."""
    return (ENGLISH if word.isascii() else RUSSIAN).stemWord(word)


def distinct(*texts: str) -> str:
    """The stems of several texts, each once, in the order they were met."""
    return " ".join(dict.fromkeys(found for text in texts for found in stems(text)))


def joined(known: str, added: str) -> str:
    """Two lists of stems in one, each stem once."""
    return " ".join(dict.fromkeys((*known.split(), *added.split())))


def holds(text: str, wanted: str, least: int) -> bool:
    """Whether a text has at least so many of the stems, given as a list."""
    return len(set(wanted.split()).intersection(stems(text))) >= least


def phone_digits(phone: str) -> str:
    """A telephone number's digits, and its last ten: written with +7, 8 or neither, it is the same number."""
    digits = "".join(letter for letter in phone if letter in "0123456789")
    return " ".join(dict.fromkeys((digits, digits[-10:])))
