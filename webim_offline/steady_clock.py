"""Lengths of time inside a process (Z1): seconds that no clock step touches and that pass while the machine sleeps (P9)."""

import time

# CLOCK_MONOTONIC stands still while Linux is suspended; other systems' goes on
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def steady_now() -> float:
    """Seconds since some moment in the past."""
    return time.clock_gettime(_CLOCK)
