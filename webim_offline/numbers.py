"""Whole numbers as people write them in addresses, forms and searches. There is no other reading of them."""

LARGEST = 2**63 - 1  # that a column of either database keeps
MOST_DIGITS = len(str(LARGEST))  # Python itself refuses to read some thousands


def whole_number(text: object, *, most: int = LARGEST) -> int | None:
    """The number that a text of ASCII digits says; None for anything else, and beyond `most`."""
    if not isinstance(text, str) or len(text) > MOST_DIGITS or not (text.isascii() and text.isdecimal()):
        return None
    number = int(text)
    return number if number <= most else None
