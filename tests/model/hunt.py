"""What fuzz.py runs: new random histories until the time is over, the lines of a file, or the recording of such a file."""

import itertools
import os
from pathlib import Path
from time import perf_counter  # the only clock here that no history moves

import pytest
from hypothesis import seed

from tests.model.machine import Presence
from tests.model.queue_machine import Queues
from tests.model.recording import COUNT, Recorded, RecordedPresence, RecordedQueues, chosen, missing_kinds
from tests.model.shrinking import finding_of, hunt


@pytest.mark.django_db
def test_hunt():
    """Hunts for HUNT_SECONDS seconds, from the seed HUNT_SEED on."""
    until = perf_counter() + float(os.environ["HUNT_SECONDS"])
    for number in itertools.count(int(os.environ["HUNT_SEED"])):
        if perf_counter() > until:
            print(f"nothing found up to seed {number - 1}")
            return
        hunt(seed(number)((Presence, Queues)[number % 2]), examples=20, steps=60)


@pytest.mark.django_db
def test_record():
    """Writes 200 histories, chosen from many random ones, into the file RECORD."""
    for number in itertools.count(int(os.environ["HUNT_SEED"])):
        hunt(seed(number)((RecordedPresence, RecordedQueues)[number % 2]), examples=50, steps=20)
        if number % 2 and len(Recorded.kept) >= COUNT * 2:
            break
    lines = chosen(Recorded.kept, COUNT)
    assert missing_kinds(lines) == set()
    Path(os.environ["RECORD"]).write_text("".join(f"{line}\n" for line in lines))


@pytest.mark.django_db
@pytest.mark.parametrize("line", Path(os.environ.get("HISTORIES", os.devnull)).read_text().splitlines())
def test_replay(line):
    """Lives the histories of the file HISTORIES through."""
    if found := finding_of(line):
        pytest.fail(f"{type(found.cause).__name__}: {found.cause}", pytrace=False)
