"""Whole numbers as people write them in addresses, forms and searches. There is no other reading of them."""

MOST_DIGITS = 18  # every number of so many fits a column of either database; Python itself refuses to read some thousands


def whole_number(text: object, *, most: int | None = None) -> int | None:
    """The number that a text of ASCII digits says; None for anything else, for more than MOST_DIGITS, and beyond `most`."""
    if not isinstance(text, str) or len(text) > MOST_DIGITS or not (text.isascii() and text.isdecimal()):
        return None
    number = int(text)
    return number if most is None or number <= most else None
