"""Is a given secret a secret? What is short, was published, or was made up by a person is none."""

import itertools
import re

SHORTEST = 40  # characters; 256 random bits are 43 of base64 (`openssl rand -base64 32`) and 64 of hex
FEWEST_KINDS = 8  # different characters; a random hex key of 40 has 14 or 15 of its 16, one of digits all ten
# What examples are made of, and a key that our own checks used once: what is left without them has to be a secret.
PLACEHOLDERS = re.compile(
    r"change.?(me|this|it)|example|secret|password|insecure|default|replace|random.?(key|string)|qwerty|asdfgh"
    r"|ci-EMQ2n8vRw6uJkTz4bXcYh1sLpDfG9aVtKx3oNe7iUyB0",
    re.IGNORECASE,
)
# The commonest pairs of letters in English text: more than half of all its pairs, and a tenth of random ones.
PAIRS_OF_WORDS = frozenset(
    re.findall(
        "..",
        "thheineranreonatenndtiesorteofedisitalarsttontngsehaasouiolevecomedehirironiceneracelichllbemasiomurcaeltalansdifohopeec"
        "prnoctusacotiltrlyncetutsssorsunlowagegeieea",
    )
)


def weakness(key: str) -> str:
    """What is wrong with a key, as the end of «the key ...»; nothing for one that a random generator may have made."""
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
    """A quarter of its places say what another place said. (Random: none or a few.)"""
    triples = [key[place : place + 3] for place in range(len(key) - 2)]
    return len(set(triples)) < len(triples) * 3 / 4


def _runs(key: str) -> bool:
    """Most of its characters are the same as, or next to, the one before: abcd, 9876, 0000. (Random digits: a quarter.)"""
    steps = [abs(ord(second) - ord(first)) <= 1 for first, second in itertools.pairwise(key)]
    return sum(steps) > len(steps) * 0.6


def _is_made_of_words(key: str) -> bool:
    """Most of it is letters that follow one another as in English text. Nobody can tell how such a sentence was chosen."""
    pairs = [first + second for first, second in itertools.pairwise(key)]
    of_letters = [pair for pair in pairs if pair.isalpha()]
    common = sum(pair.lower() in PAIRS_OF_WORDS or not pair.isascii() for pair in of_letters)  # generators give ASCII
    return len(of_letters) > len(pairs) / 2 and common > len(of_letters) * 0.45
