"""On PYTHONPATH of processes whose clock the tests step: libfaketime 0.9.10 breaks the call that `time.sleep` makes.

It takes CLOCK_MONOTONIC for faked there, though FAKETIME_DONT_FAKE_MONOTONIC says that it is not.
"""

import select
import time


def sleep(seconds: float) -> None:
    select.select((), (), (), seconds)


time.sleep = sleep
