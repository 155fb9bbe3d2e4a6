"""Reading whole numbers that people have written in URLs, forms and searches. Nothing else in the project reads such numbers."""

LARGEST = 2**63 - 1  # that both databases can store
MOST_DIGITS = len(str(LARGEST))  # a longer text is not read: int() is slow for many digits, and raises for thousands of them


def whole_number(text: object, *, most: int = LARGEST) -> int | None:
    """Return the number that is written in `text`, or None if it is anything else than ASCII digits, or larger than `most`."""
    if not isinstance(text, str) or len(text) > MOST_DIGITS or not (text.isascii() and text.isdecimal()):
        return None
    number = int(text)
    return number if number <= most else None
