"""Which of our encodings a client takes (Accept-Encoding, RFC 9110)."""

import re
from collections.abc import Sequence

NONE = re.compile(r";\s*q\s*=\s*0(?:\.0*)?\s*\Z", re.IGNORECASE)


def accepted(header: str, ours: Sequence[str]) -> str:
    """The first of `ours` that the header names and does not refuse; an empty string for none.

    The order is ours: what a client says of its preference between two that it takes is left aside.
    """
    words = {word.partition(";")[0].strip().lower(): not NONE.search(word) for word in header.split(",")}
    return next((encoding for encoding in ours if words.get(encoding, words.get("*", False))), "")
