"""Recognising weak secret keys: those that are short, were published as an example, or were made up by a person."""

import itertools
import re

SHORTEST = 40  # characters; 256 random bits are 43 of base64 (`openssl rand -base64 32`) and 64 of hex
FEWEST_KINDS = 8  # different characters; 40 random hexadecimal digits have 14 or 15 of the 16, 40 random decimal ones all ten
# The words that examples are made of, and a key that our own checks once used. What is left without them must be long enough.
PLACEHOLDERS = re.compile(
    r"change.?(me|this|it)|example|secret|password|insecure|default|replace|random.?(key|string)|qwerty|asdfgh"
    r"|ci-EMQ2n8vRw6uJkTz4bXcYh1sLpDfG9aVtKx3oNe7iUyB0",
    re.IGNORECASE,
)
# The commonest pairs of letters in English. They are more than half of the pairs in a text, but only a tenth of random pairs.
PAIRS_OF_WORDS = frozenset(
    re.findall(
        "..",
        "thheineranreonatenndtiesorteofedisitalarsttontngsehaasouiolevecomedehirironiceneracelichllbemasiomurcaeltalansdifohopeec"
        "prnoctusacotiltrlyncetutsssorsunlowagegeieea",
    )
)


def weakness(key: str) -> str:
    """Return what is wrong with a key, as the end of a sentence that begins with "the key".

    Returns an empty string for a key that a random generator may have made.
    """
    if len(key) < SHORTEST:
        return f"is shorter than {SHORTEST} characters"
    key = PLACEHOLDERS.sub("", key)
    if len(key) < SHORTEST:
        return "is an example, known to everyone"
    if len(set(key)) < FEWEST_KINDS:
        return f"has fewer than {FEWEST_KINDS} different characters"
    if _repeats_itself(key):
        return "repeats itself"
    if _runs(key):
        return "is a row of neighbouring characters"
    if _is_made_of_words(key):
        return "is made of words"
    return ""


def _repeats_itself(key: str) -> bool:
    """Return whether a quarter of the key's triples of characters are repetitions. In a random key there are none or a few."""
    triples = [key[place : place + 3] for place in range(len(key) - 2)]
    return len(set(triples)) < len(triples) * 3 / 4


def _runs(key: str) -> bool:
    """Return whether most characters equal the one before or are its neighbours, as in "abcd", "9876" and "0000".

    In random digits this is so for a quarter of them.
    """
    steps = [abs(ord(second) - ord(first)) <= 1 for first, second in itertools.pairwise(key)]
    return sum(steps) > len(steps) * 0.6


def _is_made_of_words(key: str) -> bool:
    """Return whether most of the key are letters that follow one another as they do in English.

    Somebody has chosen such words, and nobody can tell how easily they are guessed.
    """
    pairs = [first + second for first, second in itertools.pairwise(key)]
    of_letters = [pair for pair in pairs if pair.isalpha()]
    common = sum(pair.lower() in PAIRS_OF_WORDS or not pair.isascii() for pair in of_letters)  # generators give ASCII
    return len(of_letters) > len(pairs) / 2 and common > len(of_letters) * 0.45
