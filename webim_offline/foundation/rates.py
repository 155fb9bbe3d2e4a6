"""Rates as people write them in settings: "10/min" is ten requests a minute."""

from webim_offline.foundation.numbers import whole_number

PERIODS = {"s": 1, "min": 60, "hour": 3600, "day": 86400}  # seconds
MOST = 1_000_000  # requests in one period


def parse(rate: str) -> tuple[int, int]:
    """Return a rate as (number of requests, seconds). Raises ValueError if it is none, or lets nothing through."""
    count, _, period = (part.strip() for part in rate.partition("/"))
    most = whole_number(count, most=MOST)
    if not most or period not in PERIODS:
        raise ValueError(rate)
    return most, PERIODS[period]
