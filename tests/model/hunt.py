"""New random histories until the time is over: what `make fuzz` runs, one process for each core (see fuzz.py)."""

import itertools
import os
from pathlib import Path
from time import perf_counter  # the only clock here that no history moves

import pytest
from hypothesis import seed

from tests.model.machine import Presence
from tests.model.shrinking import finding_of, hunt


@pytest.mark.django_db
def test_hunt():
    """Hunts for HUNT_SECONDS seconds, from the seed HUNT_SEED on."""
    until = perf_counter() + float(os.environ["HUNT_SECONDS"])
    for number in itertools.count(int(os.environ["HUNT_SEED"])):
        if perf_counter() > until:
            print(f"nothing found up to seed {number - 1}")
            return
        hunt(seed(number)(Presence), examples=20, steps=60)


@pytest.mark.django_db
@pytest.mark.parametrize("line", Path(os.environ.get("HISTORIES", os.devnull)).read_text().splitlines())
def test_replay(line):
    """Lives the histories of the file HISTORIES through."""
    if found := finding_of(line):
        pytest.fail(f"{type(found.cause).__name__}: {found.cause}", pytrace=False)
