"""The clock by which a process measures lengths of time (Z1).

Unlike the clock on the wall it is never set. Unlike `time.monotonic` on Linux it goes on while the machine is suspended, which is
how outages are noticed (P9).
"""

import time

# On Linux CLOCK_MONOTONIC stands still while the machine is suspended. On other systems it goes on.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def steady_now() -> float:
    """Return the seconds since some moment in the past. Only differences between two such numbers mean anything."""
    return time.clock_gettime(_CLOCK)
